//! Requests by method, route, status and cause of failure.

use super::families::Families;
use contract::labels::{Endpoint, ErrorType, Method};
use contract::metrics as table;
use prometheus::{Error, Histogram, IntCounter, IntCounterVec, IntGauge};
use std::sync::OnceLock;

/// Every status that the server answers with; the last stands for all others.
pub const STATUSES: [(u16, &str); 10] = [
    (200, "200"),
    (400, "400"),
    (404, "404"),
    (405, "405"),
    (408, "408"),
    (413, "413"),
    (500, "500"),
    (503, "503"),
    (504, "504"),
    (0, "other"),
];

/// Metrics of all routes.
#[derive(Debug)]
pub struct HttpMetrics {
    /// Requests being worked on.
    pub active: IntGauge,
    requests: IntCounterVec,
    routes: Vec<Route>,
}

/// Metrics of one route.
#[derive(Debug)]
struct Route {
    /// By method and status; made when first needed, since most combinations never happen.
    answered: Vec<[OnceLock<IntCounter>; STATUSES.len()]>,
    /// By method.
    duration: Vec<Histogram>,
    /// By type.
    errors: Vec<IntCounter>,
    request_size: Histogram,
    response_size: Histogram,
}

impl HttpMetrics {
    pub(super) fn new(families: &Families<'_>) -> Result<Self, Error> {
        let none: [&str; 0] = [];
        let requests = families.counter(&table::REQUESTS)?;
        let durations = families.histogram(&table::REQUEST_DURATION)?;
        let errors = families.counter(&table::ERRORS)?;
        let request_size = families.histogram(&table::REQUEST_SIZE)?;
        let response_size = families.histogram(&table::RESPONSE_SIZE)?;
        let route = |endpoint: &Endpoint| {
            let name = endpoint.as_str();
            let duration = |method: &Method| durations.with_label_values(&[method.as_str(), name]);
            let error = |kind: &ErrorType| errors.with_label_values(&[name, kind.as_str()]);
            Route {
                answered: Method::ALL.iter().map(|_| Default::default()).collect(),
                duration: Method::ALL.iter().map(duration).collect(),
                errors: ErrorType::ALL.iter().map(error).collect(),
                request_size: request_size.with_label_values(&[name]),
                response_size: response_size.with_label_values(&[name]),
            }
        };
        let metrics = Self {
            active: families
                .level(&table::ACTIVE_REQUESTS)?
                .with_label_values(&none),
            routes: Endpoint::ALL.iter().map(route).collect(),
            requests,
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
        self.routes[endpoint as usize].duration[method as usize].observe(seconds);
    }

    /// Counts a request that was not answered with success.
    pub fn failed(&self, endpoint: Endpoint, kind: ErrorType) {
        self.routes[endpoint as usize].errors[kind as usize].inc();
    }

    /// Observes the size of a request's body, in bytes.
    pub fn received(&self, endpoint: Endpoint, bytes: u64) {
        self.routes[endpoint as usize]
            .request_size
            .observe(bytes as f64);
    }

    /// Observes the size of an answer's body, in bytes.
    pub fn sent(&self, endpoint: Endpoint, bytes: u64) {
        self.routes[endpoint as usize]
            .response_size
            .observe(bytes as f64);
    }

    fn answers(&self, method: Method, endpoint: Endpoint, status: u16) -> &IntCounter {
        let known = STATUSES.iter().position(|(code, _)| *code == status);
        let at = known.unwrap_or(STATUSES.len() - 1);
        self.routes[endpoint as usize].answered[method as usize][at].get_or_init(|| {
            let labels = [method.as_str(), endpoint.as_str(), STATUSES[at].1];
            self.requests.with_label_values(&labels)
        })
    }

    fn create_expected(&self) {
        for endpoint in Endpoint::ALL.iter().copied() {
            let (method, expected) = expected(endpoint);
            for status in expected {
                self.answers(method, endpoint, *status);
            }
        }
    }
}

/// The method that a route answers, and the statuses whose series exist from the start.
const fn expected(endpoint: Endpoint) -> (Method, &'static [u16]) {
    match endpoint {
        Endpoint::Predict | Endpoint::Feedback => (Method::Post, &[200, 400, 413, 503, 504]),
        Endpoint::V2Infer => (Method::Post, &[200, 400, 404, 413, 503, 504]),
        Endpoint::Health | Endpoint::V2Ready | Endpoint::V2ModelReady => (Method::Get, &[200, 503]),
        Endpoint::Docs
        | Endpoint::OpenApi
        | Endpoint::Metrics
        | Endpoint::V2Server
        | Endpoint::V2Live
        | Endpoint::V2Model => (Method::Get, &[200]),
        Endpoint::Other => (Method::Get, &[404]),
    }
}
