//! The same numbers once more under the names of other systems: made of the gathered families while
//! they are scraped, so that requests pay nothing for it.

mod rules;

use contract::compatibility::{Alias, AliasKind, Compatibility};
use contract::metrics as table;
use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType, Summary,
};
use rules::{RULES, Rule, Take, Text};
use std::collections::BTreeMap;

/// What `systems` call what `gathered` has.
pub(super) fn families(systems: &[Compatibility], gathered: &[MetricFamily]) -> Vec<MetricFamily> {
    let rules = RULES.iter();
    let spoken = rules.filter(|rule| systems.contains(&rule.alias.system));
    let families = spoken.map(|rule| translate(rule, gathered));
    // A route that nobody has called has no series, and the encoder wants some.
    families
        .filter(|family| !family.get_metric().is_empty())
        .collect()
}

/// The model that is served.
struct Model<'a> {
    name: &'a str,
    version: &'a str,
}

/// A series, or several of them together.
#[derive(Debug, Default)]
struct Numbers {
    /// Of a counter or gauge, or the sum of a histogram.
    value: f64,
    count: u64,
    /// Upper edges, and how many observations are below.
    buckets: Vec<(f64, u64)>,
}

fn translate(rule: &Rule, gathered: &[MetricFamily]) -> MetricFamily {
    let model = model(gathered);
    let mut all: BTreeMap<Vec<&str>, Numbers> = BTreeMap::new();
    let series = series(gathered, rule.source.name).iter();
    for metric in series.filter(|metric| (rule.only)(metric.get_label())) {
        let text = |source: &Text| source.of(metric.get_label(), &model);
        let values = rule.labels.iter().map(text).collect();
        all.entry(values).or_default().add(&Numbers::of(metric));
    }
    let Alias { name, help, .. } = rule.alias;
    let mut family = MetricFamily::default();
    family.set_name((*name).to_owned());
    family.set_help((*help).to_owned());
    family.set_field_type(kind(rule.alias.kind));
    let metrics = all.into_iter().map(|(values, numbers)| {
        let labels = labels(rule.alias.labels, &values);
        numbers.taken(rule.take).metric(rule.alias.kind, labels)
    });
    family.set_metric(metrics.collect());
    family
}

fn series<'a>(gathered: &'a [MetricFamily], name: &str) -> &'a [Metric] {
    let family = gathered.iter().find(|family| family.name() == name);
    family.map_or(&[], MetricFamily::get_metric)
}

fn model(gathered: &[MetricFamily]) -> Model<'_> {
    let info = series(gathered, table::MODEL_INFO.name).first();
    let info = info.map_or(&[][..], Metric::get_label);
    Model {
        name: label(info, "model"),
        version: label(info, "version"),
    }
}

/// The value of the label called `name`, empty if there is none.
fn label<'a>(labels: &'a [LabelPair], name: &str) -> &'a str {
    let found = labels.iter().find(|label| label.name() == name);
    found.map_or("", LabelPair::value)
}

fn labels(names: &[&str], values: &[&str]) -> Vec<LabelPair> {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    super::labels(&names, values)
}

const fn kind(kind: AliasKind) -> MetricType {
    match kind {
        AliasKind::Counter => MetricType::COUNTER,
        AliasKind::Gauge => MetricType::GAUGE,
        AliasKind::Histogram => MetricType::HISTOGRAM,
        AliasKind::Summary => MetricType::SUMMARY,
    }
}

impl Numbers {
    fn of(metric: &Metric) -> Self {
        let histogram = metric.get_histogram();
        let buckets = histogram.get_bucket().iter();
        Self {
            value: metric.get_counter().get_value()
                + metric.get_gauge().get_value()
                + histogram.get_sample_sum(),
            count: histogram.get_sample_count(),
            buckets: buckets
                .map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()))
                .collect(),
        }
    }

    /// Adds a series of the same family, which thus has the same edges.
    fn add(&mut self, other: &Self) {
        self.value += other.value;
        self.count += other.count;
        if self.buckets.is_empty() {
            self.buckets.clone_from(&other.buckets);
            return;
        }
        for ((_, below), (_, more)) in self.buckets.iter_mut().zip(&other.buckets) {
            *below += more;
        }
    }

    fn taken(mut self, take: Take) -> Self {
        match take {
            Take::Same => {}
            Take::Count => self.value = self.count as f64,
            Take::Total => self.value = self.value.floor(),
            Take::Microseconds => self.value = (self.value * 1e6).floor(),
        }
        self
    }

    fn metric(self, kind: AliasKind, labels: Vec<LabelPair>) -> Metric {
        let mut metric = Metric::from_label(labels);
        match kind {
            AliasKind::Counter => {
                let mut counter = Counter::default();
                counter.set_value(self.value);
                metric.set_counter(counter);
            }
            AliasKind::Gauge => {
                let mut gauge = Gauge::default();
                gauge.set_value(self.value);
                metric.set_gauge(gauge);
            }
            AliasKind::Histogram => metric.set_histogram(self.histogram()),
            AliasKind::Summary => {
                let mut summary = Summary::default();
                summary.set_sample_sum(self.value);
                summary.set_sample_count(self.count);
                metric.set_summary(summary);
            }
        }
        metric
    }

    fn histogram(&self) -> Histogram {
        let mut histogram = Histogram::default();
        let buckets = self.buckets.iter().map(|(edge, below)| {
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(*edge);
            bucket.set_cumulative_count(*below);
            bucket
        });
        histogram.set_bucket(buckets.collect());
        histogram.set_sample_sum(self.value);
        histogram.set_sample_count(self.count);
        histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::compatibility::ALIASES;

    #[test]
    fn every_alias_has_one_rule_with_its_labels() {
        let ruled = RULES.iter().map(|rule| rule.alias.name);
        let declared = ALIASES.iter().map(|alias| alias.name);
        assert!(ruled.eq(declared));
        for rule in RULES {
            let (labels, declared) = (rule.labels.len(), rule.alias.labels.len());
            assert_eq!(labels, declared, "{}", rule.alias.name);
        }
    }

    #[test]
    fn every_label_that_a_rule_reads_is_one_of_its_source() {
        for rule in RULES {
            for text in rule.labels {
                if let Text::Label(name) = text {
                    assert!(rule.source.labels.contains(name), "{}", rule.alias.name);
                }
            }
        }
    }

    #[test]
    fn histograms_are_added_bucket_by_bucket() {
        let numbers = |value, buckets: &[(f64, u64)]| Numbers {
            value,
            count: 5,
            buckets: buckets.to_vec(),
        };
        let mut sum = Numbers::default();
        sum.add(&numbers(0.25, &[(1.0, 2), (2.0, 3)]));
        sum.add(&numbers(0.5, &[(1.0, 1), (2.0, 4)]));
        assert_eq!(sum.buckets, [(1.0, 3), (2.0, 7)]);
        assert_eq!((sum.value, sum.count), (0.75, 10));
        assert_eq!(sum.taken(Take::Microseconds).value, 750_000.0);
    }
}
