//! How long a failing ModelService waits before it is tried again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);
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
        let delay = FIRST.saturating_mul(1 << (*attempt).min(16)).min(LONGEST);
        *attempt += 1;
        jittered(delay)
    }

    /// Notes a success, or that the ModelService is gone.
    pub fn reset(&self, uid: &str) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(uid);
    }
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
    fn failures_of_one_do_not_delay_another() {
        let backoff = Backoff::default();
        (0..10).for_each(|_| drop(backoff.after_failure("a")));
        assert!(backoff.after_failure("b").as_secs_f64() <= 1.2);
    }
}
