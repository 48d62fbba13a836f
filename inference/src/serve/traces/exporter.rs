//! The thread that sends spans, and what all of them have in common.

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
use std::time::Duration;

/// Spans that wait to be sent; further ones are lost.
const MOST_WAITING: usize = 2048;
/// Spans in one request.
const LARGEST_BATCH: usize = 512;
/// Until a batch is sent that is not full.
const PAUSE: Duration = Duration::from_secs(1);

/// A thread that sends spans of `service` as `tracing` says.
pub(super) fn start(
    tracing: &Tracing,
    service: &str,
    failures: IntCounter,
) -> Result<BatchSpanProcessor, ExporterBuildError> {
    let base = tracing.endpoint.trim_end_matches('/');
    let mut exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Receiver::new(failures))
        .with_endpoint(format!("{base}/v1/traces"))
        .with_headers(tracing.headers.clone().into_iter().collect())
        .with_timeout(PATIENCE)
        .build()?;
    exporter.set_resource(&resource(service));
    let config = BatchConfigBuilder::default()
        .with_max_queue_size(MOST_WAITING)
        .with_max_export_batch_size(LARGEST_BATCH)
        .with_scheduled_delay(PAUSE)
        .build();
    Ok(BatchSpanProcessor::new(exporter, config))
}

/// Who sends the spans. The environment may say more, or otherwise.
fn resource(service: &str) -> Resource {
    let text = |name| {
        std::env::var(name)
            .ok()
            .filter(|text: &String| !text.is_empty())
    };
    let pod = text("HOSTNAME").map(|name| KeyValue::new("service.instance.id", name));
    let name = text("OTEL_SERVICE_NAME").map(|name| KeyValue::new("service.name", name));
    Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_service_name(service.to_owned())
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attributes(pod)
        .with_detector(Box::new(EnvResourceDetector::new()))
        .with_attributes(name)
        .build()
}
