//! The spans that wait for the exporter's thread, and those that are lost.

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use prometheus::IntCounter;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Spans that wait to be sent; further ones are lost.
pub(super) const MOST_WAITING: usize = 2048;

/// How many spans wait. The SDK has such a count as well, but tells nobody what it dropped.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: AtomicUsize,
    lost: IntCounter,
}

impl Queue {
    pub(super) fn new(lost: IntCounter) -> Arc<Self> {
        Arc::new(Self {
            waiting: AtomicUsize::new(0),
            lost,
        })
    }

    /// Takes a place for one more span. If there is none, the span is lost.
    pub(super) fn enter(&self) -> bool {
        let next = |waiting| (waiting < MOST_WAITING).then_some(waiting + 1);
        // Who sees a place left sees it left in the SDK's own queue too.
        let (set, fetch) = (Ordering::AcqRel, Ordering::Acquire);
        let entered = self.waiting.fetch_update(set, fetch, next).is_ok();
        if !entered {
            self.lost.inc();
        }
        entered
    }

    fn leave(&self, spans: usize) {
        self.waiting.fetch_sub(spans, Ordering::Release);
    }
}

/// An exporter that takes what it sends out of the queue, and counts what it gives up as lost.
#[derive(Debug)]
pub(super) struct Counted<E> {
    pub exporter: E,
    pub queue: Arc<Queue>,
}

impl<E: SpanExporter> SpanExporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        self.queue.leave(spans);
        let sent = self.exporter.export(batch).await;
        if sent.is_err() {
            self.queue.lost.inc_by(spans as u64);
        }
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
