//! The operator's own metrics.

mod services;

pub use services::Name;

use crate::api::{ModelService, ModelServiceStatus};
use crate::clients::Calls;
use crate::error::Category;
use kube::ResourceExt;
use prometheus::{
    Encoder, Histogram, HistogramOpts, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};
use services::Services;
use std::collections::HashSet;
use std::time::Instant;

/// The operator's own metrics.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    duration: Histogram,
    errors: IntCounterVec,
    active: IntGauge,
    waiting: IntGauge,
    leader: IntGauge,
    calls: Calls,
    services: Services,
}

impl Metrics {
    /// Registers every family.
    pub fn new() -> Result<Self, prometheus::Error> {
        let metrics = Self {
            registry: Registry::new(),
            duration: Histogram::with_opts(
                HistogramOpts::new(
                    "modelservice_reconcile_duration_seconds",
                    "Seconds that one reconcile took.",
                )
                .buckets(vec![
                    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
                    30.0,
                ]),
            )?,
            errors: IntCounterVec::new(
                Opts::new(
                    "modelservice_reconcile_errors_total",
                    "Reconciles that failed, by category.",
                ),
                &["category"],
            )?,
            active: IntGauge::new("modelservice_reconciles_active", "Reconciles running now.")?,
            waiting: IntGauge::new(
                "modelservice_reconciles_waiting",
                "ModelServices that wait for their turn to be reconciled.",
            )?,
            leader: IntGauge::new(
                "modelservice_leader",
                "1 while this operator leads, 0 while it stands by.",
            )?,
            calls: Calls::new()?,
            services: Services::default(),
        };
        metrics.register()?;
        Ok(metrics)
    }

    fn register(&self) -> Result<(), prometheus::Error> {
        for category in Category::ALL {
            self.errors.with_label_values(&[category.as_str()]);
        }
        let Self {
            registry,
            duration,
            errors,
            active,
            waiting,
            leader,
            calls,
            services: _,
        } = self;
        registry.register(Box::new(duration.clone()))?;
        registry.register(Box::new(errors.clone()))?;
        registry.register(Box::new(active.clone()))?;
        registry.register(Box::new(waiting.clone()))?;
        registry.register(Box::new(leader.clone()))?;
        registry.register(Box::new(calls.metric()))?;
        registry.register(Box::new(
            prometheus::process_collector::ProcessCollector::for_self(),
        ))
    }

    /// Counts the calls of the API server.
    pub const fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Notes that this operator leads.
    pub fn leads(&self) {
        self.leader.set(1);
    }

    /// Notes how many ModelServices wait for their turn.
    pub fn waiting(&self, count: usize) {
        self.waiting.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Counts and times a reconcile until the guard is dropped, however it ends.
    pub fn reconcile(&self) -> ReconcileGuard<'_> {
        self.active.inc();
        ReconcileGuard {
            metrics: self,
            start: Instant::now(),
        }
    }

    /// Counts a failed reconcile.
    pub fn failed(&self, category: Category) {
        self.errors.with_label_values(&[category.as_str()]).inc();
    }

    /// Shows what a status says.
    pub fn observe(&self, ms: &ModelService, wanted: i32, status: &ModelServiceStatus) {
        let name = (ms.namespace().unwrap_or_default(), ms.name_any());
        self.services.observe(name, wanted, status);
    }

    /// Takes the series of every ModelService but these away.
    pub fn forget_all_but(&self, living: &HashSet<Name>) {
        self.services.forget_all_but(living);
    }

    /// Takes the series of a deleted ModelService away.
    pub fn forget(&self, name: &Name) {
        self.services.forget(name);
    }

    /// Prometheus text exposition.
    pub fn text(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        text.extend_from_slice(self.services.text().as_bytes());
        Ok(text)
    }
}

/// A running reconcile.
#[derive(Debug)]
pub struct ReconcileGuard<'a> {
    metrics: &'a Metrics,
    start: Instant,
}

impl Drop for ReconcileGuard<'_> {
    fn drop(&mut self) {
        self.metrics.active.dec();
        self.metrics
            .duration
            .observe(self.start.elapsed().as_secs_f64());
    }
}
