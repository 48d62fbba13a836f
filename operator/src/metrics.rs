//! The operator's own metrics.

use crate::api::{ConditionStatus, ConditionType, ModelService, ModelServiceStatus};
use crate::clients::Calls;
use crate::error::Category;
use kube::ResourceExt;
use prometheus::{
    Encoder, Histogram, HistogramOpts, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The operator's own metrics.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    duration: Histogram,
    errors: IntCounterVec,
    active: IntGauge,
    conditions: IntGaugeVec,
    replicas: IntGaugeVec,
    info: IntGaugeVec,
    waiting: IntGauge,
    leader: IntGauge,
    calls: Calls,
    /// The version label of every `modelservice_info` series.
    versions: Arc<Mutex<HashMap<Name, String>>>,
}

/// Namespace and name of a ModelService.
pub type Name = (String, String);

const REPLICA_KINDS: [&str; 3] = ["desired", "total", "ready"];

impl Metrics {
    /// Registers every family.
    pub fn new() -> Result<Self, prometheus::Error> {
        let object = ["namespace", "name"];
        let gauge = |name, help, labels: &[&str]| {
            IntGaugeVec::new(Opts::new(name, help), &[&object, labels].concat())
        };
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
            conditions: gauge(
                "modelservice_status_condition",
                "1 for the status that a condition has, else 0.",
                &["condition", "status"],
            )?,
            replicas: gauge(
                "modelservice_replicas",
                "Pods of a ModelService: desired, total and ready.",
                &["kind"],
            )?,
            info: gauge(
                "modelservice_info",
                "Always 1; its version label says which model version the spec asks for.",
                &["version"],
            )?,
            versions: Arc::default(),
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
            conditions,
            replicas,
            info,
            waiting,
            leader,
            calls,
            versions: _,
        } = self;
        registry.register(Box::new(duration.clone()))?;
        registry.register(Box::new(errors.clone()))?;
        registry.register(Box::new(active.clone()))?;
        registry.register(Box::new(conditions.clone()))?;
        registry.register(Box::new(replicas.clone()))?;
        registry.register(Box::new(info.clone()))?;
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

    /// Counts a ModelService as waiting until the guard is dropped.
    pub fn wait(&self) -> WaitGuard<'_> {
        self.waiting.inc();
        WaitGuard(&self.waiting)
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
    pub fn observe(&self, ms: &ModelService, status: &ModelServiceStatus) {
        let (namespace, name) = (ms.namespace().unwrap_or_default(), ms.name_any());
        let version = status
            .model
            .as_ref()
            .and_then(|model| model.version.clone())
            .unwrap_or_default();
        self.forget_info(&namespace, &name);
        self.info
            .with_label_values(&[&namespace, &name, &version])
            .set(1);
        self.versions()
            .insert((namespace.clone(), name.clone()), version);
        let counts = [ms.spec.replicas, status.replicas, status.ready_replicas];
        for (kind, count) in REPLICA_KINDS.iter().zip(counts) {
            self.replicas
                .with_label_values(&[&namespace, &name, *kind])
                .set(i64::from(count));
        }
        for type_ in ConditionType::ALL {
            let current = status
                .conditions
                .iter()
                .find(|condition| condition.type_ == type_.as_str());
            for value in ConditionStatus::ALL {
                let holds = current.is_some_and(|condition| condition.status == value.as_str());
                self.conditions
                    .with_label_values(&[&namespace, &name, type_.as_str(), value.as_str()])
                    .set(i64::from(holds));
            }
        }
    }

    /// Takes the series of every ModelService but these away.
    pub fn forget_all_but(&self, living: &HashSet<Name>) {
        let known: Vec<_> = self.versions().keys().cloned().collect();
        for (namespace, name) in known.iter().filter(|name| !living.contains(*name)) {
            self.forget(namespace, name);
        }
    }

    /// Takes the series of a deleted ModelService away.
    pub fn forget(&self, namespace: &str, name: &str) {
        self.forget_info(namespace, name);
        for kind in REPLICA_KINDS {
            // Absent is as good as removed.
            let _ = self.replicas.remove_label_values(&[namespace, name, kind]);
        }
        for type_ in ConditionType::ALL {
            for value in ConditionStatus::ALL {
                let labels = [namespace, name, type_.as_str(), value.as_str()];
                let _ = self.conditions.remove_label_values(&labels);
            }
        }
    }

    /// The version is a label, so the series of the version before must go.
    fn forget_info(&self, namespace: &str, name: &str) {
        if let Some(version) = self
            .versions()
            .remove(&(namespace.to_owned(), name.to_owned()))
        {
            // Absent is as good as removed.
            let _ = self.info.remove_label_values(&[namespace, name, &version]);
        }
    }

    fn versions(&self) -> MutexGuard<'_, HashMap<Name, String>> {
        // A panic elsewhere cannot leave the map half-written.
        self.versions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prometheus text exposition.
    pub fn text(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

/// A ModelService that waits for its turn.
#[derive(Debug)]
pub struct WaitGuard<'a>(&'a IntGauge);

impl Drop for WaitGuard<'_> {
    fn drop(&mut self) {
        self.0.dec();
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
