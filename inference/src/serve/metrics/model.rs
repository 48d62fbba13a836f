//! Predictions and the values they were made of, binned as the training data was.

use super::families::Families;
use crate::artifact::{Profile, Task};
use crate::load::LoadedModel;
use crate::model::{Batch, Predictions};
use crate::serve::error::Error as RequestError;
use crate::serve::signature::Signature;
use contract::labels::{InvalidFeature, OUTCOME_VALUE, PREDICTION_FEATURE};
use contract::metrics as table;
use prometheus::{Error, GaugeVec, Histogram, IntCounter, IntCounterVec};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Metrics of the served model.
#[derive(Debug)]
pub struct ModelMetrics {
    /// Seconds that the model took for one request.
    pub inference: Histogram,
    rows: Histogram,
    /// By class; a single one for regression.
    predictions: Vec<IntCounter>,
    distribution: Histogram,
    features: Vec<FeatureMetrics>,
    prediction: Bins,
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
    bins: Bins,
    /// Range seen in training.
    range: std::ops::RangeInclusive<f64>,
    /// By reason.
    invalid: Vec<IntCounter>,
}

/// One counter per bin of a reference profile.
#[derive(Debug)]
struct Bins {
    profile: Profile,
    counters: Vec<IntCounter>,
}

impl ModelMetrics {
    pub(super) fn new(
        families: &Families<'_>,
        loaded: &LoadedModel,
        signature: &Signature,
    ) -> Result<Self, Error> {
        let version = loaded.version.as_str();
        let reference = &loaded.manifest.reference;
        let bins = BinFamilies::new(families, version)?;
        let invalid = families.counter(&table::FEATURE_INVALID)?;
        let feature = |(feature, profile): (&crate::artifact::Feature, &Profile)| FeatureMetrics {
            bins: bins.of(&feature.name, profile),
            range: feature.min..=feature.max,
            invalid: InvalidFeature::ALL
                .iter()
                .map(|reason| invalid.with_label_values(&[version, &feature.name, reason.as_str()]))
                .collect(),
        };
        let histogram = |metric| -> Result<Histogram, Error> {
            Ok(families.histogram(metric)?.with_label_values(&[version]))
        };
        Ok(Self {
            inference: histogram(&table::INFERENCE_DURATION)?,
            rows: histogram(&table::BATCH_ROWS)?,
            predictions: outcomes(&families.counter(&table::PREDICTIONS)?, version, signature),
            distribution: histogram(&table::PREDICTION_DISTRIBUTION)?,
            features: signature
                .features
                .iter()
                .zip(&reference.features)
                .map(feature)
                .collect(),
            prediction: bins.of(PREDICTION_FEATURE, &reference.prediction),
            clock: Clock::new(),
        })
    }

    /// Observes how long the model took for a request since `begin`.
    pub fn took(&self, begin: Instant) {
        let end = Instant::now();
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
        self.rows.get_sample_sum() as u64
    }

    /// Requests predicted.
    pub fn requests_predicted(&self) -> u64 {
        self.rows.get_sample_count()
    }

    /// Counts a predicted batch. `filled` has the column of every value that was missing.
    pub fn predicted(&self, batch: &Batch, filled: &[usize], predictions: &Predictions) {
        self.rows.observe(batch.rows() as f64);
        for (column, feature) in self.features.iter().enumerate() {
            feature.count(batch.iter().map(|row| row[column]));
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
        self.prediction.count(values);
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
        self.last.store(self.unix + age, Ordering::Relaxed);
    }
}

impl FeatureMetrics {
    fn count(&self, values: impl Iterator<Item = f64> + Clone) {
        self.bins.count(values.clone());
        let outside = values.filter(|value| !self.range.contains(value)).count();
        if outside > 0 {
            self.invalid[InvalidFeature::Range as usize].inc_by(outside as u64);
        }
    }
}

impl Bins {
    /// Adds up before it counts: an addition to a shared counter takes as long as many to a local
    /// one.
    fn count(&self, mut values: impl Iterator<Item = f64> + Clone) {
        let mut rest = values.clone();
        if let (Some(only), None) = (rest.next(), rest.next()) {
            return self.counters[self.profile.bin(only)].inc();
        }
        let mut found = vec![0_u64; self.counters.len()];
        values
            .by_ref()
            .for_each(|value| found[self.profile.bin(value)] += 1);
        for (counter, found) in self.counters.iter().zip(found) {
            if found > 0 {
                counter.inc_by(found);
            }
        }
    }
}

/// The three families that have one series per bin.
struct BinFamilies<'a> {
    version: &'a str,
    counts: IntCounterVec,
    shares: GaugeVec,
    info: GaugeVec,
}

impl<'a> BinFamilies<'a> {
    fn new(families: &Families<'_>, version: &'a str) -> Result<Self, Error> {
        Ok(Self {
            version,
            counts: families.counter(&table::FEATURE_BIN)?,
            shares: families.gauge(&table::FEATURE_REFERENCE)?,
            info: families.gauge(&table::FEATURE_BIN_INFO)?,
        })
    }

    fn of(&self, feature: &str, profile: &Profile) -> Bins {
        let counter = |(bin, share): (usize, &f64)| {
            // Of equal width, so that bins sort as numbers do.
            let name = format!("{bin:02}");
            let labels = [self.version, feature, &name];
            self.shares.with_label_values(&labels).set(*share);
            let range = range(&profile.edges, bin);
            let described = [self.version, feature, &name, &range];
            self.info.with_label_values(&described).set(1.0);
            self.counts.with_label_values(&labels)
        };
        Bins {
            counters: profile.shares.iter().enumerate().map(counter).collect(),
            profile: profile.clone(),
        }
    }
}

fn outcomes(family: &IntCounterVec, version: &str, signature: &Signature) -> Vec<IntCounter> {
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

/// `(1.5, 2.25]`; the first and last bins are open-ended.
fn range(edges: &[f64], bin: usize) -> String {
    let below = bin.checked_sub(1).and_then(|below| edges.get(below));
    match (below, edges.get(bin)) {
        (Some(low), Some(high)) => format!("({low}, {high}]"),
        (Some(low), None) => format!("({low}, +Inf)"),
        (None, Some(high)) => format!("(-Inf, {high}]"),
        (None, None) => "(-Inf, +Inf)".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_show_the_edges_of_their_bin() {
        let edges = [1.5, 2.25];
        let shown: Vec<_> = (0..3).map(|bin| range(&edges, bin)).collect();
        assert_eq!(shown, ["(-Inf, 1.5]", "(1.5, 2.25]", "(2.25, +Inf)"]);
        assert_eq!(range(&[], 0), "(-Inf, +Inf)");
    }
}
