//! Which metrics of the user's own can be: whatever Prometheus, its conventions or the server's own
//! metrics stand in the way of is refused before anything is counted.

use super::{
    BusinessKind, BusinessLabel, BusinessMetric, BusinessValue, LONGEST_VALUE, LabelSource,
    MOST_BUCKETS, MOST_LABELS, MOST_METRICS, MOST_SERIES, MOST_SERIES_IN_ALL, RequestValue,
};
use crate::compatibility::ALIASES;
use crate::limits::LONGEST_NAME;
use crate::metrics::METRICS;
use std::collections::HashSet;
use std::fmt;

/// Labels that Prometheus adds by itself, for buckets or where it scrapes.
const RESERVED_LABELS: [&str; 9] = [
    "le",
    "quantile",
    "namespace",
    "modelservice",
    "pod",
    "service",
    "container",
    "job",
    "instance",
];

/// Words that PromQL does not take for the name of a label or of a metric, in capitals or not.
const RESERVED_WORDS: [&str; 3] = ["without", "nan", "inf"];

/// Beginnings of the names that Prometheus, the collectors of clusters and the operator give: who may
/// define metrics shall not be able to silence the alerts of others.
const RESERVED_BEGINNINGS: [&str; 8] = [
    "process_",
    "scrape_",
    "__",
    "modelservice_",
    "kube_",
    "kubelet_",
    "container_",
    "node_",
];
/// Series that Prometheus makes by itself.
const RESERVED_NAMES: [&str; 3] = ["up", "ALERTS", "ALERTS_FOR_STATE"];

/// Why metrics of the user's own cannot be. Displayed as where, what, and what is expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusinessProblem {
    place: String,
    message: String,
}

impl fmt::Display for BusinessProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "businessMetrics{}: {}", self.place, self.message)
    }
}

impl std::error::Error for BusinessProblem {}

/// Whether the server can count `metrics` besides its own.
///
/// # Errors
/// The first thing that cannot be, where it is, and what is expected.
pub fn check(metrics: &[BusinessMetric]) -> Result<(), BusinessProblem> {
    let found = metrics.len();
    ensure(found <= MOST_METRICS, || {
        format!("{found} metrics, expected at most {MOST_METRICS}")
    })?;
    let mut taken = HashSet::new();
    for metric in metrics {
        let place = format!(", metric {}", brief(&metric.name));
        let checked = check_metric(metric).and_then(|()| claim(metric, &mut taken));
        checked.map_err(|problem| problem.within(&place))?;
    }
    // Besides those that are listed, each metric has the set that stands for all others.
    let series = |metric: &BusinessMetric| (metric.listed_sets() + 1) * metric.series_per_set();
    let found: usize = metrics.iter().map(series).sum();
    ensure(found <= MOST_SERIES_IN_ALL, || {
        format!("{found} time series from the start, expected at most {MOST_SERIES_IN_ALL}")
    })
}

impl BusinessProblem {
    fn within(self, place: &str) -> Self {
        let place = format!("{place}{}", self.place);
        Self { place, ..self }
    }
}

fn ensure(holds: bool, message: impl FnOnce() -> String) -> Result<(), BusinessProblem> {
    match holds {
        true => Ok(()),
        false => Err(BusinessProblem {
            place: String::new(),
            message: message(),
        }),
    }
}

fn check_metric(metric: &BusinessMetric) -> Result<(), BusinessProblem> {
    ensure(is_identifier(&metric.name), || {
        not_a_name("a metric", &metric.name)
    })?;
    check_buckets(metric)?;
    if let BusinessValue::Parameter(name) = &metric.value {
        check_parameter(name)?;
    }
    let found = metric.labels.len();
    ensure(found <= MOST_LABELS, || {
        format!("{found} labels, expected at most {MOST_LABELS}")
    })?;
    for (at, label) in metric.labels.iter().enumerate() {
        let place = format!(", label {}", brief(&label.name));
        check_repeated(label, &metric.labels[..at])
            .and_then(|()| check_label(label, metric))
            .map_err(|problem| problem.within(&place))?;
    }
    let by_outcome = |label: &BusinessLabel| label.source == LabelSource::Outcome;
    let rows = metric.value == BusinessValue::Request(RequestValue::Rows);
    ensure(!rows || !metric.labels.iter().any(by_outcome), || {
        "the rows of a request by outcome, expected no value: then each row is 1".to_owned()
    })?;
    check_known_sets(metric)
}

/// Takes the names of `metric`, none of which may be there already.
fn claim(metric: &BusinessMetric, taken: &mut HashSet<String>) -> Result<(), BusinessProblem> {
    let mut names = metric.series();
    // A rule makes a series of this name.
    names.push(metric.name.clone());
    names.dedup();
    for name in names {
        if let Some(owner) = owner(&name) {
            let message = format!(
                "the name {} is that of {owner}, expected another",
                brief(&name)
            );
            return ensure(false, || message);
        }
        let message = format!(
            "the name {} is that of a metric before, expected another",
            brief(&name)
        );
        ensure(taken.insert(name), || message)?;
    }
    Ok(())
}

/// Who has a metric or series called `name` already.
fn owner(name: &str) -> Option<&'static str> {
    let is = |taken: &str, series: Vec<String>| taken == name || series.iter().any(|it| it == name);
    if METRICS.iter().any(|own| is(own.name, own.series())) {
        return Some("a metric of the server");
    }
    if ALIASES.iter().any(|alias| is(alias.name, alias.series())) {
        return Some("a metric that the server shows for another system");
    }
    let standard = RESERVED_BEGINNINGS
        .iter()
        .any(|start| name.starts_with(start));
    let reserved = standard || RESERVED_NAMES.contains(&name) || is_word(name);
    reserved.then_some("a standard metric")
}

fn is_word(name: &str) -> bool {
    let mut words = RESERVED_WORDS.iter();
    words.any(|word| word.eq_ignore_ascii_case(name))
}

fn check_buckets(metric: &BusinessMetric) -> Result<(), BusinessProblem> {
    let (buckets, found) = (&metric.buckets, metric.buckets.len());
    ensure(
        buckets.is_empty() || metric.kind == BusinessKind::Histogram,
        || "buckets, expected none: only a histogram has any".to_owned(),
    )?;
    ensure(found <= MOST_BUCKETS, || {
        format!("{found} buckets, expected at most {MOST_BUCKETS}")
    })?;
    if let Some(edge) = buckets.iter().find(|edge| !edge.is_finite()) {
        return ensure(false, || {
            format!("the bucket {edge}, expected a finite number")
        });
    }
    let falls = buckets.windows(2).find(|pair| pair[0] >= pair[1]);
    ensure(falls.is_none(), || {
        let pair = falls.unwrap_or_default();
        format!("the buckets {pair:?}, expected rising ones")
    })
}

fn check_parameter(name: &str) -> Result<(), BusinessProblem> {
    ensure((1..=LONGEST_NAME).contains(&name.len()), || {
        let name = brief(name);
        format!("the parameter {name}, expected a name of 1 to {LONGEST_NAME} bytes")
    })
}

fn check_label(label: &BusinessLabel, metric: &BusinessMetric) -> Result<(), BusinessProblem> {
    let name = label.name.as_str();
    ensure(is_identifier(name), || not_a_name("a label", name))?;
    let reserved = name.starts_with("__") || RESERVED_LABELS.contains(&name) || is_word(name);
    ensure(!reserved, || {
        "the name is one that Prometheus gives itself, expected another".to_owned()
    })?;
    match &label.source {
        LabelSource::Parameter(name) => check_parameter(name)?,
        LabelSource::Constant(value) => check_constant(label, value)?,
        LabelSource::Outcome | LabelSource::ApiKey => {}
    }
    check_values(label)?;
    check_max_values(label, metric)
}

fn check_repeated(label: &BusinessLabel, before: &[BusinessLabel]) -> Result<(), BusinessProblem> {
    let name = before.iter().any(|it| it.name == label.name);
    ensure(!name, || {
        "the name is that of a label before, expected another".to_owned()
    })?;
    let constant = matches!(label.source, LabelSource::Constant(_));
    let source = before.iter().any(|it| it.source == label.source);
    ensure(constant || !source, || {
        "the source is that of a label before, expected another".to_owned()
    })
}

fn check_constant(label: &BusinessLabel, value: &str) -> Result<(), BusinessProblem> {
    ensure(is_value(value), || not_a_value("constant", value))?;
    ensure(
        label.values.is_empty() && label.max_values.is_none(),
        || "values or maxValues beside a constant, expected neither".to_owned(),
    )
}

fn check_values(label: &BusinessLabel) -> Result<(), BusinessProblem> {
    for (at, value) in label.values.iter().enumerate() {
        ensure(is_value(value), || not_a_value("value", value))?;
        let twice = label.values[..at].contains(value);
        ensure(!twice, || {
            format!("the value {} is listed twice", brief(value))
        })?;
    }
    Ok(())
}

fn check_max_values(label: &BusinessLabel, metric: &BusinessMetric) -> Result<(), BusinessProblem> {
    let Some(found) = label.max_values else {
        return Ok(());
    };
    ensure(label.values.is_empty(), || {
        "maxValues beside values, expected one of them".to_owned()
    })?;
    // Besides those that stand for all others and for none.
    let most = metric.most_sets() - 2;
    ensure((1..=most).contains(&(found as usize)), || {
        let series = metric.series_per_set();
        format!(
            "maxValues is {found}, expected 1 to {most}: each value takes {series} of at most \
             {MOST_SERIES} time series"
        )
    })
}

/// Whether there is room for the label sets that exist from the start.
fn check_known_sets(metric: &BusinessMetric) -> Result<(), BusinessProblem> {
    let sets = metric.listed_sets();
    // Besides the one that stands for all others.
    let most = metric.most_sets() - 1;
    ensure(sets <= most, || {
        let series = metric.series_per_set();
        format!(
            "the listed values make {sets} sets of labels, expected at most {most}: each takes \
             {series} of at most {MOST_SERIES} time series"
        )
    })
}

/// Letters, digits and `_`; a colon is for names that rules make.
fn is_identifier(name: &str) -> bool {
    let admitted = |char: char| char.is_ascii_alphanumeric() || char == '_';
    (1..=LONGEST_NAME).contains(&name.len())
        && !name.starts_with(|char: char| char.is_ascii_digit())
        && name.chars().all(admitted)
}

fn not_a_name(what: &str, name: &str) -> String {
    let found = brief(name);
    format!(
        "{found} is no name for {what}, expected 1 to {LONGEST_NAME} letters, digits or '_' that \
         do not begin with a digit"
    )
}

fn is_value(value: &str) -> bool {
    (1..=LONGEST_VALUE).contains(&value.len())
}

fn not_a_value(what: &str, value: &str) -> String {
    let found = brief(value);
    format!("the {what} {found}, expected 1 to {LONGEST_VALUE} bytes")
}

/// As much of it as a person needs to find it, quoted.
fn brief(text: &str) -> String {
    let (start, rest) = text.split_at(text.floor_char_boundary(LONGEST_NAME));
    format!("{start:?}{}", if rest.is_empty() { "" } else { "…" })
}
