//! How long what failed waits before it is tried again.

use kube::runtime::utils::Backoff as StreamBackoff;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Delay after the first failure; it doubles with each further one in a row.
const FIRST: Duration = Duration::from_secs(1);
/// Longest delay of a ModelService.
const LONGEST: Duration = Duration::from_secs(300);
/// Longest delay of a watch: as long as a kind that was just installed may go unnoticed.
const LONGEST_WATCH: Duration = Duration::from_secs(10);
/// Failures of a watch that lie further apart than this are not in a row.
const QUIET: Duration = Duration::from_secs(60);
/// Time until a ModelService is looked at again though nothing was heard of it: a deletion that
/// happens while a watch is down is never told.
const RESYNC: Duration = Duration::from_secs(300);

/// Failed attempts in a row, by UID.
#[derive(Debug, Default)]
pub struct Backoff(Mutex<HashMap<String, u32>>);

impl Backoff {
    /// Notes a failure; the delay until the next attempt doubles each time.
    pub fn after_failure(&self, uid: &str) -> Duration {
        let mut attempts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let attempt = attempts.entry(uid.to_owned()).or_default();
        let delay = growing(*attempt, LONGEST);
        *attempt += 1;
        delay
    }

    /// Forgets the ModelServices whose UID does not pass.
    pub fn retain(&self, living: impl Fn(&str) -> bool) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|uid, _| living(uid));
    }

    /// Notes a success, or that the ModelService is gone.
    pub fn reset(&self, uid: &str) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(uid);
    }
}

/// Failures in a row of one watch.
///
/// kube's own backoff starts anew at every item that is no error, and each list begins with one:
/// a kind that does not exist would be asked for every second for ever.
#[derive(Debug, Default)]
pub struct WatchBackoff {
    attempts: u32,
    last: Option<Instant>,
}

impl Iterator for WatchBackoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        if self
            .last
            .replace(Instant::now())
            .is_some_and(|last| last.elapsed() > QUIET)
        {
            self.attempts = 0;
        }
        let delay = growing(self.attempts, LONGEST_WATCH);
        self.attempts += 1;
        Some(delay)
    }
}

impl StreamBackoff for WatchBackoff {
    fn reset(&mut self) {}
}

/// The delay after `attempts` failures and one more.
fn growing(attempts: u32, longest: Duration) -> Duration {
    jittered(FIRST.saturating_mul(1 << attempts.min(16)).min(longest))
}

/// The delay until the next look when all is well.
pub fn resync() -> Duration {
    jittered(RESYNC)
}

/// 20 % more or less, so that what failed together is not tried together.
fn jittered(delay: Duration) -> Duration {
    delay.mul_f64(0.8 + 0.4 * fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_grows_to_a_limit_and_starts_anew_after_a_success() {
        let backoff = Backoff::default();
        let delays: Vec<_> = (0..12)
            .map(|_| backoff.after_failure("a").as_secs_f64())
            .collect();
        assert!((0.8..=1.2).contains(&delays[0]), "{delays:?}");
        assert!((6.4..=9.6).contains(&delays[3]), "{delays:?}");
        assert!((240.0..=360.0).contains(&delays[11]), "{delays:?}");
        backoff.reset("a");
        assert!(backoff.after_failure("a").as_secs_f64() <= 1.2);
    }

    #[test]
    fn a_watch_that_answers_between_failures_still_slows_down() {
        let mut backoff = WatchBackoff::default();
        let delays: Vec<_> = (0..6)
            .filter_map(|_| {
                backoff.reset();
                backoff.next()
            })
            .collect();
        assert!(
            delays[0] < Duration::from_secs(2) && delays[5] >= Duration::from_secs(8),
            "{delays:?}"
        );
    }

    #[test]
    fn failures_of_one_do_not_delay_another() {
        let backoff = Backoff::default();
        assert!((0..10).map(|_| backoff.after_failure("a")).max() > Some(Duration::from_secs(60)));
        assert!(backoff.after_failure("b").as_secs_f64() <= 1.2);
    }
}
