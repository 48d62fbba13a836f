//! Metrics that users define themselves: fed from what requests carry and what the model answers.

mod check;

use crate::limits::{MOST_CLASSES, MOST_KEYS};
use crate::metrics::{Buckets, Kind, REQUEST_DURATION};
use serde::{Deserialize, Serialize};

pub use check::{BusinessProblem, check};

/// Metrics of one configuration.
pub const MOST_METRICS: usize = 20;
/// Labels of one metric.
pub const MOST_LABELS: usize = 5;
/// Buckets of one histogram, without that of `+Inf`.
pub const MOST_BUCKETS: usize = 30;
/// Time series of one metric, those of buckets counted. Sets of label values beyond them share the one
/// in which every value is [`OTHER`].
pub const MOST_SERIES: usize = 1_000;
/// Time series of all metrics of one configuration together.
pub const MOST_SERIES_IN_ALL: usize = 5_000;
/// Bytes of a label value; longer ones are [`OTHER`].
pub const LONGEST_VALUE: usize = 128;
/// Size of a number that is observed, at most: a sum that has one of them still tells a thousandth.
pub const LARGEST_OBSERVATION: f64 = 1e12;

/// Distinct values of a label whose values nobody listed; all further ones are [`OTHER`].
pub const DEFAULT_MAX_VALUES: u32 = 50;
/// Value of a label beyond those that are listed or counted.
pub const OTHER: &str = "other";
/// Value of a label that a request has no value for.
pub const NONE: &str = "none";

/// One metric of the user's own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct BusinessMetric {
    /// Name as Prometheus sees it.
    pub name: String,
    /// Help text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub help: String,
    /// How observations are summed up.
    #[serde(rename = "type")]
    pub kind: BusinessKind,
    /// What is observed.
    #[serde(default)]
    pub value: BusinessValue,
    /// Upper bounds of a histogram's buckets, rising, without `+Inf`; those of the request duration if
    /// there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buckets: Vec<f64>,
    /// What observations are told apart by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<BusinessLabel>,
}

impl BusinessMetric {
    /// Names of the series that Prometheus stores for this metric.
    pub fn series(&self) -> Vec<String> {
        let parts: &[&str] = match self.kind {
            BusinessKind::Counter => &[""],
            BusinessKind::Histogram => &["_bucket", "_sum", "_count"],
            BusinessKind::Average => &["_sum", "_count"],
        };
        let name = |part| format!("{}{part}", self.name);
        parts.iter().map(name).collect()
    }

    /// Upper bounds of its buckets, rising, without `+Inf`; none unless it is a histogram.
    pub fn edges(&self) -> &[f64] {
        match (self.kind, REQUEST_DURATION.kind) {
            (BusinessKind::Counter | BusinessKind::Average, _) => &[],
            (BusinessKind::Histogram, Kind::Histogram(Buckets::Fixed(edges)))
                if self.buckets.is_empty() =>
            {
                edges
            }
            (BusinessKind::Histogram, _) => &self.buckets,
        }
    }

    /// Time series of one set of label values.
    pub fn series_per_set(&self) -> usize {
        match self.kind {
            BusinessKind::Counter => 1,
            // That of +Inf, the sum and the count.
            BusinessKind::Histogram => self.edges().len() + 3,
            BusinessKind::Average => 2,
        }
    }

    /// Sets of label values for which there is room.
    pub fn most_sets(&self) -> usize {
        MOST_SERIES / self.series_per_set()
    }

    /// Sets of label values that are known from the start, if its labels have no other values than
    /// those that are listed; those of a label without a list are one.
    pub fn listed_sets(&self) -> usize {
        let listed = self.labels.iter().map(|label| label.values.len().max(1));
        listed.fold(1, usize::saturating_mul)
    }

    /// Whether it is observed for each predicted row, not once for each request.
    pub fn reads_output(&self) -> bool {
        let by_outcome = |label: &BusinessLabel| label.source == LabelSource::Outcome;
        matches!(self.value, BusinessValue::Output(_)) || self.labels.iter().any(by_outcome)
    }

    /// Names of the parameters that it reads, in any order, perhaps more than once.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        let value = match &self.value {
            BusinessValue::Parameter(name) => Some(name.as_str()),
            BusinessValue::One | BusinessValue::Output(_) | BusinessValue::Request(_) => None,
        };
        let labels = self.labels.iter().filter_map(|label| match &label.source {
            LabelSource::Parameter(name) => Some(name.as_str()),
            LabelSource::Outcome | LabelSource::ApiKey | LabelSource::Constant(_) => None,
        });
        labels.chain(value)
    }
}

impl BusinessLabel {
    /// Distinct values besides [`OTHER`] and [`NONE`].
    pub fn most_values(&self) -> usize {
        match (&self.source, self.values.len(), self.max_values) {
            (LabelSource::Constant(_), ..) => 1,
            (_, 0, Some(most)) => most as usize,
            (LabelSource::Parameter(_), 0, None) => DEFAULT_MAX_VALUES as usize,
            (LabelSource::Outcome, 0, None) => MOST_CLASSES,
            // One more for requests without a known key.
            (LabelSource::ApiKey, 0, None) => MOST_KEYS + 1,
            (_, listed, _) => listed,
        }
    }
}

/// How observations are summed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BusinessKind {
    /// Their sum; negative ones are refused.
    Counter,
    /// How many were how large.
    Histogram,
    /// `NAME_sum` and `NAME_count`; a recording rule makes `NAME` of them, the average over all pods.
    Average,
}

/// What is observed. Whatever reads the model's output is observed for each predicted row,
/// everything else once for each request to a predicting route. Only [`RequestValue::Success`] also
/// counts requests that were not answered with success.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BusinessValue {
    /// 1.
    #[default]
    One,
    /// The number that a request carries as a parameter.
    Parameter(String),
    /// A number that the model answers.
    Output(OutputValue),
    /// A number about the request.
    Request(RequestValue),
}

/// A number that the model answers for a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OutputValue {
    /// The predicted value, or the index of the predicted class.
    Prediction,
    /// Probability of the predicted class.
    Probability,
}

/// A number about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RequestValue {
    /// 1 if it was answered with success, else 0.
    Success,
    /// Seconds until its answer was ready.
    Seconds,
    /// Rows in it.
    Rows,
}

/// What observations are told apart by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct BusinessLabel {
    /// Name of the label.
    pub name: String,
    /// Where its values come from.
    pub source: LabelSource,
    /// The values that it may take; any if there is none, up to `max_values` of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// Distinct values, if none are listed. If absent, [`DEFAULT_MAX_VALUES`] of a parameter, and all
    /// of what the server knows itself: classes and keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_values: Option<u32>,
}

/// Where the values of a label come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LabelSource {
    /// A parameter of the request.
    Parameter(String),
    /// The predicted class; `value` for regression.
    Outcome,
    /// Id of the API key that the request carries.
    ApiKey,
    /// Always this.
    Constant(String),
}
