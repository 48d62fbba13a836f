//! When requests are made, and when to stop.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A request that is made later than this after it was due is counted as late.
pub const LATE: Duration = Duration::from_millis(10);

/// When requests are made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// Each connection asks again as soon as it is answered.
    Closed {
        /// How many there are.
        connections: u32,
    },
    /// At times that do not depend on the answers.
    Open(Schedule),
}

/// When to stop: at whichever comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Time from the first request on.
    pub duration: Option<Duration>,
    /// Requests.
    pub requests: Option<u64>,
}

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Share of the limit that is reached, 0 to 1.
    pub share: f64,
    /// Requests that have ended.
    pub requests: u64,
    /// Requests that have ended per second.
    pub per_second: f64,
    /// Requests that were not answered.
    pub unanswered: u64,
}

impl Limit {
    /// Share of the limit that is reached after `elapsed` and `requests`, 0 to 1.
    pub fn share(self, elapsed: Duration, requests: u64) -> f64 {
        let of_time = |limit: Duration| elapsed.as_secs_f64() / limit.as_secs_f64();
        let of_requests = |limit: u64| requests as f64 / limit as f64;
        let time = self.duration.map_or(0.0, of_time);
        let count = self.requests.map_or(0.0, of_requests);
        time.max(count).min(1.0)
    }
}

/// The turns of a closed loop, shared by its connections.
#[derive(Debug)]
pub(super) struct Turns {
    next: AtomicU64,
    most: u64,
    end: Option<Instant>,
}

impl Turns {
    /// Turns from now until `limit`.
    pub(super) fn new(limit: Limit) -> Self {
        Self {
            next: AtomicU64::new(0),
            most: limit.requests.unwrap_or(u64::MAX),
            end: limit.duration.map(|duration| Instant::now() + duration),
        }
    }

    /// Number of the next request, from 0; None once the limit is reached.
    pub(super) fn take(&self) -> Option<u64> {
        if self.end.is_some_and(|end| Instant::now() >= end) {
            return None;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number < self.most).then_some(number)
    }
}

/// The times of an open loop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// Requests per second, above 0.
    pub rate: f64,
}

impl Schedule {
    /// When request `number` is due, from the beginning on.
    pub fn due(self, number: u64) -> Duration {
        Duration::from_secs_f64(number as f64 / self.rate)
    }

    /// Requests that are due before `limit`.
    pub fn count(self, limit: Limit) -> u64 {
        let in_time = |duration: Duration| (duration.as_secs_f64() * self.rate).ceil() as u64;
        let in_time = limit.duration.map_or(u64::MAX, in_time);
        in_time.min(limit.requests.unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const fn limit(seconds: Option<u64>, requests: Option<u64>) -> Limit {
        let duration = match seconds {
            Some(seconds) => Some(Duration::from_secs(seconds)),
            None => None,
        };
        Limit { duration, requests }
    }

    #[rstest]
    #[case(limit(Some(2), None), 1000)]
    #[case(limit(None, Some(7)), 7)]
    #[case(limit(Some(2), Some(7)), 7)]
    #[case(limit(Some(2), Some(7000)), 1000)]
    fn requests_are_due_until_the_first_limit(#[case] limit: Limit, #[case] count: u64) {
        assert_eq!(Schedule { rate: 500.0 }.count(limit), count);
    }

    #[test]
    fn requests_are_due_at_even_distances() {
        let schedule = Schedule { rate: 4.0 };
        assert_eq!(schedule.due(0), Duration::ZERO);
        assert_eq!(schedule.due(3), Duration::from_millis(750));
        let slow = Schedule { rate: 0.01 };
        assert_eq!(slow.count(limit(Some(10), None)), 1);
    }

    #[test]
    fn a_closed_loop_has_as_many_turns_as_its_limit() {
        let turns = Turns::new(limit(None, Some(3)));
        let numbers: Vec<_> = std::iter::from_fn(|| turns.take()).collect();
        assert_eq!(numbers, [0, 1, 2]);
        let over = Limit {
            duration: Some(Duration::ZERO),
            requests: None,
        };
        assert_eq!(Turns::new(over).take(), None);
    }

    #[test]
    fn the_limit_that_is_nearer_is_the_progress() {
        let limit = limit(Some(10), Some(100));
        assert_eq!(limit.share(Duration::from_secs(5), 20), 0.5);
        assert_eq!(limit.share(Duration::from_secs(5), 80), 0.8);
        assert_eq!(limit.share(Duration::from_secs(15), 80), 1.0);
    }
}
