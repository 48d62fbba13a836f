//! Series of one metric: one for each set of label values, as long as there is room.

use super::label::Value;
use super::tally::Tally;
use crate::serve::metrics::labels;
use arc_swap::ArcSwap;
use contract::business::{BusinessKind, BusinessMetric, MOST_LABELS};
use prometheus::core::{Collector, Desc, Describer as _};
use prometheus::proto::{LabelPair, MetricFamily, MetricType};
use prometheus::{Error, Opts};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// Help text of a metric that comes without.
const HELP: &str = "Counted as the configuration says.";

/// Time series that all metrics together may still take.
#[derive(Debug)]
pub(super) struct Room(AtomicUsize);

/// The index of each label's value; 0 beyond the last label.
type Set = [u16; MOST_LABELS];

/// All series of a metric.
#[derive(Debug)]
pub(super) struct Family {
    desc: Desc,
    kind: BusinessKind,
    edges: Vec<f64>,
    /// By label values. Those who look need no lock, see [`super::label::Label`].
    sets: ArcSwap<HashMap<Set, Arc<Series>>>,
    /// Sets besides [`Self::rest`].
    most: usize,
    /// For sets without a place of their own; the only one of a metric without labels.
    rest: OnceLock<Arc<Series>>,
    series_per_set: usize,
    room: Arc<Room>,
}

/// What was observed under one set of label values.
#[derive(Debug)]
pub(super) struct Series {
    labels: Vec<LabelPair>,
    tally: Tally,
}

impl Room {
    /// For `series`.
    pub(super) const fn new(series: usize) -> Self {
        Self(AtomicUsize::new(series))
    }

    fn has(&self, series: usize) -> bool {
        self.0.load(Ordering::Relaxed) >= series
    }

    fn take(&self, series: usize) -> bool {
        let left = |room: usize| room.checked_sub(series);
        let (order, update) = (Ordering::Relaxed, &self.0);
        update.fetch_update(order, order, left).is_ok()
    }

    fn give_back(&self, series: usize) {
        self.0.fetch_add(series, Ordering::Relaxed);
    }
}

impl Family {
    /// Of `metric`, without any series yet.
    ///
    /// # Errors
    /// If it has names that Prometheus does not admit.
    pub(super) fn new(metric: &BusinessMetric, room: &Arc<Room>) -> Result<Self, Error> {
        let help = match metric.help.as_str() {
            "" => HELP,
            help => help,
        };
        let names = metric.labels.iter().map(|label| label.name.clone());
        let options = Opts::new(&metric.name, help).variable_labels(names.collect());
        let series_per_set = metric.series_per_set();
        // Kept for the rest: all others fit beside it.
        room.take(series_per_set);
        Ok(Self {
            desc: options.describe()?,
            kind: metric.kind,
            edges: metric.edges().to_vec(),
            sets: ArcSwap::default(),
            most: metric.most_sets() - 1,
            rest: OnceLock::new(),
            series_per_set,
            room: Arc::clone(room),
        })
    }

    /// Whether there is room for another set of label values.
    pub(super) fn has_room(&self) -> bool {
        self.sets.load().len() < self.most && self.room.has(self.series_per_set)
    }

    /// The series of `values`, one for each label; None if there is no room for it.
    pub(super) fn series(&self, values: &[Value<'_>]) -> Option<Arc<Series>> {
        let mut set = Set::default();
        for (at, value) in set.iter_mut().zip(values) {
            *at = value.at;
        }
        let sets = self.sets.load();
        match sets.get(&set) {
            Some(series) => Some(Arc::clone(series)),
            None if sets.len() >= self.most => None,
            None => self.admit(set, values),
        }
    }

    /// The series for all sets without one of their own, which has `values`.
    pub(super) fn rest(&self, values: &[Value<'_>]) -> Arc<Series> {
        Arc::clone(self.rest.get_or_init(|| Arc::new(self.new_series(values))))
    }

    /// Counts `value`, `times` over.
    pub(super) fn observe(&self, series: &Series, value: f64, times: u64) {
        series.tally.observe(&self.edges, value, times);
    }

    fn admit(&self, set: Set, values: &[Value<'_>]) -> Option<Arc<Series>> {
        if !self.room.take(self.series_per_set) {
            return None;
        }
        let series = Arc::new(self.new_series(values));
        let mut admitted = None;
        self.sets.rcu(|sets| {
            let mut sets = HashMap::clone(sets);
            if sets.len() < self.most {
                sets.entry(set).or_insert_with(|| Arc::clone(&series));
            }
            admitted = sets.get(&set).cloned();
            sets
        });
        // Another thread was faster.
        if !admitted.as_ref().is_some_and(|it| Arc::ptr_eq(it, &series)) {
            self.room.give_back(self.series_per_set);
        }
        admitted
    }

    fn new_series(&self, values: &[Value<'_>]) -> Series {
        let values: Vec<&str> = values.iter().map(|value| value.text).collect();
        Series {
            labels: labels(&self.desc.variable_labels, &values),
            tally: Tally::new(&self.edges),
        }
    }
}

/// A family that the registry gathers while others count in it.
#[derive(Debug)]
pub(super) struct Shared(pub(super) Arc<Family>);

impl Collector for Shared {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.0.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let all = self.0.sets.load();
        let all = all.values().chain(self.0.rest.get());
        let all = all.map(|series| {
            let (edges, labels) = (&self.0.edges, series.labels.clone());
            series.tally.metric(self.0.kind, edges, labels)
        });
        let mut family = MetricFamily::default();
        family.set_metric(all.collect());
        family.set_name(self.0.desc.fq_name.clone());
        family.set_help(self.0.desc.help.clone());
        family.set_field_type(match self.0.kind {
            BusinessKind::Counter => MetricType::COUNTER,
            BusinessKind::Histogram => MetricType::HISTOGRAM,
            BusinessKind::Average => MetricType::SUMMARY,
        });
        vec![family]
    }
}
