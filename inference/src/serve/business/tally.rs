//! The numbers of one series, or of the series of one histogram or average.

use contract::business::BusinessKind;
use prometheus::proto::{Bucket, Counter, Histogram, LabelPair, Metric, Summary};
use std::sync::atomic::{AtomicU64, Ordering};

/// How often something was how large. A scrape sees every observation in its bucket and in the
/// count; one that happens at the same moment may be missing from the sum.
#[derive(Debug)]
pub(super) struct Tally {
    /// The count of each bucket; the last has no upper bound.
    buckets: Box<[AtomicU64]>,
    /// Bits of the sum.
    sum: AtomicU64,
}

impl Tally {
    /// Nothing yet; all observations go with the same `edges`.
    pub(super) fn new(edges: &[f64]) -> Self {
        let zeros = std::iter::repeat_with(AtomicU64::default);
        Self {
            buckets: zeros.take(edges.len() + 1).collect(),
            sum: AtomicU64::new(0.0_f64.to_bits()),
        }
    }

    /// Counts `value`, `times` over.
    pub(super) fn observe(&self, edges: &[f64], value: f64, times: u64) {
        let bucket = edges.iter().position(|edge| value <= *edge);
        let bucket = &self.buckets[bucket.unwrap_or(edges.len())];
        bucket.fetch_add(times, Ordering::Relaxed);
        let amount = value * times as f64;
        let add = |bits| Some((f64::from_bits(bits) + amount).to_bits());
        // It is never given up.
        let _ = self
            .sum
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// As a series of `kind` with `labels`.
    pub(super) fn metric(
        &self,
        kind: BusinessKind,
        edges: &[f64],
        labels: Vec<LabelPair>,
    ) -> Metric {
        let mut metric = Metric::from_label(labels);
        let counts = self.buckets.iter();
        let counts: Vec<u64> = counts.map(|count| count.load(Ordering::Relaxed)).collect();
        let sum = f64::from_bits(self.sum.load(Ordering::Relaxed));
        let count = counts.iter().sum();
        match kind {
            BusinessKind::Counter => {
                let mut counter = Counter::default();
                counter.set_value(sum);
                metric.set_counter(counter);
            }
            BusinessKind::Average => {
                let mut summary = Summary::default();
                summary.set_sample_sum(sum);
                summary.set_sample_count(count);
                metric.set_summary(summary);
            }
            BusinessKind::Histogram => {
                let mut histogram = Histogram::default();
                histogram.set_bucket(cumulated(edges, &counts));
                histogram.set_sample_sum(sum);
                histogram.set_sample_count(count);
                metric.set_histogram(histogram);
            }
        }
        metric
    }
}

fn cumulated(edges: &[f64], counts: &[u64]) -> Vec<Bucket> {
    let mut below = 0;
    let buckets = edges.iter().zip(counts).map(|(edge, count)| {
        below += count;
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(*edge);
        bucket.set_cumulative_count(below);
        bucket
    });
    buckets.collect()
}
