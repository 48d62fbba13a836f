//! Rows of the contract's table → registered families.

use super::sharded::{CounterVec, HistogramVec, LevelVec, histograms};
use contract::metrics::{Buckets, Kind, Metric};
use prometheus::core::Collector;
use prometheus::{Error, GaugeVec, HistogramOpts, IntCounterVec, Opts, Registry};

/// Makes families of the contract's table and registers them.
#[derive(Debug)]
pub(super) struct Families<'a> {
    registry: &'a Registry,
    prediction_edges: &'a [f64],
}

impl<'a> Families<'a> {
    /// Families in `registry`; `prediction_edges` are the buckets that depend on the model.
    pub(super) const fn new(registry: &'a Registry, prediction_edges: &'a [f64]) -> Self {
        Self {
            registry,
            prediction_edges,
        }
    }

    /// A counter that many requests move.
    pub(super) fn busy_counter(&self, metric: &Metric) -> Result<CounterVec, Error> {
        debug_assert_eq!(metric.kind, Kind::Counter);
        self.register(CounterVec::new(options(metric), metric.labels)?)
    }

    /// A counter that moves now and then.
    pub(super) fn counter(&self, metric: &Metric) -> Result<IntCounterVec, Error> {
        debug_assert_eq!(metric.kind, Kind::Counter);
        self.register(IntCounterVec::new(options(metric), metric.labels)?)
    }

    /// A counter of something that is not counted in ones.
    pub(super) fn sum(&self, metric: &Metric) -> Result<prometheus::CounterVec, Error> {
        debug_assert_eq!(metric.kind, Kind::Counter);
        self.register(prometheus::CounterVec::new(options(metric), metric.labels)?)
    }

    pub(super) fn gauge(&self, metric: &Metric) -> Result<GaugeVec, Error> {
        debug_assert_eq!(metric.kind, Kind::Gauge);
        self.register(GaugeVec::new(options(metric), metric.labels)?)
    }

    /// A gauge of whole numbers.
    pub(super) fn level(&self, metric: &Metric) -> Result<LevelVec, Error> {
        debug_assert_eq!(metric.kind, Kind::Gauge);
        self.register(LevelVec::new(options(metric), metric.labels)?)
    }

    pub(super) fn histogram(&self, metric: &Metric) -> Result<HistogramVec, Error> {
        let edges = match metric.kind {
            Kind::Histogram(Buckets::Fixed(edges)) => edges,
            Kind::Histogram(Buckets::FromModel) => self.prediction_edges,
            Kind::Counter | Kind::Gauge => &[],
        };
        debug_assert!(matches!(metric.kind, Kind::Histogram(_)));
        let options = HistogramOpts::from(options(metric)).buckets(edges.to_vec());
        self.register(histograms(options, metric.labels)?)
    }

    pub(super) fn register<C: Collector + Clone + 'static>(&self, family: C) -> Result<C, Error> {
        self.registry.register(Box::new(family.clone()))?;
        Ok(family)
    }
}

fn options(metric: &Metric) -> Opts {
    Opts::new(metric.name, metric.help)
}
