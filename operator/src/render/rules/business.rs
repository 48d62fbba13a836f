//! Averages of business metrics, under the names that users gave them.

use super::subject::Subject;
use crate::plan::Average;
use crate::prometheus_operator::Record;
use crate::promql::{labels, sum_over};

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
        match average.signed {
            true => change(subject, average, &name, &by),
            false => sum_over(subject.id(), "rate", (&name, &[]), window, &by),
        }
    };
    Record {
        record: average.name.clone(),
        expr: format!("{} / ({} > 0)", part("sum"), part("count")),
    }
}

/// What `name` grew by, or shrank: a sum that falls is no counter that began anew. Pods whose count did
/// begin anew are left out.
fn change(subject: &Subject<'_>, average: &Average, name: &str, by: &[&str]) -> String {
    let window = subject.monitoring.window;
    let count = subject.series(&format!("{}_count", average.name));
    format!(
        "sum by ({}) (delta({}[{window}]) unless resets({count}[{window}]) > 0)",
        labels(by),
        subject.series(name)
    )
}
