//! A receiver of traces.

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use contract::config::Tracing;
use http::{HeaderMap, StatusCode};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

/// What came in one request.
#[derive(Debug)]
pub struct Batch {
    pub headers: HeaderMap,
    pub resource: BTreeMap<String, String>,
    pub spans: Vec<Span>,
}

/// Keeps what it is sent to `/v1/traces`.
#[derive(Debug)]
pub struct Receiver {
    pub address: SocketAddr,
    batches: Arc<Mutex<Vec<Batch>>>,
}

impl Receiver {
    pub fn start() -> Self {
        let batches = Arc::<Mutex<Vec<Batch>>>::default();
        let keep = Arc::clone(&batches);
        let take = move |headers: HeaderMap, body: Bytes| async move {
            keep.lock().unwrap().push(read(headers, &body));
            StatusCode::OK
        };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || serve(listener, Router::new().route("/v1/traces", post(take))));
        Self { address, batches }
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn tracing(&self) -> Tracing {
        Tracing::to(self.endpoint())
    }

    pub fn batches(&self) -> Vec<Batch> {
        std::mem::take(&mut self.batches.lock().unwrap())
    }

    pub fn spans(&self) -> Vec<Span> {
        let batches = self.batches().into_iter();
        batches.flat_map(|batch| batch.spans).collect()
    }
}

fn serve(listener: std::net::TcpListener, router: Router) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        axum::serve(listener, router).await.unwrap();
    });
}

fn read(headers: HeaderMap, body: &[u8]) -> Batch {
    let mut sent = ExportTraceServiceRequest::decode(body)
        .unwrap()
        .resource_spans;
    assert_eq!(sent.len(), 1, "one resource");
    let sent = sent.remove(0);
    let scopes = sent.scope_spans.into_iter();
    Batch {
        headers,
        resource: texts(&sent.resource.unwrap().attributes),
        spans: scopes.flat_map(|scope| scope.spans).collect(),
    }
}

/// Attributes, as text.
pub fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let attributes = attributes.iter();
    attributes
        .map(|pair| (pair.key.clone(), text(pair.value.as_ref())))
        .collect()
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()).unwrap() {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => panic!("{other:?}"),
    }
}
