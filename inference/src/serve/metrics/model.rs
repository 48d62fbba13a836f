//! Predictions and the values they were made of, binned as the training data was.

use super::bins::Bins;
use super::families::Families;
use super::sharded::{Counter, CounterVec, Histogram};
use crate::artifact::{self, Task};
use crate::load::LoadedModel;
use crate::model::{Batch, Predictions};
use crate::serve::error::Error as RequestError;
use crate::serve::signature::Signature;
use contract::labels::{InvalidFeature, OUTCOME_VALUE, PREDICTION_FEATURE};
use contract::metrics as table;
use prometheus::{Error, IntCounter};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Metrics of the served model.
#[derive(Debug)]
pub struct ModelMetrics {
    /// Seconds that the model took for one request.
    pub inference: Histogram,
    rows: Histogram,
    /// By class; a single one for regression.
    predictions: Vec<Counter>,
    distribution: Histogram,
    features: Vec<FeatureMetrics>,
    /// Of the features, and after them of the predictions.
    bins: Bins,
    clock: Clock,
}

/// When the model was last asked, without asking the system's clock again.
#[derive(Debug)]
struct Clock {
    born: Instant,
    /// `born`, in milliseconds since 1970.
    unix: u64,
    /// Milliseconds since 1970; 0 for never.
    last: AtomicU64,
}

#[derive(Debug)]
struct FeatureMetrics {
    /// Range seen in training.
    range: std::ops::RangeInclusive<f64>,
    /// By reason.
    invalid: Vec<IntCounter>,
}

impl ModelMetrics {
    pub(super) fn new(
        families: &Families<'_>,
        loaded: &LoadedModel,
        signature: &Signature,
    ) -> Result<Self, Error> {
        let version = loaded.version.as_str();
        let reference = &loaded.manifest.reference;
        let invalid = families.counter(&table::FEATURE_INVALID)?;
        let feature = |feature: &artifact::Feature| FeatureMetrics {
            range: feature.min..=feature.max,
            invalid: InvalidFeature::ALL
                .iter()
                .map(|reason| {
                    let refused = if refuses(feature, *reason) {
                        "true"
                    } else {
                        "false"
                    };
                    let labels = [version, &feature.name, reason.as_str(), refused];
                    invalid.with_label_values(&labels)
                })
                .collect(),
        };
        let names = signature.features.iter().map(|feature| &*feature.name);
        let mut profiles: Vec<_> = names.zip(&reference.features).collect();
        profiles.push((PREDICTION_FEATURE, &reference.prediction));
        let histogram = |metric| -> Result<Histogram, Error> {
            Ok(families.histogram(metric)?.with_label_values(&[version]))
        };
        Ok(Self {
            inference: histogram(&table::INFERENCE_DURATION)?,
            rows: histogram(&table::BATCH_ROWS)?,
            predictions: outcomes(
                &families.busy_counter(&table::PREDICTIONS)?,
                version,
                signature,
            ),
            distribution: histogram(&table::PREDICTION_DISTRIBUTION)?,
            features: signature.features.iter().map(feature).collect(),
            bins: Bins::new(families, version, &profiles)?,
            clock: Clock::new(),
        })
    }

    /// Observes that the model took from `begin` to `end` for a request.
    pub fn took(&self, begin: Instant, end: Instant) {
        let took = end.duration_since(begin);
        self.inference.observe(took.as_secs_f64());
        self.clock.tick(end);
    }

    /// When the model was last asked, in milliseconds since 1970; 0 for never.
    pub fn last_inference(&self) -> u64 {
        self.clock.last.load(Ordering::Relaxed)
    }

    /// Rows predicted.
    pub fn rows_predicted(&self) -> u64 {
        self.rows.sum() as u64
    }

    /// Requests predicted.
    pub fn requests_predicted(&self) -> u64 {
        self.rows.count()
    }

    /// Counts a predicted batch. `filled` has the column of every value that was missing.
    pub fn predicted(&self, batch: &Batch, filled: &[usize], predictions: &Predictions) {
        self.rows.observe(batch.rows() as f64);
        for (column, feature) in self.features.iter().enumerate() {
            let values = batch.iter().map(|row| row[column]);
            feature.count_outside(values.clone());
            self.bins.count(column, values);
        }
        for column in filled {
            self.features[*column].invalid[InvalidFeature::Missing as usize].inc();
        }
        match predictions {
            Predictions::Classes {
                labels,
                probabilities,
            } => self.classified(labels, probabilities.as_deref()),
            Predictions::Values(values) => {
                self.predictions[0].inc_by(values.len() as u64);
                self.distributed(values.iter().copied());
            }
        }
    }

    /// Counts the value that a request was refused for, if there is one.
    pub fn refused(&self, error: &RequestError) {
        if let RequestError::Value {
            column, problem, ..
        } = error
            && let Some(reason) = problem.reason()
        {
            self.features[*column].invalid[reason as usize].inc();
        }
    }

    fn classified(&self, labels: &[usize], probabilities: Option<&[f64]>) {
        for label in labels {
            self.predictions[*label].inc();
        }
        let classes = self.predictions.len();
        match probabilities {
            Some(probabilities) => {
                self.distributed(probabilities[1..].iter().step_by(classes).copied());
            }
            // A label is shown as the reference profile shows it.
            None => self.distributed(labels.iter().map(|label| *label as f64)),
        }
    }

    fn distributed(&self, values: impl Iterator<Item = f64> + Clone) {
        values
            .clone()
            .for_each(|value| self.distribution.observe(value));
        self.bins.count(self.features.len(), values);
    }
}

impl Clock {
    fn new() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            born: Instant::now(),
            unix: unix.unwrap_or_default().as_millis() as u64,
            last: AtomicU64::new(0),
        }
    }

    fn tick(&self, now: Instant) {
        let age = now.saturating_duration_since(self.born).as_millis() as u64;
        let now = self.unix + age;
        // Most requests find it written already, and leave the cache line where it is.
        if self.last.load(Ordering::Relaxed) != now {
            self.last.store(now, Ordering::Relaxed);
        }
    }
}

impl FeatureMetrics {
    fn count_outside(&self, values: impl Iterator<Item = f64>) {
        let outside = |value| u64::from(!self.range.contains(&value));
        let outside = values.map(outside).sum();
        if outside > 0 {
            self.invalid[InvalidFeature::Range as usize].inc_by(outside);
        }
    }
}

/// Whether a value that is invalid for `reason` is answered with an error.
const fn refuses(feature: &artifact::Feature, reason: InvalidFeature) -> bool {
    match reason {
        InvalidFeature::Missing => feature.fill.is_none(),
        InvalidFeature::Type => true,
        InvalidFeature::Range => false,
    }
}

fn outcomes(family: &CounterVec, version: &str, signature: &Signature) -> Vec<Counter> {
    let outcome = |name: &str| family.with_label_values(&[version, name]);
    match signature.task {
        Task::Classification => signature
            .classes
            .iter()
            .map(|class| outcome(&class.name))
            .collect(),
        Task::Regression => vec![outcome(OUTCOME_VALUE)],
    }
}
