//! Requests that had to carry an API key.

use super::families::Families;
use contract::labels::{KeyOutcome, UNKNOWN_KEY};
use contract::metrics as table;
use prometheus::{Error, IntCounter, IntCounterVec};

/// Metrics of all keys; without keys there are none.
#[derive(Debug, Clone)]
pub struct KeyMetrics(IntCounterVec);

/// What the requests of one key came to.
#[derive(Debug)]
pub struct KeyCounters([IntCounter; ADMITTED.len()]);

/// What a request with a known key can come to.
const ADMITTED: [KeyOutcome; 3] = [
    KeyOutcome::Success,
    KeyOutcome::ClientError,
    KeyOutcome::ServerError,
];

impl KeyMetrics {
    pub(super) fn new(families: &Families<'_>) -> Result<Self, Error> {
        families.counter(&table::KEY_REQUESTS).map(Self)
    }

    /// The series of a key, from now on.
    pub fn of(&self, id: &str) -> KeyCounters {
        KeyCounters(ADMITTED.map(|outcome| self.series(id, outcome)))
    }

    /// The series of a key are no more.
    pub fn forget(&self, id: &str) {
        for outcome in ADMITTED {
            // Absent, it is forgotten already.
            let _ = self.0.remove_label_values(&[id, outcome.as_str()]);
        }
    }

    /// Requests without a known key.
    pub fn refused(&self) -> IntCounter {
        self.series(UNKNOWN_KEY, KeyOutcome::Unauthorized)
    }

    fn series(&self, id: &str, outcome: KeyOutcome) -> IntCounter {
        self.0.with_label_values(&[id, outcome.as_str()])
    }
}

impl KeyCounters {
    /// Counts an answer of `status`.
    pub fn answered(&self, status: u16) {
        let [success, client_error, server_error] = &self.0;
        let outcome = match status {
            0..400 => success,
            400..500 => client_error,
            500.. => server_error,
        };
        outcome.inc();
    }
}
