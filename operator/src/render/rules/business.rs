//! Averages of business metrics, under the names that users gave them.

use super::subject::Subject;
use crate::plan::Average;
use crate::prometheus_operator::Record;
use crate::promql::sum_over;

/// What is recorded about business metrics.
pub(super) fn recordings(subject: &Subject<'_>) -> Vec<Record> {
    let averages = subject.monitoring.averages.iter();
    averages.map(|average| record(subject, average)).collect()
}

fn record(subject: &Subject<'_>, average: &Average) -> Record {
    let window = subject.monitoring.window;
    let by: Vec<&str> = average.labels.iter().map(String::as_str).collect();
    let part = |part: &str| {
        let name = format!("{}_{part}", average.name);
        sum_over(subject.id(), "rate", (&name, &[]), window, &by)
    };
    Record {
        record: average.name.clone(),
        expr: format!("{} / ({} > 0)", part("sum"), part("count")),
    }
}
