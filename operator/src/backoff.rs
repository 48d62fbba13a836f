//! How long what failed waits before it is tried again.

use kube::runtime::utils::Backoff as StreamBackoff;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Delay after the first failure; it doubles with each further one in a row.
const FIRST: Duration = Duration::from_secs(1);
/// Longest delay of a ModelService.
const LONGEST: Duration = Duration::from_secs(300);
/// Longest delay of a watch: as long as a kind that was just installed may go unnoticed.
const LONGEST_WATCH: Duration = Duration::from_secs(10);
/// Failures of a watch that lie further apart than this are not in a row.
const QUIET: Duration = Duration::from_secs(60);
/// Time until a ModelService is looked at again though nothing was heard of it. What watches lose is found
/// when everything is listed anew; this is for what nobody is told of, such as new labels of a namespace.
const RESYNC: Duration = Duration::from_secs(1200);

/// Longest pause of a ModelService that keeps failing, whatever happens to it meanwhile.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Failed attempts in a row, by UID.
#[derive(Debug, Default)]
pub struct Backoff(Mutex<HashMap<String, Failures>>);

#[derive(Debug)]
struct Failures {
    attempts: u32,
    last: Instant,
}

impl Backoff {
    /// Notes a failure; the delay until the next attempt doubles each time.
    pub fn after_failure(&self, uid: &str) -> Duration {
        let mut all = self.all();
        let failures = all.entry(uid.to_owned()).or_insert(Failures {
            attempts: 0,
            last: Instant::now(),
        });
        let delay = growing(failures.attempts, LONGEST);
        failures.attempts += 1;
        failures.last = Instant::now();
        delay
    }

    /// What a ModelService has to wait before it is tried again because something happened to it:
    /// nothing unless it keeps failing, when its failures themselves may be what happens.
    pub fn pause(&self, uid: &str) -> Duration {
        let all = self.all();
        let pause = all.get(uid).map(|failures| {
            let longest = FIRST.saturating_mul(failures.attempts.saturating_sub(1));
            let pause = longest.min(LONGEST_PAUSE);
            pause.saturating_sub(failures.last.elapsed())
        });
        pause.unwrap_or_default()
    }

    /// Forgets the ModelServices whose UID does not pass.
    pub fn retain(&self, living: impl Fn(&str) -> bool) {
        self.all().retain(|uid, _| living(uid));
    }

    /// Notes a success, or that the ModelService is gone.
    pub fn reset(&self, uid: &str) {
        self.all().remove(uid);
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Failures>> {
        // A panic elsewhere cannot leave the map half-written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
pub fn jittered(delay: Duration) -> Duration {
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

    #[tokio::test(start_paused = true)]
    async fn what_keeps_failing_waits_a_little_whatever_happens_to_it() {
        let backoff = Backoff::default();
        backoff.after_failure("a");
        assert_eq!(backoff.pause("a"), Duration::ZERO);
        for _ in 0..9 {
            backoff.after_failure("a");
        }
        assert_eq!(backoff.pause("a"), LONGEST_PAUSE);
        assert_eq!(backoff.pause("b"), Duration::ZERO);
        tokio::time::advance(LONGEST_PAUSE).await;
        assert_eq!(backoff.pause("a"), Duration::ZERO);
    }

    #[test]
    fn failures_of_one_do_not_delay_another() {
        let backoff = Backoff::default();
        assert!((0..10).map(|_| backoff.after_failure("a")).max() > Some(Duration::from_secs(60)));
        assert!(backoff.after_failure("b").as_secs_f64() <= 1.2);
    }
}
