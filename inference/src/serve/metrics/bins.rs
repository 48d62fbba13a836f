//! How often values fell into the bins of the reference profiles, which is what drift is computed
//! from. A request moves one counter of each feature: all of them lie close together in memory.

use super::families::Families;
use super::sharded::labels;
use super::shards::Shards;
use crate::artifact::Profile;
use contract::limits::MOST_BINS;
use contract::metrics as table;
use prometheus::core::{Collector, Desc, Describer as _};
use prometheus::proto::{self, LabelPair, MetricFamily, MetricType};
use prometheus::{Error, GaugeVec, Opts};
use std::sync::Arc;

/// A counter for each bin of some profiles.
#[derive(Debug, Clone)]
pub(super) struct Bins(Arc<Series>);

#[derive(Debug)]
struct Series {
    desc: Desc,
    /// Of each bin.
    labels: Vec<Vec<LabelPair>>,
    /// Of each profile: its first bin, and its edges.
    profiles: Vec<(usize, Edges)>,
    /// One for each bin, one profile after the other.
    counts: Shards,
}

/// Inner edges of a profile. Where it has fewer than it may have the rest is infinite, and no value
/// is above that.
type Edges = [f64; MOST_BINS - 1];

fn edges(profile: &Profile) -> Edges {
    let mut edges = [f64::INFINITY; MOST_BINS - 1];
    let known = edges.iter_mut().zip(&profile.edges);
    known.for_each(|(edge, known)| *edge = *known);
    edges
}

/// Index of the bin that holds `value`, as [`Profile::bin`] finds it, but without a branch: nobody can
/// foresee which bin the next value is in.
fn bin(edges: &Edges, value: f64) -> usize {
    edges.iter().map(|edge| usize::from(*edge < value)).sum()
}

impl Bins {
    /// All at 0; what the bins are, and the share of the training data in each, goes into gauges.
    pub(super) fn new(
        families: &Families<'_>,
        version: &str,
        profiles: &[(&str, &Profile)],
    ) -> Result<Self, Error> {
        let metric = &table::FEATURE_BIN;
        let names = metric
            .labels
            .iter()
            .map(|name| (*name).to_owned())
            .collect();
        let options = Opts::new(metric.name, metric.help).variable_labels(names);
        let (mut all, mut series) = (Vec::new(), Vec::new());
        let reference = Reference::new(families, version)?;
        for (feature, profile) in profiles {
            all.push((series.len(), edges(profile)));
            for bin in 0..profile.shares.len() {
                let values = [version, feature, &name(bin)];
                series.push(labels(&options.variable_labels, &values));
                reference.describe(feature, profile, bin);
            }
        }
        let bins = Self(Arc::new(Series {
            desc: options.describe()?,
            counts: Shards::new(series.len()),
            labels: series,
            profiles: all,
        }));
        families.register(bins)
    }

    /// Counts `values` of the profile at `at`.
    ///
    /// Adds up before it counts: an addition to what others read takes as long as many to what
    /// they do not.
    pub(super) fn count(&self, at: usize, mut values: impl Iterator<Item = f64> + Clone) {
        let Series {
            profiles, counts, ..
        } = &*self.0;
        let (first, edges) = &profiles[at];
        let mut rest = values.clone();
        if let (Some(only), None) = (rest.next(), rest.next()) {
            return counts.add(first + bin(edges, only), 1);
        }
        let mut found = [0_u64; MOST_BINS];
        values
            .by_ref()
            .for_each(|value| found[bin(edges, value)] += 1);
        for (bin, found) in found.into_iter().enumerate() {
            if found > 0 {
                counts.add(first + bin, found);
            }
        }
    }
}

impl Collector for Bins {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.0.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let series = self.0.labels.iter().enumerate().map(|(bin, labels)| {
            let mut counter = proto::Counter::default();
            counter.set_value(self.0.counts.total(bin) as f64);
            let mut metric = proto::Metric::default();
            metric.set_label(labels.clone());
            metric.set_counter(counter);
            metric
        });
        let mut family = MetricFamily::default();
        family.set_name(self.0.desc.fq_name.clone());
        family.set_help(self.0.desc.help.clone());
        family.set_field_type(MetricType::COUNTER);
        family.set_metric(series.collect());
        vec![family]
    }
}

/// What the training data says about the bins.
struct Reference<'a> {
    version: &'a str,
    shares: GaugeVec,
}

impl<'a> Reference<'a> {
    fn new(families: &Families<'_>, version: &'a str) -> Result<Self, Error> {
        Ok(Self {
            version,
            shares: families.gauge(&table::FEATURE_REFERENCE)?,
        })
    }

    fn describe(&self, feature: &str, profile: &Profile, bin: usize) {
        let (name, range) = (name(bin), range(&profile.edges, bin));
        let share = [self.version, feature, &name, &range];
        self.shares
            .with_label_values(&share)
            .set(profile.shares[bin]);
    }
}

/// Of equal width, so that bins sort as numbers do.
fn name(bin: usize) -> String {
    format!("{bin:02}")
}

/// `(1.5, 2.25]`; the first and last bins are open-ended.
fn range(edges: &[f64], bin: usize) -> String {
    let below = bin.checked_sub(1).and_then(|below| edges.get(below));
    match (below, edges.get(bin)) {
        (Some(low), Some(high)) => format!("({low}, {high}]"),
        (Some(low), None) => format!("({low}, +Inf)"),
        (None, Some(high)) => format!("(-Inf, {high}]"),
        (None, None) => "(-Inf, +Inf)".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bin_is_found_as_the_profile_finds_it() {
        for known in 0..MOST_BINS {
            let profile = Profile {
                edges: (0..known).map(|edge| edge as f64).collect(),
                shares: vec![1.0 / (known + 1) as f64; known + 1],
            };
            let edges = edges(&profile);
            let around = (-1..=10).flat_map(|edge| [-0.5, 0.0, 0.5].map(|by| f64::from(edge) + by));
            let extremes = [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, f64::MAX];
            for value in around.chain(extremes) {
                assert_eq!(bin(&edges, value), profile.bin(value), "{value} in {known}");
            }
        }
    }

    #[test]
    fn ranges_show_the_edges_of_their_bin() {
        let edges = [1.5, 2.25];
        let shown: Vec<_> = (0..3).map(|bin| range(&edges, bin)).collect();
        assert_eq!(shown, ["(-Inf, 1.5]", "(1.5, 2.25]", "(2.25, +Inf)"]);
        assert_eq!(range(&[], 0), "(-Inf, +Inf)");
    }
}
