//! Loading: whether there is a model, how long it took, and what was refused.

use super::families::Families;
use contract::labels::LoadFailure;
use contract::metrics as table;
use prometheus::{Error, Gauge, IntCounter};
use std::time::Duration;

/// Metrics of loading models.
#[derive(Debug)]
pub struct LoadMetrics {
    loaded: Gauge,
    duration: Gauge,
    /// By reason.
    failures: Vec<IntCounter>,
}

impl LoadMetrics {
    pub(super) fn new(families: &Families<'_>) -> Result<Self, Error> {
        let none: [&str; 0] = [];
        let failures = families.counter(&table::MODEL_LOAD_FAILURES)?;
        Ok(Self {
            loaded: families
                .gauge(&table::MODEL_LOADED)?
                .with_label_values(&none),
            duration: families
                .gauge(&table::MODEL_LOAD_DURATION)?
                .with_label_values(&none),
            failures: LoadFailure::ALL
                .iter()
                .map(|reason| failures.with_label_values(&[reason.as_str()]))
                .collect(),
        })
    }

    /// Whether a model is served.
    pub fn serving(&self, serving: bool) {
        self.loaded.set(f64::from(u8::from(serving)));
    }

    /// A model took `time` to load.
    pub fn succeeded(&self, time: Duration) {
        self.duration.set(time.as_secs_f64());
    }

    /// A model was refused; the one before is still served.
    pub fn failed(&self, reason: LoadFailure) {
        self.failures[reason as usize].inc();
    }
}
