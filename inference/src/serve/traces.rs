//! Traces of requests, for a receiver of OpenTelemetry's protocol over HTTP.
//!
//! ```text
//! traceparent ─begin→ Trace ─────────┬─ end ─→ span ─queue→ exporter's thread ─→ receiver
//!                       └─ place ─┬→ predicted ─┘
//!                                 └→ log lines, exemplars
//! ```
//! A span is made of what is known when the request ends, so that one which is not recorded costs a
//! look at its headers and nothing else.

mod exporter;
mod parent;
mod place;
mod queue;
mod receiver;
mod span;

pub use place::{Place, at, carried, here, wait_at};
pub use span::{Answer, Ended};

use super::error::cut;
use super::metrics::TraceMetrics;
use axum::extract::Request;
use contract::config::Tracing;
use contract::labels::Endpoint;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::ExporterBuildError;
use opentelemetry_sdk::trace::{
    BatchSpanProcessor, IdGenerator as _, RandomIdGenerator, SpanData, SpanEvents, SpanLinks,
    SpanProcessor as _,
};
use parent::Parent;
use queue::Queue;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// For the spans that are left when the server stops.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Begins traces, or goes on with those of clients.
#[derive(Debug)]
pub struct Traces {
    sample_ratio: f64,
    /// That of the predictions' listener.
    scheme: &'static str,
    scope: InstrumentationScope,
    queue: Arc<Queue>,
    spans: BatchSpanProcessor,
}

/// The part of a request in a trace.
#[derive(Debug)]
pub struct Trace {
    /// Where in the trace it is worked on.
    pub place: Place,
    /// None if it is not recorded.
    begun: Option<Box<Begun>>,
}

/// What the beginning of a request tells about it.
#[derive(Debug)]
struct Begun {
    at: SystemTime,
    path: String,
    /// Invalid if the trace begins here.
    parent: SpanContext,
}

/// A span but for what all have in common.
struct Span {
    place: Place,
    id: SpanId,
    parent: SpanId,
    parent_is_remote: bool,
    kind: SpanKind,
    name: Cow<'static, str>,
    begin: SystemTime,
    length: Duration,
    attributes: Vec<KeyValue>,
    status: Status,
    state: TraceState,
}

impl Traces {
    /// Traces of the model `service`, as `tracing` says; `tls` if predictions are asked for over it.
    /// What is not sent is counted in `metrics`.
    ///
    /// # Errors
    /// If the environment asks the exporter for what it cannot do.
    pub fn new(
        tracing: &Tracing,
        service: &str,
        tls: bool,
        metrics: TraceMetrics,
    ) -> Result<Self, ExporterBuildError> {
        let queue = Queue::new(metrics.lost);
        Ok(Self {
            sample_ratio: tracing.sample_ratio,
            scheme: if tls { "https" } else { "http" },
            scope: InstrumentationScope::builder("inference")
                .with_version(env!("CARGO_PKG_VERSION"))
                .build(),
            spans: exporter::start(tracing, service, metrics.failures, queue.clone())?,
            queue,
        })
    }

    /// The part of `request` in the trace of its client, or in a new one; None if it is in none.
    pub fn begin(&'static self, endpoint: Endpoint, request: &Request) -> Option<Trace> {
        if !is_traced(endpoint) {
            return None;
        }
        match Parent::of(request.headers()) {
            Some(parent) if parent.recorded => {
                let parent = parent.with_state(request.headers());
                Some(self.record(parent, request))
            }
            Some(parent) => Some(self.follow(parent)),
            None if fastrand::f64() < self.sample_ratio => {
                Some(self.record(SpanContext::NONE, request))
            }
            None => None,
        }
    }

    fn record(&'static self, parent: SpanContext, request: &Request) -> Trace {
        let ids = RandomIdGenerator::default();
        let trace_id = match parent.is_valid() {
            true => parent.trace_id(),
            false => ids.new_trace_id(),
        };
        let (path, _) = cut(request.uri().path());
        let begun = Begun {
            at: SystemTime::now(),
            path: path.to_owned(),
            parent,
        };
        Trace {
            place: Place {
                traces: self,
                trace_id,
                span_id: ids.new_span_id(),
                recorded: true,
            },
            begun: Some(Box::new(begun)),
        }
    }

    fn follow(&'static self, parent: Parent) -> Trace {
        Trace {
            place: Place {
                traces: self,
                trace_id: parent.trace_id,
                span_id: parent.span_id,
                recorded: false,
            },
            begun: None,
        }
    }

    fn send(&self, span: Span) {
        if !self.queue.enter() {
            return;
        }
        let Span { place, state, .. } = span;
        self.spans.on_end(SpanData {
            span_context: SpanContext::new(
                place.trace_id,
                span.id,
                TraceFlags::SAMPLED,
                false,
                state,
            ),
            parent_span_id: span.parent,
            parent_span_is_remote: span.parent_is_remote,
            span_kind: span.kind,
            name: span.name,
            start_time: span.begin,
            end_time: span.begin + span.length,
            attributes: span.attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: span.status,
            instrumentation_scope: self.scope.clone(),
        });
    }

    /// Sends what has not been sent yet, if that takes no longer than two seconds. Blocks.
    pub fn stop(&self) {
        // Whether the receiver is there or not, this is the end.
        let _ = self.spans.shutdown_with_timeout(LAST_WORDS);
    }
}

impl Trace {
    /// Ends the request, which took `length`.
    pub fn end(self, ended: &Ended, length: Duration) {
        let Self { place, begun } = self;
        let Some(begun) = begun else { return };
        let Begun { at, path, parent } = *begun;
        place.traces.send(Span {
            place,
            id: place.span_id,
            parent: parent.span_id(),
            parent_is_remote: parent.is_remote(),
            kind: SpanKind::Server,
            name: span::name(ended, &path),
            begin: at,
            length,
            attributes: span::attributes(ended, &path, place.traces.scheme),
            status: span::status(ended),
            state: parent.trace_state().clone(),
        });
    }
}

impl Place {
    /// Notes that the model `name` of `version` has just predicted `rows`, which took `length`.
    pub fn predicted(&self, name: &str, version: &str, rows: usize, length: Duration) {
        self.traces.send(Span {
            place: *self,
            id: RandomIdGenerator::default().new_span_id(),
            parent: self.span_id,
            parent_is_remote: false,
            kind: SpanKind::Internal,
            name: Cow::Borrowed("predict"),
            begin: SystemTime::now() - length,
            length,
            attributes: vec![
                KeyValue::new("model.name", name.to_owned()),
                KeyValue::new("model.version", version.to_owned()),
                KeyValue::new("model.rows", rows as i64),
            ],
            status: Status::Unset,
            state: TraceState::NONE,
        });
    }
}

/// Whether requests to `endpoint` may be parts of traces: probes and scrapes come every few seconds and
/// tell nothing, and whatever is sent to no route at all is nobody's business.
const fn is_traced(endpoint: Endpoint) -> bool {
    match endpoint {
        Endpoint::Health
        | Endpoint::Metrics
        | Endpoint::Root
        | Endpoint::Ping
        | Endpoint::V1Model
        | Endpoint::V2Live
        | Endpoint::V2Ready
        | Endpoint::V2ModelReady
        | Endpoint::GrpcHealth
        | Endpoint::Other => false,
        Endpoint::Predict
        | Endpoint::Feedback
        | Endpoint::Docs
        | Endpoint::OpenApi
        | Endpoint::Version
        | Endpoint::Invocations
        | Endpoint::V1Models
        | Endpoint::V1Predict
        | Endpoint::V2Server
        | Endpoint::V2Models
        | Endpoint::V2Model
        | Endpoint::V2Infer
        | Endpoint::V2Stats
        | Endpoint::V2Index
        | Endpoint::V2Load
        | Endpoint::V2Unload
        | Endpoint::GrpcInfer
        | Endpoint::GrpcMetadata
        | Endpoint::GrpcRepository => true,
    }
}
