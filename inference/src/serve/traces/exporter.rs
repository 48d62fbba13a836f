//! The thread that sends spans, and what all of them have in common.

use super::queue::{Counted, MOST_WAITING, Queue};
use super::receiver::{PATIENCE, Receiver};
use contract::config::Tracing;
use opentelemetry::KeyValue;
use opentelemetry_otlp::{
    ExporterBuildError, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SpanExporter as _};
use prometheus::IntCounter;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Spans in one request.
const LARGEST_BATCH: usize = 512;
/// Until a batch is sent that is not full.
const PAUSE: Duration = Duration::from_secs(1);

/// A thread that sends spans of `service` as `tracing` says, out of `queue`.
pub(super) fn start(
    tracing: &Tracing,
    service: &str,
    failures: IntCounter,
    queue: Arc<Queue>,
) -> Result<BatchSpanProcessor, ExporterBuildError> {
    // As it was checked: a name in another script is written in ASCII here.
    let endpoint = Url::parse(&tracing.endpoint).map_err(invalid)?;
    let base = endpoint.as_str().trim_end_matches('/');
    let mut exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Receiver::new(tracing, failures)?)
        .with_endpoint(format!("{base}/v1/traces"))
        .with_timeout(PATIENCE)
        .build()?;
    exporter.set_resource(&resource(service, tracing.namespace.as_deref()));
    let config = BatchConfigBuilder::default()
        .with_max_queue_size(MOST_WAITING)
        .with_max_export_batch_size(LARGEST_BATCH)
        .with_scheduled_delay(PAUSE)
        .build();
    let exporter = Counted { exporter, queue };
    Ok(BatchSpanProcessor::new(exporter, config))
}

/// What has been checked cannot be used all the same.
pub(super) fn invalid(problem: impl std::fmt::Display) -> ExporterBuildError {
    ExporterBuildError::InvalidConfiguration(problem.to_string())
}

/// Who sends the spans. The environment may say more, or otherwise.
fn resource(service: &str, namespace: Option<&str>) -> Resource {
    let text = |name| {
        std::env::var(name)
            .ok()
            .filter(|text: &String| !text.is_empty())
    };
    let pod = text("HOSTNAME").map(|name| KeyValue::new("service.instance.id", name));
    let of = |key, namespace: &str| KeyValue::new(key, namespace.to_owned());
    let namespaces = namespace
        .map(|namespace| ["service.namespace", "k8s.namespace.name"].map(|key| of(key, namespace)));
    let name = text("OTEL_SERVICE_NAME").map(|name| KeyValue::new("service.name", name));
    Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_service_name(service.to_owned())
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attributes(namespaces.into_iter().flatten())
        .with_attributes(pod)
        .with_detector(Box::new(EnvResourceDetector::new()))
        .with_attributes(name)
        .build()
}
