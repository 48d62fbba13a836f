//! Whether values are such as the model was trained for.

use super::subject::Subject;
use crate::plan::Watch;
use crate::prometheus_operator::Record;
use crate::promql::{increase, labels, sum_over};
use contract::metrics::{BATCH_ROWS, FEATURE_INVALID, FEATURE_REFERENCE_MISSING};

/// Invalid values of each feature over the window, refused ones included.
const INVALID: &str = "modelservice_feature:model_feature_invalid:increase";
/// All values of each feature: those of predicted rows, and the refused ones, which are not among them.
const VALUES: &str = "modelservice_feature:model_feature_values:increase";
/// Their share of all values of the feature.
const SHARE: &str = "modelservice_feature:model_feature_invalid:ratio";
/// Predicted rows.
const ROWS: &str = "modelservice:model_batch_rows:increase";

/// What is recorded about data quality.
pub(super) fn recordings(subject: &Subject<'_>) -> Vec<Record> {
    let Some(Watch { window, .. }) = subject.monitoring.quality else {
        return Vec::new();
    };
    let id = subject.id();
    let predicted = format!("{}_sum", BATCH_ROWS.name);
    let series: (&str, &[&str]) = (&predicted, &[]);
    let by = ["model_version", "feature"];
    let found = increase(id, &FEATURE_INVALID, window, &by);
    let refused: (&str, &[&str]) = (FEATURE_INVALID.name, &["refused=\"true\""]);
    let refused = sum_over(id, "increase", refused, window, &by);
    let values = format!(
        "{refused} + on ({}) group_left () {}",
        labels(&["model_version"]),
        subject.series(ROWS)
    );
    let (part, all) = (subject.series(INVALID), subject.series(VALUES));
    let rules = [
        (
            ROWS,
            sum_over(id, "increase", series, window, &["model_version"]),
        ),
        (INVALID, found),
        (VALUES, values),
        (SHARE, format!("{part} / ({all} > 0)")),
    ];
    rules.map(Record::from).to_vec()
}

/// More of a feature's values are invalid than were missing in training and may be besides.
pub(super) fn poor(subject: &Subject<'_>) -> Option<String> {
    let Watch {
        threshold,
        minimum_samples,
        ..
    } = subject.monitoring.quality?;
    let share = subject.series(SHARE);
    let missing = subject.series(FEATURE_REFERENCE_MISSING.name);
    let feature = labels(&["model_version", "feature"]);
    // A feature that was never missing in training has no such series.
    let usual = format!("(max by ({feature}) ({missing}) or {share} * 0)");
    let seen = subject.series(VALUES);
    Some(format!(
        "{share} - {usual} > {threshold} and {seen} >= {minimum_samples}"
    ))
}
