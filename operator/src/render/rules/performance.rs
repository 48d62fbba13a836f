//! Whether ground truth agrees with the predictions as well as it did in training.

use super::subject::Subject;
use crate::plan::{Watch, Window};
use crate::prometheus_operator::Record;
use crate::promql::{labels, number, quote, rate};
use contract::labels::Score;
use contract::metrics::{
    FEEDBACK, FEEDBACK_ABSOLUTE_ERROR, FEEDBACK_ROWS, FEEDBACK_SQUARED_ERROR, Metric,
    REFERENCE_SCORE,
};

/// A rate needs several scrapes.
const SCRAPES_IN_RATE: u64 = 4;

const VERSION: &[&str] = &["model_version"];

/// What comes in per second. Windows are long here, and to add these up takes a sample an evaluation
/// instead of one a scrape.
const CONFUSION_RATE: &str = "modelservice_confusion:model_feedback:rate";
const ROW_RATE: &str = "modelservice:model_feedback_rows:rate";
const SQUARED_ERROR_RATE: &str = "modelservice:model_feedback_squared_error:rate";
const ABSOLUTE_ERROR_RATE: &str = "modelservice:model_feedback_absolute_error:rate";

/// The confusion matrix over the window.
const CONFUSION: &str = "modelservice_confusion:model_feedback:increase";
const ACCURACY: &str = "modelservice:model_accuracy:ratio";
/// By class: of the rows predicted as it, the share that is of it.
const PRECISION: &str = "modelservice_class:model_precision:ratio";
/// By class: of the rows of it, the share predicted as it.
const RECALL: &str = "modelservice_class:model_recall:ratio";
/// Rows of ground truth of a regression over the window.
const ROWS: &str = "modelservice:model_feedback_rows:increase";
const RMSE: &str = "modelservice:model_rmse:sqrt";
const MAE: &str = "modelservice:model_mae:mean";

/// What is recorded about performance: of a classifier or of a regression, whichever it is.
pub(super) fn recordings(subject: &Subject<'_>) -> Vec<Record> {
    let Some(Watch { window, .. }) = subject.monitoring.performance else {
        return Vec::new();
    };
    let mut rules = classification(subject, window);
    rules.extend(regression(subject, window));
    rules.into_iter().map(Record::from).collect()
}

/// How often the rules are evaluated, and how far back each evaluation looks: a scrape further than to
/// an earlier one, because what comes in between two scrapes belongs to neither side's samples. So all that
/// comes in is seen by as many evaluations, one unless scrapes are rare.
fn steps(subject: &Subject<'_>, window: Window) -> (u64, Window) {
    let (step, every) = (
        subject.step(window).seconds,
        subject.monitoring.scrape.every.seconds,
    );
    let steps = ((SCRAPES_IN_RATE - 1) * every).div_ceil(step);
    let seconds = steps * step + every;
    (step, Window { seconds })
}

/// What `metric` adds per second.
fn rate_of(subject: &Subject<'_>, metric: &Metric, window: Window, by: &[&str]) -> String {
    let (_, back) = steps(subject, window);
    rate(subject.id(), metric, back, by)
}

/// What the series `rate` comes to over `window`.
fn total(subject: &Subject<'_>, rate: &str, window: Window) -> String {
    let (step, _) = steps(subject, window);
    format!("sum_over_time({}[{window}]) * {step}", subject.series(rate))
}

fn classification(subject: &Subject<'_>, window: Window) -> Vec<(&'static str, String)> {
    let by = ["model_version", "predicted", "actual", "correct"];
    let (all, version) = (subject.series(CONFUSION), labels(VERSION));
    let right = subject.series_with(CONFUSION, &["correct=\"true\""]);
    let shares = format!("sum by ({version}) ({right}) / (sum by ({version}) ({all}) > 0)");
    vec![
        (CONFUSION_RATE, rate_of(subject, &FEEDBACK, window, &by)),
        (CONFUSION, total(subject, CONFUSION_RATE, window)),
        (ACCURACY, shares),
        (PRECISION, of_class(&right, &all, "predicted")),
        (RECALL, of_class(&right, &all, "actual")),
    ]
}

/// Of all cells of each class along `axis`, the share of the right ones.
fn of_class(right: &str, all: &str, axis: &str) -> String {
    let class = labels(&["model_version", "class"]);
    let sum = |cells: &str| {
        let named = format!("label_replace({cells}, \"class\", \"$1\", \"{axis}\", \"(.*)\")");
        format!("sum by ({class}) ({named})")
    };
    format!("{} / ({} > 0)", sum(right), sum(all))
}

fn regression(subject: &Subject<'_>, window: Window) -> Vec<(&'static str, String)> {
    let per_second = |metric: &Metric| rate_of(subject, metric, window, VERSION);
    let over_window = |rate: &str| total(subject, rate, window);
    let mean = |rate: &str| format!("{} / ({} > 0)", over_window(rate), subject.series(ROWS));
    vec![
        (ROW_RATE, per_second(&FEEDBACK_ROWS)),
        (SQUARED_ERROR_RATE, per_second(&FEEDBACK_SQUARED_ERROR)),
        (ABSOLUTE_ERROR_RATE, per_second(&FEEDBACK_ABSOLUTE_ERROR)),
        (ROWS, over_window(ROW_RATE)),
        (RMSE, format!("sqrt({})", mean(SQUARED_ERROR_RATE))),
        (MAE, mean(ABSOLUTE_ERROR_RATE)),
    ]
}

/// The model is worse than it was in training.
pub(super) fn degraded(subject: &Subject<'_>) -> Option<String> {
    let Watch {
        threshold,
        minimum_samples,
        ..
    } = subject.monitoring.performance?;
    let version = labels(VERSION);
    let reference = |score: Score| {
        let score = format!("score={}", quote(score.as_str()));
        let series = subject.series_with(REFERENCE_SCORE.name, &[&score]);
        format!("max by ({version}) ({series})")
    };
    let known = format!("sum by ({version}) ({})", subject.series(CONFUSION));
    Some(format!(
        "({} < {} * {} and {known} >= {minimum_samples}) or ({} > {} * {} and {} >= {minimum_samples})",
        subject.series(ACCURACY),
        number((1.0 - threshold).max(0.0)),
        reference(Score::Accuracy),
        subject.series(RMSE),
        number(1.0 + threshold),
        reference(Score::Rmse),
        subject.series(ROWS),
    ))
}
