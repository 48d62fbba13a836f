//! The counters, gauges and histograms that every request moves, in shards.

use super::exemplar::{Exemplar, Exemplars};
use super::shards::Shards;
use opentelemetry::TraceId;
use prometheus::core::{
    Atomic, GenericCounter, GenericCounterVec, GenericGauge, GenericGaugeVec, Number,
};
use prometheus::core::{Metric, MetricVec, MetricVecBuilder};
use prometheus::proto::{self, LabelPair, MetricType};
use prometheus::{Error, HistogramOpts};
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::SystemTime;

/// Counts what happens.
pub(super) type Counter = GenericCounter<Sharded<u64>>;
/// Counters of one name.
pub(super) type CounterVec = GenericCounterVec<Sharded<u64>>;
/// Counts what there is.
pub(super) type Level = GenericGauge<Sharded<i64>>;
/// Levels of one name.
pub(super) type LevelVec = GenericGaugeVec<Sharded<i64>>;
/// Histograms of one name.
pub(super) type HistogramVec = MetricVec<HistogramBuilder>;

/// A whole number in shards.
#[derive(Debug)]
pub struct Sharded<N>(Shards, PhantomData<N>);

/// A whole number of 64 bits.
pub trait Word: Number {
    /// Its bits: sums of bits are the bits of sums.
    fn bits(self) -> u64;

    /// The number with these bits.
    fn of(bits: u64) -> Self;
}

impl Word for u64 {
    fn bits(self) -> u64 {
        self
    }

    fn of(bits: u64) -> Self {
        bits
    }
}

impl Word for i64 {
    fn bits(self) -> u64 {
        self.cast_unsigned()
    }

    fn of(bits: u64) -> Self {
        bits.cast_signed()
    }
}

impl<N: Word> Atomic for Sharded<N> {
    type T = N;

    fn new(value: N) -> Self {
        let number = Self(Shards::new(1), PhantomData);
        number.inc_by(value);
        number
    }

    fn set(&self, value: N) {
        let change = value.bits().wrapping_sub(self.0.total(0));
        self.0.add(0, change);
    }

    fn get(&self) -> N {
        N::of(self.0.total(0))
    }

    fn inc_by(&self, amount: N) {
        self.0.add(0, amount.bits());
    }

    fn dec_by(&self, amount: N) {
        self.0.add(0, amount.bits().wrapping_neg());
    }
}

/// How often something was how large. A scrape sees every observation in its bucket and in the
/// count; one that happens at the same moment may be missing from the sum.
#[derive(Debug, Clone)]
pub struct Histogram(Arc<Series>);

#[derive(Debug)]
struct Series {
    labels: Vec<LabelPair>,
    /// Upper edges of the buckets, ascending; the last bucket has none.
    edges: Vec<f64>,
    /// The count of each bucket, and after them the sum of what was observed.
    numbers: Shards,
    exemplars: Exemplars,
}

impl Histogram {
    /// Counts `value`.
    pub fn observe(&self, value: f64) {
        let Series { edges, numbers, .. } = &*self.0;
        numbers.add(self.bucket(value), 1);
        numbers.add_float(edges.len() + 1, value);
    }

    /// Remembers that `value`, which has been counted, is that of a request in the trace.
    pub fn exemplify(&self, value: f64, trace_id: TraceId) {
        let exemplar = Exemplar {
            trace_id,
            value,
            at: SystemTime::now(),
        };
        let Series {
            edges, exemplars, ..
        } = &*self.0;
        exemplars.keep(self.bucket(value), edges.len() + 1, exemplar);
    }

    /// The last exemplar of each bucket; empty if there are none.
    pub(super) fn exemplars(&self) -> Vec<Option<Exemplar>> {
        self.0.exemplars.by_bucket()
    }

    /// Its labels, in the order of the exposition.
    pub(super) fn labels(&self) -> &[LabelPair] {
        &self.0.labels
    }

    fn bucket(&self, value: f64) -> usize {
        let edges = &self.0.edges;
        let bucket = edges.iter().position(|edge| value <= *edge);
        bucket.unwrap_or(edges.len())
    }

    /// How many values were observed.
    pub fn count(&self) -> u64 {
        self.buckets().sum()
    }

    /// The sum of all of them.
    pub fn sum(&self) -> f64 {
        self.0.numbers.total_float(self.0.edges.len() + 1)
    }

    fn buckets(&self) -> impl Iterator<Item = u64> {
        (0..=self.0.edges.len()).map(|bucket| self.0.numbers.total(bucket))
    }
}

impl Metric for Histogram {
    fn metric(&self) -> proto::Metric {
        let mut histogram = proto::Histogram::default();
        histogram.set_sample_sum(self.sum());
        let counts: Vec<u64> = self.buckets().collect();
        let mut below = 0;
        let buckets = self.0.edges.iter().zip(&counts).map(|(edge, count)| {
            below += count;
            let mut bucket = proto::Bucket::default();
            bucket.set_upper_bound(*edge);
            bucket.set_cumulative_count(below);
            bucket
        });
        histogram.set_bucket(buckets.collect());
        histogram.set_sample_count(counts.iter().sum());
        let mut metric = proto::Metric::default();
        metric.set_label(self.0.labels.clone());
        metric.set_histogram(histogram);
        metric
    }
}

/// Makes the histograms of one name.
#[derive(Debug, Clone)]
pub(super) struct HistogramBuilder;

impl MetricVecBuilder for HistogramBuilder {
    type M = Histogram;
    type P = HistogramOpts;

    fn build<V: AsRef<str>>(
        &self,
        options: &HistogramOpts,
        values: &[V],
    ) -> Result<Histogram, Error> {
        Ok(Histogram(Arc::new(Series {
            labels: labels(&options.common_opts.variable_labels, values),
            edges: options.buckets.clone(),
            numbers: Shards::new(options.buckets.len() + 2),
            exemplars: Exemplars::default(),
        })))
    }
}

/// `names` with their `values`, in the order of the exposition.
pub(in crate::serve) fn labels<V: AsRef<str>>(names: &[String], values: &[V]) -> Vec<LabelPair> {
    let labels = names.iter().zip(values).map(|(name, value)| {
        let mut label = LabelPair::default();
        label.set_name(name.clone());
        label.set_value(value.as_ref().to_owned());
        label
    });
    let mut labels: Vec<_> = labels.collect();
    labels.sort_by(|one, other| one.name().cmp(other.name()));
    labels
}

/// A family of histograms with `labels`.
///
/// # Errors
/// If `options` make no valid family.
pub(super) fn histograms(options: HistogramOpts, labels: &[&str]) -> Result<HistogramVec, Error> {
    let labels = labels.iter().map(|label| (*label).to_owned()).collect();
    let options = HistogramOpts {
        common_opts: options.common_opts.variable_labels(labels),
        ..options
    };
    MetricVec::create(MetricType::HISTOGRAM, HistogramBuilder, options)
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::core::Collector as _;
    use prometheus::{Encoder as _, TextEncoder};

    /// What the crate's own histogram says after the same observations.
    fn reference(values: &[f64], options: HistogramOpts) -> String {
        let family = prometheus::HistogramVec::new(options, &["b", "a"]).unwrap();
        let series = family.with_label_values(&["1", "2"]);
        values.iter().for_each(|value| series.observe(*value));
        text(&family.collect())
    }

    fn text(families: &[proto::MetricFamily]) -> String {
        let mut text = Vec::new();
        TextEncoder::new().encode(families, &mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn a_histogram_shows_what_that_of_the_crate_shows() {
        let options = || HistogramOpts::new("size", "Size.").buckets(vec![1.0, 2.5, 10.0]);
        let values = [0.0, 1.0, 1.5, 2.5, 2.75, 10.0, 11.0, f64::INFINITY];
        for many in 0..=values.len() {
            let family = histograms(options(), &["b", "a"]).unwrap();
            let series = family.with_label_values(&["1", "2"]);
            values[..many]
                .iter()
                .for_each(|value| series.observe(*value));
            let expected = reference(&values[..many], options());
            assert_eq!(text(&family.collect()), expected);
            assert_eq!(series.count(), many as u64);
        }
    }

    #[test]
    fn a_level_goes_down_as_it_goes_up() {
        let level = Level::new("active", "Requests.").unwrap();
        level.add(3);
        std::thread::scope(|scope| scope.spawn(|| level.dec()).join()).unwrap();
        assert_eq!(level.get(), 2);
        level.set(-5);
        assert_eq!(level.get(), -5);
    }

    #[test]
    fn a_counter_can_be_set_back() {
        let counter = Counter::new("done", "Done.").unwrap();
        counter.inc_by(7);
        counter.reset();
        assert_eq!(counter.get(), 0);
    }
}
