//! Counts, times and guards every request of a route: who may not ask is told so before anything
//! of the body is read.

use super::access::api_keys::ApiKey;
use super::app::App;
use super::compression::{self, Coding};
use super::error::Error;
use super::grpc;
use super::metrics::Metrics;
use super::mlflow::MlflowError;
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use contract::labels::{Endpoint, ErrorType, Method};
use futures::FutureExt as _;
use http::header::CONNECTION;
use http::{HeaderValue, Request, StatusCode};
use hyper::body::Body as _;
use std::convert::Infallible;
use std::future::ready;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;
use tower::{Layer, Service};

/// Puts [`Track`] around the handlers of one route: the label is known without a look-up.
#[derive(Debug, Clone)]
pub struct TrackLayer {
    app: Arc<App>,
    endpoint: Endpoint,
}

impl TrackLayer {
    /// For the route that `endpoint` names.
    pub const fn new(app: Arc<App>, endpoint: Endpoint) -> Self {
        Self { app, endpoint }
    }
}

impl<S> Layer<S> for TrackLayer {
    type Service = Track<S>;

    fn layer(&self, inner: S) -> Track<S> {
        let Self { app, endpoint } = self.clone();
        Track {
            inner,
            app,
            endpoint,
        }
    }
}

/// See [`TrackLayer`]. A panic becomes an answer 500.
#[derive(Debug, Clone)]
pub struct Track<S> {
    inner: S,
    app: Arc<App>,
    endpoint: Endpoint,
}

impl<S> Service<Request<Body>> for Track<S>
where
    S: Service<Request<Body>, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let mut in_flight = InFlight::new(Arc::clone(&self.app), self.endpoint, request.method());
        let coding = Coding::accepted(request.headers());
        match self.app.access.admit(self.endpoint, request.headers()) {
            Ok(key) => in_flight.key = key,
            Err(refused) => {
                let response = refuse(self.endpoint, refused);
                in_flight.finish(&response);
                return Box::pin(ready(Ok(response)));
            }
        }
        let answer = AssertUnwindSafe(self.inner.call(request)).catch_unwind();
        Box::pin(async move {
            let mut response = match answer.await {
                Ok(Ok(response)) => response,
                Ok(Err(never)) => match never {},
                Err(_) => {
                    tracing::error!(endpoint = in_flight.endpoint.as_str(), "a handler panicked");
                    refuse(in_flight.endpoint, Error::Internal)
                }
            };
            if in_flight.app.health.is_draining() {
                // The client's next request goes to a server that stays.
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(CONNECTION, close);
            }
            let response = compression::compress(response, coding).await;
            in_flight.finish(&response);
            Ok(response)
        })
    }
}

/// A request being worked on. Dropped before it is finished, it counts as cancelled.
struct InFlight {
    app: Arc<App>,
    endpoint: Endpoint,
    method: Method,
    begin: Instant,
    /// The API key that it came with, where it needs one.
    key: Option<Arc<ApiKey>>,
    answered: bool,
}

impl InFlight {
    fn new(app: Arc<App>, endpoint: Endpoint, method: &http::Method) -> Self {
        app.metrics.http.active.inc();
        Self {
            app,
            endpoint,
            method: label(method),
            begin: Instant::now(),
            key: None,
            answered: false,
        }
    }

    fn finish(mut self, response: &Response) {
        let failure = response.extensions().get::<ErrorType>();
        if failure == Some(&ErrorType::Cancelled) {
            return;
        }
        self.answered = true;
        let Metrics { http, .. } = &self.app.metrics;
        let seconds = self.begin.elapsed().as_secs_f64();
        http.answered(
            self.method,
            self.endpoint,
            status(response, failure).as_u16(),
        );
        http.took(self.method, self.endpoint, seconds);
        if let Some(bytes) = response.body().size_hint().exact() {
            http.sent(self.endpoint, bytes);
        }
        if let Some(kind) = failure {
            http.failed(self.endpoint, *kind);
            http.wasted(self.endpoint, seconds);
        }
        self.count_for_key(status(response, failure));
    }

    fn count_for_key(&self, status: StatusCode) {
        if let Some(key) = &self.key {
            key.counters.answered(status);
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let http = &self.app.metrics.http;
        http.active.dec();
        if !self.answered {
            http.failed(self.endpoint, ErrorType::Cancelled);
            self.count_for_key(StatusCode::BAD_REQUEST);
        }
    }
}

/// `error` as the route's protocol tells it.
fn refuse(endpoint: Endpoint, error: Error) -> Response {
    match endpoint {
        Endpoint::Invocations => MlflowError::from(error).into_response(),
        _ if endpoint.is_grpc() => grpc::respond(error),
        _ => error.into_response(),
    }
}

/// The status of a failure: gRPC shows another one, and says apart which it would have been.
fn status(response: &Response, failure: Option<&ErrorType>) -> StatusCode {
    let said = failure.and_then(|_| response.extensions().get::<StatusCode>());
    said.copied().unwrap_or_else(|| response.status())
}

fn label(method: &http::Method) -> Method {
    match *method {
        http::Method::GET => Method::Get,
        http::Method::POST => Method::Post,
        _ => Method::Other,
    }
}
