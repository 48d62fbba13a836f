//! Counts, times and guards every request of a route: who may not ask is told so before anything
//! of the body is read.

use super::access::api_keys::ApiKey;
use super::app::App;
use super::business::{Caller, Visit};
use super::compression::{self, Coding};
use super::error::Error;
use super::grpc;
use super::metrics::{GIVEN_UP, Metrics};
use super::mlflow::MlflowError;
use super::traces::{self, Answer, Ended, Trace};
use axum::extract::Request;
use axum::handler::Handler;
use axum::response::{IntoResponse as _, Response};
use contract::labels::{Endpoint, ErrorType, Method};
use futures::{FutureExt as _, TryFutureExt as _};
use http::header::CONNECTION;
use http::{HeaderValue, StatusCode};
use hyper::body::Body as _;
use std::convert::Infallible;
use std::future::ready;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;
use tonic::{Code, Status};
use tower::{Layer, Service};

/// A handler whose requests are counted as those of an endpoint.
#[derive(Debug, Clone, Copy)]
pub struct Tracked<H> {
    /// The label is known without a look-up.
    pub endpoint: Endpoint,
    /// What answers. A panic becomes an answer 500.
    pub handler: H,
}

impl<T: 'static, H: Handler<T, &'static App>> Handler<T, &'static App> for Tracked<H> {
    type Future = Pin<Box<dyn Future<Output = Response> + Send>>;

    fn call(self, mut request: Request, app: &'static App) -> Self::Future {
        match Admitted::new(app, self.endpoint, &mut request) {
            Ok(admitted) => Box::pin(admitted.settle(self.handler.call(request, app))),
            Err(refusal) => Box::pin(ready(*refusal)),
        }
    }
}

/// The same for services, which are no handlers.
#[derive(Debug, Clone, Copy)]
pub struct TrackLayer {
    /// What everybody shares.
    pub app: &'static App,
    /// The label.
    pub endpoint: Endpoint,
}

impl<S> Layer<S> for TrackLayer {
    type Service = TrackedService<S>;

    fn layer(&self, inner: S) -> TrackedService<S> {
        let track = *self;
        TrackedService { inner, track }
    }
}

/// See [`TrackLayer`].
#[derive(Debug, Clone)]
pub struct TrackedService<S> {
    inner: S,
    track: TrackLayer,
}

impl<S> Service<Request> for TrackedService<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        match Admitted::new(self.track.app, self.track.endpoint, &mut request) {
            Ok(admitted) => {
                let answer = self.inner.call(request);
                let answer = answer.unwrap_or_else(|never| match never {});
                Box::pin(admitted.settle(answer).map(Ok))
            }
            Err(refusal) => Box::pin(ready(Ok(*refusal))),
        }
    }
}

/// A request that may be answered.
struct Admitted {
    in_flight: InFlight,
    coding: Option<Coding>,
}

impl Admitted {
    /// Counts `request` in; gives back the answer to one that is refused.
    fn new(
        app: &'static App,
        endpoint: Endpoint,
        request: &mut Request,
    ) -> Result<Self, Box<Response>> {
        let mut in_flight = InFlight::new(app, endpoint, request.method());
        let coding = Coding::accepted(request.headers());
        let admitted = app.access.admit(endpoint, request.headers());
        if let Some(business) = &app.metrics.business {
            in_flight.visit = business.begin(endpoint, request, Caller::new(&admitted));
        }
        match admitted {
            Ok(key) => {
                in_flight.key = key;
                let traces = app.traces.as_ref();
                in_flight.trace = traces.and_then(|traces| traces.begin(endpoint, request));
            }
            Err(error) => {
                let refusal = refuse(endpoint, error);
                in_flight.finish(&refusal);
                return Err(Box::new(refusal));
            }
        }
        Ok(Self { in_flight, coding })
    }

    /// Waits for `answer` and counts the request out.
    async fn settle(self, answer: impl Future<Output = Response>) -> Response {
        let Self { in_flight, coding } = self;
        let place = in_flight.trace.as_ref().map(|trace| trace.place);
        let answer = pin!(AssertUnwindSafe(answer).catch_unwind());
        let answer = traces::wait_at(place, answer).await;
        let endpoint = in_flight.endpoint;
        let mut response = answer.unwrap_or_else(|_| {
            traces::at(place, || {
                tracing::error!(endpoint = endpoint.as_str(), "a handler panicked");
            });
            refuse(endpoint, Error::Internal)
        });
        if in_flight.app.health.is_draining() {
            // The client's next request goes to a server that stays.
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        let response = compression::compress(response, coding).await;
        in_flight.finish(&response);
        response
    }
}

/// A request being worked on. Dropped before it is finished, it counts as cancelled.
struct InFlight {
    app: &'static App,
    endpoint: Endpoint,
    method: Method,
    begin: Instant,
    /// The API key that it came with, where it needs one.
    key: Option<Arc<ApiKey>>,
    /// What metrics of the user's own note about it, if there are any.
    visit: Option<Arc<Visit>>,
    /// Its part in a trace, if it is in one.
    trace: Option<Trace>,
    answered: bool,
}

impl InFlight {
    fn new(app: &'static App, endpoint: Endpoint, method: &http::Method) -> Self {
        app.metrics.http.active.inc();
        Self {
            app,
            endpoint,
            method: label(method),
            begin: Instant::now(),
            key: None,
            visit: None,
            trace: None,
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
        let status = status(response, failure);
        self.count(status.as_u16(), failure.copied(), seconds);
        if let Some(bytes) = response.body().size_hint().exact() {
            http.sent(self.endpoint, bytes);
        }
        if let Some(trace) = self.trace.take() {
            if trace.place.recorded {
                let trace_id = trace.place.trace_id;
                http.exemplify(self.method, self.endpoint, seconds, trace_id);
            }
            let code = response.extensions().get().map_or(Code::Ok, Status::code);
            self.end(trace, failure.copied(), Some(Answer { status, code }));
        }
    }

    fn end(&self, trace: Trace, failure: Option<ErrorType>, answer: Option<Answer>) {
        let ended = Ended {
            method: self.method,
            endpoint: self.endpoint,
            failure,
            answer,
        };
        trace.end(&ended, self.begin.elapsed());
    }

    /// Counts the request, which ended so after `seconds`.
    fn count(&self, status: u16, failure: Option<ErrorType>, seconds: f64) {
        let Metrics { http, .. } = &self.app.metrics;
        http.answered(self.method, self.endpoint, status);
        http.took(self.method, self.endpoint, seconds);
        if let Some(kind) = failure {
            http.failed(self.endpoint, kind);
            http.wasted(self.endpoint, seconds);
        }
        if let Some(key) = &self.key {
            key.counters.answered(status);
        }
        if let Some(visit) = &self.visit {
            visit.answered(status < 400, seconds);
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.app.metrics.http.active.dec();
        if !self.answered {
            let seconds = self.begin.elapsed().as_secs_f64();
            self.count(GIVEN_UP, Some(ErrorType::Cancelled), seconds);
            if let Some(trace) = self.trace.take() {
                self.end(trace, Some(ErrorType::Cancelled), None);
            }
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
