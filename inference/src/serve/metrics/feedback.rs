//! Ground truth: the confusion matrix of a classifier, the errors of a regression.

use super::families::Families;
use super::sharded::Histogram;
use crate::artifact::Task;
use crate::serve::signature::Signature;
use contract::labels::FeedbackRejection;
use contract::metrics as table;
use prometheus::{Counter, Error, Gauge, IntCounter};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Metrics of accepted and refused ground truth.
#[derive(Debug)]
pub struct FeedbackMetrics {
    /// By predicted class, then by actual class.
    confusion: Vec<Vec<IntCounter>>,
    /// None for a classifier.
    regression: Option<RegressionMetrics>,
    rejected: Vec<IntCounter>,
    delay: Histogram,
    last: Gauge,
    /// None for classes that are no numbers.
    rmse: Option<Histogram>,
}

#[derive(Debug)]
struct RegressionMetrics {
    rows: IntCounter,
    absolute: Counter,
    squared: Counter,
}

/// A prediction and what it should have been.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scored {
    /// Class indexes.
    Class {
        /// As predicted.
        predicted: usize,
        /// The truth.
        actual: usize,
    },
    /// Predicted minus actual value.
    Residual(f64),
}

impl FeedbackMetrics {
    pub(super) fn new(
        families: &Families<'_>,
        version: &str,
        signature: &Signature,
    ) -> Result<Self, Error> {
        let confusion = families.counter(&table::FEEDBACK)?;
        let cell = |predicted: &str, actual: &str| {
            let correct = if predicted == actual { "true" } else { "false" };
            confusion.with_label_values(&[version, predicted, actual, correct])
        };
        let names = || signature.classes.iter().map(|class| class.name.as_str());
        let rejected = families.counter(&table::FEEDBACK_REJECTED)?;
        Ok(Self {
            confusion: names()
                .map(|predicted| names().map(|actual| cell(predicted, actual)).collect())
                .collect(),
            regression: match signature.task {
                Task::Classification => None,
                Task::Regression => Some(RegressionMetrics::new(families, version)?),
            },
            rejected: FeedbackRejection::ALL
                .iter()
                .map(|reason| rejected.with_label_values(&[reason.as_str()]))
                .collect(),
            delay: families
                .histogram(&table::FEEDBACK_DELAY)?
                .with_label_values(&[version]),
            last: families
                .gauge(&table::FEEDBACK_LAST)?
                .with_label_values(&[version]),
            rmse: rmse(families, version, signature)?,
        })
    }

    /// Counts a row that became known `delay` after its prediction.
    pub fn accepted(&self, scored: Scored, delay: Duration, now: SystemTime) {
        match scored {
            Scored::Class { predicted, actual } => self.confusion[predicted][actual].inc(),
            Scored::Residual(residual) => {
                if let Some(regression) = &self.regression {
                    regression.count(residual);
                }
            }
        }
        self.delay.observe(delay.as_secs_f64());
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.last.set(now.as_secs_f64());
    }

    /// Counts a refused row.
    pub fn rejected(&self, reason: FeedbackRejection) {
        self.rejected[reason as usize].inc();
    }

    /// Observes the error of one batch of ground truth.
    pub fn batch(&self, rmse: f64) {
        if let Some(family) = &self.rmse {
            family.observe(rmse);
        }
    }
}

/// Errors of values, or of classes that are numbers; of others nobody can tell how far off they are.
fn rmse(
    families: &Families<'_>,
    version: &str,
    signature: &Signature,
) -> Result<Option<Histogram>, Error> {
    let classes = &signature.classes;
    if !classes.is_empty() && classes.iter().all(|class| class.number.is_none()) {
        return Ok(None);
    }
    let family = families.histogram(&table::VALIDATION_RMSE)?;
    Ok(Some(family.with_label_values(&[version])))
}

impl RegressionMetrics {
    fn new(families: &Families<'_>, version: &str) -> Result<Self, Error> {
        let sum = |metric| -> Result<Counter, Error> {
            Ok(families.sum(metric)?.with_label_values(&[version]))
        };
        Ok(Self {
            rows: families
                .counter(&table::FEEDBACK_ROWS)?
                .with_label_values(&[version]),
            absolute: sum(&table::FEEDBACK_ABSOLUTE_ERROR)?,
            squared: sum(&table::FEEDBACK_SQUARED_ERROR)?,
        })
    }

    fn count(&self, residual: f64) {
        self.rows.inc();
        self.absolute.inc_by(residual.abs());
        self.squared.inc_by(residual * residual);
    }
}
