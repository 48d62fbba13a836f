//! Requests by method, route, status and cause of failure.

use super::families::Families;
use super::sharded::{Counter, CounterVec, Histogram, HistogramVec, Level};
use crate::serve::access::needs_key;
use contract::labels::{Endpoint, ErrorType, Method};
use contract::metrics as table;
use opentelemetry::TraceId;
use prometheus::{Error, IntCounter, IntCounterVec};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Status of a request whose client did not wait for the answer, as nginx counts it.
pub const GIVEN_UP: u16 = 499;

/// Every status that the server answers with, and that of nobody's answer; the last stands for all others.
pub const STATUSES: [(u16, &str); 15] = [
    (200, "200"),
    (400, "400"),
    (401, "401"),
    (403, "403"),
    (404, "404"),
    (405, "405"),
    (408, "408"),
    (413, "413"),
    (415, "415"),
    (GIVEN_UP, "499"),
    (500, "500"),
    (501, "501"),
    (503, "503"),
    (504, "504"),
    (0, "other"),
];

/// Metrics of all routes.
#[derive(Debug)]
pub struct HttpMetrics {
    /// Requests being worked on.
    pub active: Level,
    families: HttpFamilies,
    routes: Vec<Route>,
}

/// The families, to make further series of.
#[derive(Debug)]
struct HttpFamilies {
    requests: CounterVec,
    durations: HistogramVec,
    errors: IntCounterVec,
    request_size: HistogramVec,
    response_size: HistogramVec,
}

/// Metrics of one route. Each series is looked up once, when first needed: most combinations of
/// labels never happen, and those that alerts look at are made at the start.
#[derive(Debug, Default)]
struct Route {
    /// By method and status.
    answered: [[OnceLock<Counter>; STATUSES.len()]; Method::ALL.len()],
    /// By method.
    durations: [OnceLock<Histogram>; Method::ALL.len()],
    /// By type.
    errors: [OnceLock<IntCounter>; ErrorType::ALL.len()],
    request_size: OnceLock<Histogram>,
    response_size: OnceLock<Histogram>,
    /// Nanoseconds spent on requests that failed.
    failed: AtomicU64,
}

impl HttpMetrics {
    pub(super) fn new(families: &Families<'_>) -> Result<Self, Error> {
        let active = families.level(&table::ACTIVE_REQUESTS)?;
        let none: [&str; 0] = [];
        let metrics = Self {
            active: active.with_label_values(&none),
            families: HttpFamilies {
                requests: families.busy_counter(&table::REQUESTS)?,
                durations: families.histogram(&table::REQUEST_DURATION)?,
                errors: families.counter(&table::ERRORS)?,
                request_size: families.histogram(&table::REQUEST_SIZE)?,
                response_size: families.histogram(&table::RESPONSE_SIZE)?,
            },
            routes: Endpoint::ALL.iter().map(|_| Route::default()).collect(),
        };
        metrics.create_expected();
        Ok(metrics)
    }

    /// Counts an answer.
    pub fn answered(&self, method: Method, endpoint: Endpoint, status: u16) {
        self.answers(method, endpoint, status).inc();
    }

    /// Observes how long an answer took, in seconds.
    pub fn took(&self, method: Method, endpoint: Endpoint, seconds: f64) {
        self.duration(method, endpoint).observe(seconds);
    }

    /// Remembers that an answer which took `seconds`, and has been observed, is part of a trace.
    pub fn exemplify(&self, method: Method, endpoint: Endpoint, seconds: f64, trace_id: TraceId) {
        self.duration(method, endpoint).exemplify(seconds, trace_id);
    }

    /// How long answers took, by method and route.
    pub(super) fn durations(&self) -> impl Iterator<Item = &Histogram> {
        let durations = self.routes.iter().flat_map(|route| &route.durations);
        durations.filter_map(OnceLock::get)
    }

    /// Remembers that `seconds` were spent on a request that failed.
    pub fn wasted(&self, endpoint: Endpoint, seconds: f64) {
        let nanoseconds = (seconds * 1e9) as u64;
        let failed = &self.routes[endpoint as usize].failed;
        failed.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// How many POST requests to `endpoints` were answered with success and how many seconds they
    /// took in all; the same for those that failed.
    pub fn spent(&self, endpoints: &[Endpoint]) -> ((u64, f64), (u64, f64)) {
        let (mut success, mut fail) = ((0, 0.0), (0, 0.0));
        for route in endpoints.iter().map(|one| &self.routes[*one as usize]) {
            let post = Method::Post as usize;
            let counts = route.answered[post]
                .iter()
                .map(|counter| counter.get().map_or(0, Counter::get));
            for ((status, _), count) in STATUSES.iter().zip(counts) {
                match status {
                    200 => success.0 += count,
                    _ => fail.0 += count,
                }
            }
            let failed = route.failed.load(Ordering::Relaxed) as f64 / 1e9;
            let seconds = route.durations[post].get().map_or(0.0, Histogram::sum);
            fail.1 += failed;
            success.1 += (seconds - failed).max(0.0);
        }
        (success, fail)
    }

    /// Counts a request that was not answered with success.
    pub fn failed(&self, endpoint: Endpoint, kind: ErrorType) {
        self.errors(endpoint, kind).inc();
    }

    /// Observes the size of a request's body, in bytes, if it is for a prediction.
    pub fn received(&self, endpoint: Endpoint, bytes: u64) {
        if endpoint.is_predicting() {
            self.request_size(endpoint).observe(bytes as f64);
        }
    }

    /// Observes the size of an answer's body, in bytes, if it is to a request for a prediction.
    pub fn sent(&self, endpoint: Endpoint, bytes: u64) {
        if endpoint.is_predicting() {
            self.response_size(endpoint).observe(bytes as f64);
        }
    }

    fn answers(&self, method: Method, endpoint: Endpoint, status: u16) -> &Counter {
        let known = STATUSES.iter().position(|(code, _)| *code == status);
        let at = known.unwrap_or(STATUSES.len() - 1);
        self.routes[endpoint as usize].answered[method as usize][at].get_or_init(|| {
            let labels = [method.as_str(), endpoint.as_str(), STATUSES[at].1];
            self.families.requests.with_label_values(&labels)
        })
    }

    fn duration(&self, method: Method, endpoint: Endpoint) -> &Histogram {
        self.routes[endpoint as usize].durations[method as usize].get_or_init(|| {
            let labels = [method.as_str(), endpoint.as_str()];
            self.families.durations.with_label_values(&labels)
        })
    }

    fn errors(&self, endpoint: Endpoint, kind: ErrorType) -> &IntCounter {
        self.routes[endpoint as usize].errors[kind as usize].get_or_init(|| {
            let labels = [endpoint.as_str(), kind.as_str()];
            self.families.errors.with_label_values(&labels)
        })
    }

    fn request_size(&self, endpoint: Endpoint) -> &Histogram {
        self.routes[endpoint as usize].request_size.get_or_init(|| {
            self.families
                .request_size
                .with_label_values(&[endpoint.as_str()])
        })
    }

    fn response_size(&self, endpoint: Endpoint) -> &Histogram {
        self.routes[endpoint as usize]
            .response_size
            .get_or_init(|| {
                self.families
                    .response_size
                    .with_label_values(&[endpoint.as_str()])
            })
    }

    /// Makes the series that alerts look at, so that their first increase is seen: what routes
    /// with a body answer and how they fail, and how long the one that most clients use takes.
    fn create_expected(&self) {
        for endpoint in Endpoint::ALL.iter().copied() {
            let Some((method, expected)) = expected(endpoint) else {
                continue;
            };
            for status in expected {
                self.answers(method, endpoint, *status);
            }
            if endpoint == Endpoint::Predict {
                self.duration(method, endpoint);
                self.request_size(endpoint);
                self.response_size(endpoint);
            }
            if expected.contains(&400) {
                for kind in ErrorType::ALL
                    .iter()
                    .filter(|kind| happens(endpoint, **kind))
                {
                    self.errors(endpoint, *kind);
                }
            }
        }
        self.errors(Endpoint::Other, ErrorType::NotFound);
    }

    /// Makes the series of refused API keys: from now on keys are needed.
    pub fn expect_unauthorized(&self) {
        let guarded = Endpoint::ALL.iter().copied().filter(|at| needs_key(*at));
        for endpoint in guarded {
            if let Some((method, _)) = expected(endpoint) {
                self.answers(method, endpoint, 401);
                self.errors(endpoint, ErrorType::Unauthorized);
            }
        }
    }
}

/// Whether requests to a route that takes a body may well fail so, on a server without API keys. A
/// path without a model in it is not mistaken for another.
fn happens(endpoint: Endpoint, kind: ErrorType) -> bool {
    match kind {
        ErrorType::Unauthorized => false,
        ErrorType::NotFound => endpoint.as_str().contains("{model}"),
        _ => true,
    }
}

/// The method that a route answers, and the statuses whose series exist from the start. None for
/// routes that no rule looks at, or of which most servers see no request: their series come with the
/// first.
const fn expected(endpoint: Endpoint) -> Option<(Method, &'static [u16])> {
    match endpoint {
        Endpoint::Predict | Endpoint::Feedback => Some((Method::Post, &[200, 400, 500, 503, 504])),
        Endpoint::V2Infer => Some((Method::Post, &[200, 400, 404, 500, 503, 504])),
        Endpoint::Other => Some((Method::Get, &[404])),
        Endpoint::Health
        | Endpoint::Docs
        | Endpoint::OpenApi
        | Endpoint::Metrics
        | Endpoint::V2Server
        | Endpoint::V2Live
        | Endpoint::V2Ready
        | Endpoint::V2Model
        | Endpoint::V2ModelReady
        | Endpoint::Root
        | Endpoint::V1Models
        | Endpoint::V1Model
        | Endpoint::V1Predict
        | Endpoint::Invocations
        | Endpoint::Ping
        | Endpoint::Version
        | Endpoint::V2Models
        | Endpoint::V2Stats
        | Endpoint::V2Index
        | Endpoint::V2Load
        | Endpoint::V2Unload
        | Endpoint::GrpcInfer
        | Endpoint::GrpcHealth
        | Endpoint::GrpcMetadata
        | Endpoint::GrpcRepository => None,
    }
}
