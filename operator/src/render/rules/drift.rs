//! Whether values are spread as they were in training, by the population stability index (PSI) of
//! each feature: Σ (actual - reference) · ln(actual / reference) over its bins.
//!
//! It is computed here and not in the pods: a mean of the indexes of pods grows with their number.

use super::subject::Subject;
use crate::plan::Watch;
use crate::prometheus_operator::Record;
use crate::promql::{increase, labels, quote};
use contract::labels::PREDICTION_FEATURE;
use contract::metrics::{FEATURE_BIN, FEATURE_REFERENCE};

/// Added to the count of each bin, so that none is empty and no logarithm infinite.
const SMOOTHING: f64 = 0.5;
/// The share of the training data in a bin is taken for at least this.
const LEAST_SHARE: &str = "1e-4";

/// Values in each bin, over the pods and the window.
const BY_BIN: &str = "modelservice_feature_bin:model_feature_bin:increase";
/// Values of each feature.
const BY_FEATURE: &str = "modelservice_feature:model_feature_bin:increase";
/// The index of each feature.
const INDEX: &str = "modelservice_feature:model_feature_psi:ratio";

/// What is recorded about drift.
pub(super) fn recordings(subject: &Subject<'_>) -> Vec<Record> {
    let Some(Watch { window, .. }) = subject.monitoring.drift else {
        return Vec::new();
    };
    let counted = increase(
        subject.id(),
        &FEATURE_BIN,
        window,
        &["model_version", "feature", "bin"],
    );
    let bins = subject.series(BY_BIN);
    let rules = [
        (BY_BIN, counted),
        (BY_FEATURE, format!("sum without (bin) ({bins})")),
        (INDEX, stability_index(subject)),
    ];
    rules.map(Record::from).to_vec()
}

/// The index, less what it would be expected to be for values drawn from the reference itself: (bins - 1) / values.
fn stability_index(subject: &Subject<'_>) -> String {
    let (bins, values) = (subject.series(BY_BIN), subject.series(BY_FEATURE));
    let bin_count = format!("count without (bin) ({bins})");
    let actual = format!(
        "(({bins} + {SMOOTHING}) / ignoring (bin) group_left () ({values} + {SMOOTHING} * {bin_count}))"
    );
    // Whatever else the pods say of a bin is not part of its identity.
    let reference = format!(
        "clamp_min(max by ({}) ({}), {LEAST_SHARE})",
        labels(&["model_version", "feature", "bin"]),
        subject.series(FEATURE_REFERENCE.name)
    );
    format!(
        "sum without (bin) (({actual} - {reference}) * ln({actual} / {reference})) - ({bin_count} - 1) / ({values} > 0)"
    )
}

/// A feature is spread otherwise than in training.
pub(super) fn of_a_feature(subject: &Subject<'_>) -> Option<String> {
    above(subject, "!=")
}

/// Predictions are spread otherwise than in training.
pub(super) fn of_the_prediction(subject: &Subject<'_>) -> Option<String> {
    above(subject, "=")
}

fn above(subject: &Subject<'_>, is: &str) -> Option<String> {
    let Watch {
        threshold,
        minimum_samples,
        ..
    } = subject.monitoring.drift?;
    let feature = format!("feature{is}{}", quote(PREDICTION_FEATURE));
    let (index, values) = (
        subject.series_with(INDEX, &[&feature]),
        subject.series_with(BY_FEATURE, &[&feature]),
    );
    Some(format!(
        "{index} > {threshold} and {values} >= {minimum_samples}"
    ))
}
