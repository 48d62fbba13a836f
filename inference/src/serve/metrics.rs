//! The server's metrics: every family of [`contract::metrics::METRICS`], resolved once into plain
//! counters, so that a request only increments.

mod families;
mod feedback;
mod http;
mod model;

pub use self::feedback::{FeedbackMetrics, Scored};
pub use self::http::{HttpMetrics, STATUSES};
pub use self::model::ModelMetrics;

use super::signature::Signature;
use crate::load::LoadedModel;
use ::prometheus::core::Collector as _;
use ::prometheus::process_collector::ProcessCollector;
use ::prometheus::proto::MetricFamily;
use ::prometheus::{Encoder as _, Gauge, Registry, TextEncoder};
use contract::labels::{LoadFailure, Memory};
use contract::metrics as table;
use families::Families;
use std::time::Duration;

/// Media type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = ::prometheus::TEXT_FORMAT;

/// All metrics of one server.
#[derive(Debug)]
pub struct Metrics {
    /// About requests.
    pub http: HttpMetrics,
    /// About predictions.
    pub model: ModelMetrics,
    /// About ground truth.
    pub feedback: FeedbackMetrics,
    registry: Registry,
    process: Process,
    memory: [(Memory, Gauge); 2],
}

/// The standard `process_*` families.
struct Process(ProcessCollector);

impl std::fmt::Debug for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Process")
    }
}

impl Metrics {
    /// Registers every family, with all series of `loaded` at 0. Loading it took `load_time`.
    ///
    /// # Errors
    /// If two families or label sets contradict each other: a fault of the table.
    pub fn new(
        loaded: &LoadedModel,
        signature: &Signature,
        load_time: Duration,
    ) -> Result<Self, ::prometheus::Error> {
        let registry = Registry::new();
        let families = Families::new(&registry, &loaded.manifest.reference.prediction.edges);
        describe(&families, loaded, load_time)?;
        let memory = families.gauge(&table::APP_MEMORY)?;
        Ok(Self {
            http: HttpMetrics::new(&families)?,
            model: ModelMetrics::new(&families, loaded, signature)?,
            feedback: FeedbackMetrics::new(&families, &loaded.version, signature)?,
            memory: [Memory::Rss, Memory::Vms]
                .map(|kind| (kind, memory.with_label_values(&[kind.as_str()]))),
            process: Process(ProcessCollector::for_self()),
            registry,
        })
    }

    /// The Prometheus text exposition of this moment.
    ///
    /// # Errors
    /// If the encoder finds a family without series: a fault of the table.
    pub fn render(&self) -> Result<Vec<u8>, ::prometheus::Error> {
        let process = self.process.0.collect();
        self.measure_memory(&process);
        let mut families = self.registry.gather();
        families.extend(process);
        let mut text = Vec::with_capacity(64 * 1024);
        TextEncoder::new().encode(&families, &mut text)?;
        Ok(text)
    }

    fn measure_memory(&self, process: &[MetricFamily]) {
        for (kind, gauge) in &self.memory {
            let source = match kind {
                Memory::Rss => "process_resident_memory_bytes",
                Memory::Vms => "process_virtual_memory_bytes",
            };
            let family = process.iter().find(|family| family.name() == source);
            if let Some(metric) = family.and_then(|family| family.get_metric().first()) {
                gauge.set(metric.get_gauge().get_value());
            }
        }
    }
}

/// What is known about the model from the start.
fn describe(
    families: &Families<'_>,
    loaded: &LoadedModel,
    load_time: Duration,
) -> Result<(), ::prometheus::Error> {
    let none: [&str; 0] = [];
    let set = |metric, value| -> Result<(), ::prometheus::Error> {
        families.gauge(metric)?.with_label_values(&none).set(value);
        Ok(())
    };
    set(&table::MODEL_LOADED, 1.0)?;
    set(&table::MODEL_LOAD_DURATION, load_time.as_secs_f64())?;
    let info = families.gauge(&table::MODEL_INFO)?;
    let manifest = &loaded.manifest;
    info.with_label_values(&[
        loaded.name.as_str(),
        &loaded.version,
        manifest.algorithm.as_str(),
        manifest.task.as_str(),
        &loaded.sha256,
    ])
    .set(1.0);
    let failures = families.counter(&table::MODEL_LOAD_FAILURES)?;
    for reason in LoadFailure::ALL {
        failures.with_label_values(&[reason.as_str()]);
    }
    Ok(())
}
