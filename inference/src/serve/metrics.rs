//! The server's metrics: every family of [`contract::metrics::METRICS`], resolved once into plain
//! counters, so that a request only increments.

mod bins;
mod compatibility;
mod exemplar;
mod families;
mod feedback;
mod http;
mod keys;
mod load;
mod model;
mod open_metrics;
mod sharded;
mod shards;

pub use self::feedback::{FeedbackMetrics, Scored};
pub use self::http::{GIVEN_UP, HttpMetrics, STATUSES};
pub use self::keys::{KeyCounters, KeyMetrics};
pub use self::load::LoadMetrics;
pub use self::model::ModelMetrics;
pub(super) use self::sharded::labels;

use super::business::Business;
use super::signature::Signature;
use crate::artifact::Report;
use crate::load::LoadedModel;
use ::prometheus::core::Collector as _;
use ::prometheus::process_collector::ProcessCollector;
use ::prometheus::proto::MetricFamily;
use ::prometheus::{Encoder as _, Gauge, IntCounter, IntCounterVec, Registry, TextEncoder};
use contract::compatibility::Compatibility;
use contract::labels::{Memory, Score};
use contract::metrics as table;
use families::Families;

/// How metrics are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The text format of Prometheus, 0.0.4.
    Prometheus,
    /// That of OpenMetrics, 1.0.0, which has exemplars.
    OpenMetrics,
}

impl Format {
    /// Its media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Prometheus => ::prometheus::TEXT_FORMAT,
            Self::OpenMetrics => open_metrics::MEDIA_TYPE,
        }
    }
}

/// What is counted whichever model is served.
#[derive(Debug)]
pub struct Metrics {
    /// About requests.
    pub http: HttpMetrics,
    /// About API keys.
    pub keys: KeyMetrics,
    /// About loading models.
    pub load: LoadMetrics,
    /// What the user wants counted besides, if there is anything.
    pub business: Option<Business>,
    /// Other systems under whose names the same is shown once more.
    pub compatibility: Vec<Compatibility>,
    traces: [IntCounterVec; 2],
    registry: Registry,
    process: Process,
    memory: [(Memory, Gauge); 2],
}

/// What is counted about one loaded model, and forgotten with it.
#[derive(Debug)]
pub struct ServedMetrics {
    /// About predictions.
    pub model: ModelMetrics,
    /// About ground truth.
    pub feedback: FeedbackMetrics,
    registry: Registry,
}

/// What is counted about traces, where they are sent.
#[derive(Debug)]
pub struct TraceMetrics {
    /// Attempts to send spans that failed.
    pub failures: IntCounter,
    /// Spans that nobody will see.
    pub lost: IntCounter,
}

/// The standard `process_*` families.
struct Process(ProcessCollector);

impl std::fmt::Debug for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Process")
    }
}

impl Metrics {
    /// Registers every family, with the expected series at 0.
    ///
    /// # Errors
    /// If two families contradict each other: a fault of the table.
    pub(super) fn new() -> Result<Self, ::prometheus::Error> {
        let registry = Registry::new();
        let families = Families::new(&registry, &[]);
        let memory = families.gauge(&table::APP_MEMORY)?;
        Ok(Self {
            http: HttpMetrics::new(&families)?,
            keys: KeyMetrics::new(&families)?,
            load: LoadMetrics::new(&families)?,
            business: None,
            compatibility: Vec::new(),
            traces: [
                families.counter(&table::TRACE_EXPORT_FAILURES)?,
                families.counter(&table::TRACE_SPANS_LOST)?,
            ],
            memory: [Memory::Rss, Memory::Vms]
                .map(|kind| (kind, memory.with_label_values(&[kind.as_str()]))),
            process: Process(ProcessCollector::for_self()),
            registry,
        })
    }

    /// About traces: from now on there are some.
    pub fn traces(&self) -> TraceMetrics {
        let none: [&str; 0] = [];
        let [failures, lost] = self
            .traces
            .each_ref()
            .map(|family| family.with_label_values(&none));
        TraceMetrics { failures, lost }
    }

    /// The exposition of this moment in `format`, while the model of `served` is served.
    ///
    /// # Errors
    /// If the encoder finds a family without series: a fault of the table.
    pub fn render(
        &self,
        served: &ServedMetrics,
        format: Format,
    ) -> Result<Vec<u8>, ::prometheus::Error> {
        let families = self.gather(served);
        match format {
            Format::Prometheus => {
                let mut text = Vec::with_capacity(64 * 1024);
                TextEncoder::new().encode(&families, &mut text)?;
                Ok(text)
            }
            Format::OpenMetrics => {
                let durations = self.http.durations();
                let durations = durations.map(|series| (table::REQUEST_DURATION.name, series));
                let inference = (table::INFERENCE_DURATION.name, &served.model.inference);
                let exemplified: Vec<_> = durations.chain([inference]).collect();
                Ok(open_metrics::encode(&families, &exemplified).into_bytes())
            }
        }
    }

    fn gather(&self, served: &ServedMetrics) -> Vec<MetricFamily> {
        let process = self.process.0.collect();
        self.measure_memory(&process);
        let mut families = self.registry.gather();
        families.extend(served.registry.gather());
        families.extend(process);
        families.extend(self.business.iter().flat_map(Business::gather));
        families.extend(compatibility::families(&self.compatibility, &families));
        families
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

impl ServedMetrics {
    /// Registers every family, with all series of `loaded` at 0.
    ///
    /// # Errors
    /// If two families or label sets contradict each other: a fault of the table.
    pub(super) fn new(
        loaded: &LoadedModel,
        signature: &Signature,
    ) -> Result<Self, ::prometheus::Error> {
        let registry = Registry::new();
        let families = Families::new(&registry, &loaded.manifest.reference.prediction.edges);
        describe(&families, loaded)?;
        show_scores(&families, loaded)?;
        show_missing(&families, loaded)?;
        Ok(Self {
            model: ModelMetrics::new(&families, loaded, signature)?,
            feedback: FeedbackMetrics::new(&families, &loaded.version, signature)?,
            registry,
        })
    }
}

fn describe(families: &Families<'_>, loaded: &LoadedModel) -> Result<(), ::prometheus::Error> {
    let manifest = &loaded.manifest;
    let info = families.gauge(&table::MODEL_INFO)?;
    info.with_label_values(&[
        loaded.name.as_str(),
        &loaded.version,
        manifest.algorithm.as_str(),
        manifest.task.as_str(),
        &loaded.sha256,
    ])
    .set(1.0);
    Ok(())
}

/// How well the model did in training, for live scores to be compared with.
fn show_scores(families: &Families<'_>, loaded: &LoadedModel) -> Result<(), ::prometheus::Error> {
    let family = families.gauge(&table::REFERENCE_SCORE)?;
    let show = |score: Score, value| {
        let labels = [loaded.version.as_str(), score.as_str()];
        family.with_label_values(&labels).set(value);
    };
    match &loaded.manifest.training.report {
        Report::Classification(report) => show(Score::Accuracy, report.accuracy),
        Report::Regression(report) => {
            show(Score::Rmse, report.rmse);
            show(Score::Mae, report.mae);
        }
    }
    Ok(())
}

/// Which features some training rows lacked, for live shares to be compared with.
fn show_missing(families: &Families<'_>, loaded: &LoadedModel) -> Result<(), ::prometheus::Error> {
    let family = families.gauge(&table::FEATURE_REFERENCE_MISSING)?;
    let lacked = loaded.manifest.features.iter();
    for feature in lacked.filter(|feature| feature.missing > 0.0) {
        let labels = [loaded.version.as_str(), &feature.name];
        family.with_label_values(&labels).set(feature.missing);
    }
    Ok(())
}
