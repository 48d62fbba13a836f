//! A row whose prediction is known: proof that the model still works.

use super::signature::Signature;
use crate::load::LoadedModel;
use crate::model::{Batch, Predictions};
use std::time::{Duration, Instant};

/// Runs whose fastest says how long a row takes.
const RUNS: u32 = 5;

/// A row whose prediction is known.
#[derive(Debug)]
pub struct Probe {
    row: Option<Batch>,
    expected: Option<Predictions>,
    row_time: Duration,
}

impl Probe {
    /// The example row of `signature` and what `model` says about it now.
    pub fn new(model: &LoadedModel, signature: &Signature) -> Self {
        let row = Batch::new(signature.example.clone(), signature.width()).ok();
        let mut probe = Self {
            row,
            expected: None,
            row_time: Duration::MAX,
        };
        for _ in 0..RUNS {
            let begin = Instant::now();
            probe.expected = probe.predict(model);
            probe.row_time = probe.row_time.min(begin.elapsed());
        }
        probe
    }

    /// Whether `model` says the same as at the start.
    pub fn passes(&self, model: &LoadedModel) -> bool {
        self.expected.is_some() && self.predict(model) == self.expected
    }

    /// How long the model takes for one row.
    pub const fn row_time(&self) -> Duration {
        self.row_time
    }

    /// What the model says about the row.
    pub const fn example(&self) -> Option<&Predictions> {
        self.expected.as_ref()
    }

    /// Whether the model gives probabilities.
    pub const fn has_probabilities(&self) -> bool {
        matches!(
            self.expected,
            Some(Predictions::Classes {
                probabilities: Some(_),
                ..
            })
        )
    }

    fn predict(&self, model: &LoadedModel) -> Option<Predictions> {
        self.row.as_ref().map(|row| model.model.predict(row))
    }
}
