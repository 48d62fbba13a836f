//! The text format of OpenMetrics 1.0: the same series as in that of Prometheus, and exemplars.
//!
//! What that format lets be no counter or histogram is shown as series of an unknown type, so that
//! no series has another name.

use super::exemplar::Exemplar;
use super::sharded::Histogram;
use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};
use std::fmt::Write as _;
use std::time::UNIX_EPOCH;

/// Its media type.
pub(super) const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const COUNTER_SUFFIX: &str = "_total";
const INFINITE: &str = "+Inf";

/// `families` as text, with the exemplars of `histograms`, each of which is in the family of the name
/// beside it.
pub(super) fn encode(families: &[MetricFamily], histograms: &[(&str, &Histogram)]) -> String {
    let mut page = Page {
        text: String::with_capacity(64 * 1024),
        histograms,
    };
    for family in families {
        match family.get_field_type() {
            MetricType::COUNTER => page.counter(family, families),
            MetricType::HISTOGRAM => page.histogram(family),
            MetricType::SUMMARY => page.summary(family),
            MetricType::GAUGE | MetricType::UNTYPED => page.gauge(family),
        }
    }
    page.text.push_str("# EOF\n");
    page.text
}

struct Page<'a> {
    text: String,
    histograms: &'a [(&'a str, &'a Histogram)],
}

/// Writes a part of a metric.
type Write<'a> = fn(&mut Page<'a>, &MetricFamily, &Metric);

impl<'a> Page<'a> {
    /// A counter is one only if its name ends as such, and is a family's name without that end.
    fn counter(&mut self, family: &MetricFamily, families: &[MetricFamily]) {
        let name = family.name();
        let is_free = |base: &&str| families.iter().all(|other| other.name() != *base);
        match name.strip_suffix(COUNTER_SUFFIX).filter(is_free) {
            Some(base) => self.head(base, "counter", family),
            None => self.head(name, "unknown", family),
        }
        for metric in family.get_metric() {
            let value = metric.get_counter().get_value();
            self.sample(name, metric.get_label(), value);
        }
    }

    fn gauge(&mut self, family: &MetricFamily) {
        self.head(family.name(), "gauge", family);
        for metric in family.get_metric() {
            let value = metric.get_gauge().get_value();
            self.sample(family.name(), metric.get_label(), value);
        }
    }

    /// Without quantiles: no family has any.
    fn summary(&mut self, family: &MetricFamily) {
        let (sum, count) = (part(family, "sum"), part(family, "count"));
        self.head(family.name(), "summary", family);
        for metric in family.get_metric() {
            let (labels, summary) = (metric.get_label(), metric.get_summary());
            self.sample(&count, labels, summary.sample_count() as f64);
            self.sample(&sum, labels, summary.sample_sum());
        }
    }

    /// The sum of a histogram with negative bounds could fall, which no histogram's may.
    fn histogram(&mut self, family: &MetricFamily) {
        let metrics = family.get_metric();
        let parts: [(&str, Write<'a>); 3] = [
            ("bucket", Self::buckets),
            ("count", Self::count),
            ("sum", Self::sum),
        ];
        if metrics.iter().any(has_negative_bounds) {
            for (suffix, write) in parts {
                self.head(&part(family, suffix), "unknown", family);
                metrics
                    .iter()
                    .for_each(|metric| write(self, family, metric));
            }
            return;
        }
        self.head(family.name(), "histogram", family);
        for metric in metrics {
            parts
                .iter()
                .for_each(|(_, write)| write(self, family, metric));
        }
    }

    fn buckets(&mut self, family: &MetricFamily, metric: &Metric) {
        let (name, labels) = (part(family, "bucket"), metric.get_label());
        let histogram = metric.get_histogram();
        let buckets = histogram.get_bucket().iter();
        let bounds =
            buckets.map(|bucket| (canonical(bucket.upper_bound()), bucket.cumulative_count()));
        let rest = (INFINITE.to_owned(), histogram.get_sample_count());
        let mut exemplars = self.exemplars(family.name(), labels).into_iter();
        for (bound, count) in bounds.chain([rest]) {
            self.series(&name, labels, Some(&bound), count as f64);
            if let Some(exemplar) = exemplars.next().flatten() {
                self.exemplar(&exemplar);
            }
            self.text.push('\n');
        }
    }

    fn count(&mut self, family: &MetricFamily, metric: &Metric) {
        let count = metric.get_histogram().get_sample_count() as f64;
        self.sample(&part(family, "count"), metric.get_label(), count);
    }

    fn sum(&mut self, family: &MetricFamily, metric: &Metric) {
        let sum = metric.get_histogram().get_sample_sum();
        self.sample(&part(family, "sum"), metric.get_label(), sum);
    }

    /// By bucket; empty if there are none.
    fn exemplars(&self, family: &str, labels: &[LabelPair]) -> Vec<Option<Exemplar>> {
        let is_it = |(name, histogram): &&(&str, &Histogram)| {
            *name == family && histogram.labels() == labels
        };
        let found = self.histograms.iter().find(is_it);
        found.map_or_else(Vec::new, |(_, histogram)| histogram.exemplars())
    }

    fn exemplar(&mut self, exemplar: &Exemplar) {
        let Exemplar {
            trace_id,
            value,
            at,
        } = exemplar;
        let at = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let at = at.as_secs_f64();
        self.write(format_args!(
            r#" # {{trace_id="{trace_id}"}} {value} {at:.3}"#
        ));
    }

    fn head(&mut self, name: &str, kind: &str, family: &MetricFamily) {
        let help = escaped(family.help());
        self.write(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    fn sample(&mut self, name: &str, labels: &[LabelPair], value: f64) {
        self.series(name, labels, None, value);
        self.text.push('\n');
    }

    fn series(&mut self, name: &str, labels: &[LabelPair], bound: Option<&str>, value: f64) {
        self.text.push_str(name);
        let pairs = labels.iter().map(|label| (label.name(), label.value()));
        let pairs = pairs.chain(bound.map(|bound| ("le", bound)));
        let mut next = '{';
        for (name, value) in pairs {
            let value = escaped(value);
            self.write(format_args!(r#"{next}{name}="{value}""#));
            next = ',';
        }
        if next == ',' {
            self.text.push('}');
        }
        self.text.push(' ');
        self.text.push_str(&number(value));
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        // A String takes everything.
        let _ = self.text.write_fmt(text);
    }
}

fn part(family: &MetricFamily, suffix: &str) -> String {
    format!("{}_{suffix}", family.name())
}

fn has_negative_bounds(metric: &Metric) -> bool {
    let mut buckets = metric.get_histogram().get_bucket().iter();
    buckets.any(|bucket| bucket.upper_bound() < 0.0)
}

fn escaped(text: &str) -> String {
    let text = text.replace('\\', r"\\").replace('\n', r"\n");
    text.replace('"', r#"\""#)
}

fn number(value: f64) -> String {
    match value {
        f64::INFINITY => INFINITE.to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        value => value.to_string(),
    }
}

/// A bound as everybody writes it, since labels are compared as text: `0.005`, `1.0`, `1e-05`.
fn canonical(bound: f64) -> String {
    let scientific = format!("{bound:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent @ (..-4 | 6..)) => format!("{digits}e{exponent:+03}"),
        Ok(_) | Err(_) => format!("{bound:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::metrics::sharded::histograms;
    use opentelemetry::TraceId;
    use prometheus::core::Collector as _;
    use prometheus::{Gauge, HistogramOpts, IntCounter};
    use rstest::rstest;

    #[rstest]
    #[case(0.0, "0.0")]
    #[case(0.000001, "1e-06")]
    #[case(0.000025, "2.5e-05")]
    #[case(0.0001, "0.0001")]
    #[case(0.25, "0.25")]
    #[case(1.0, "1.0")]
    #[case(-10.0, "-10.0")]
    #[case(100_000.0, "100000.0")]
    #[case(1e6, "1e+06")]
    #[case(16_777_216.0, "1.6777216e+07")]
    #[case(-1.5e-100, "-1.5e-100")]
    fn bounds_are_written_as_everybody_does(#[case] bound: f64, #[case] expected: &str) {
        assert_eq!(canonical(bound), expected);
    }

    #[test]
    fn a_counter_that_is_not_named_as_one_is_of_no_known_type() {
        let families = ["done_total", "moved"]
            .map(|name| IntCounter::new(name, "Say \"it\".\\\n").unwrap().collect());
        let expected = "# HELP done Say \\\"it\\\".\\\\\\n\n# TYPE done counter\ndone_total 0\n\
            # HELP moved Say \\\"it\\\".\\\\\\n\n# TYPE moved unknown\nmoved 0\n# EOF\n";
        assert_eq!(encode(&families.concat(), &[]), expected);
    }

    #[test]
    fn a_family_has_its_name_for_itself() {
        let counter = IntCounter::new("done_total", "Done.").unwrap();
        let gauge = Gauge::new("done", "Done.").unwrap();
        let text = encode(&[counter.collect(), gauge.collect()].concat(), &[]);
        assert!(text.contains("# TYPE done_total unknown\n"), "{text}");
        assert!(text.contains("# TYPE done gauge\n"), "{text}");
    }

    #[test]
    fn a_bucket_has_the_last_exemplar_that_fell_into_it() {
        let options = HistogramOpts::new("took", "Took.").buckets(vec![1.0, 2.0]);
        let family = histograms(options, &["a"]).unwrap();
        let series = family.with_label_values(&["x"]);
        for (value, trace) in [(0.5, 1), (3.0, 2), (4.0, 3)] {
            series.observe(value);
            series.exemplify(value, TraceId::from(trace));
        }
        let text = encode(&family.collect(), &[("took", &series)]);
        let lines: Vec<_> = text.lines().skip(2).collect();
        let [first, second, third, count, sum, end] = lines[..] else {
            panic!("{text}");
        };
        let trace = |id: u8| format!("# {{trace_id=\"{id:032x}\"}}");
        assert!(
            first.starts_with(&format!(
                "took_bucket{{a=\"x\",le=\"1.0\"}} 1 {} 0.5 1",
                trace(1)
            )),
            "{text}"
        );
        assert_eq!(second, "took_bucket{a=\"x\",le=\"2.0\"} 1");
        assert!(
            third.starts_with(&format!(
                "took_bucket{{a=\"x\",le=\"+Inf\"}} 3 {} 4 1",
                trace(3)
            )),
            "{text}"
        );
        assert_eq!(
            [count, sum, end],
            ["took_count{a=\"x\"} 3", "took_sum{a=\"x\"} 7.5", "# EOF"]
        );
    }

    #[test]
    fn a_histogram_whose_sum_may_fall_is_of_no_known_type() {
        let options = HistogramOpts::new("value", "Value.").buckets(vec![-1.0, 1.0]);
        let family = histograms(options, &[]).unwrap();
        let none: [&str; 0] = [];
        family.with_label_values(&none).observe(-3.0);
        let expected = "# HELP value_bucket Value.\n# TYPE value_bucket unknown\n\
            value_bucket{le=\"-1.0\"} 1\nvalue_bucket{le=\"1.0\"} 1\nvalue_bucket{le=\"+Inf\"} 1\n\
            # HELP value_count Value.\n# TYPE value_count unknown\nvalue_count 1\n\
            # HELP value_sum Value.\n# TYPE value_sum unknown\nvalue_sum -3\n# EOF\n";
        assert_eq!(encode(&family.collect(), &[]), expected);
    }
}
