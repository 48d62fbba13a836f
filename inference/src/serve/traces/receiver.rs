//! Spans → a receiver of OTLP over HTTP, on the exporter's own thread.

use super::exporter::invalid;
use crate::address::Careful;
use async_trait::async_trait;
use contract::config::Tracing;
use http::HeaderMap;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::ExporterBuildError;
use prometheus::IntCounter;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use ureq::Agent;
use ureq::config::Config;
use ureq::unversioned::transport::DefaultConnector;

/// For one attempt to send spans.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// Between two complaints about the receiver.
const SILENCE: Duration = Duration::from_secs(60);
/// Bytes of an answer: it only says how many spans were refused.
const LARGEST_ANSWER: u64 = 64 * 1024;

/// Who takes spans. Failures are counted, and logged once in a while.
#[derive(Debug)]
pub(super) struct Receiver {
    agent: Agent,
    /// What it is told besides: before what the SDK reads from the environment by itself.
    headers: HeaderMap,
    failures: IntCounter,
    /// When its last failure was logged.
    complained: Mutex<Option<Instant>>,
}

impl Receiver {
    pub(super) fn new(tracing: &Tracing, failures: IntCounter) -> Result<Self, ExporterBuildError> {
        let headers: HashMap<_, _> = tracing.headers.clone().into_iter().collect();
        let config = Config::builder()
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            // A proxy would look up the address instead of us.
            .proxy(None)
            .timeout_global(Some(PATIENCE))
            .user_agent(concat!("modelservice/", env!("CARGO_PKG_VERSION")))
            .build();
        let (connector, resolver) = (DefaultConnector::default(), Careful::default());
        Ok(Self {
            agent: Agent::with_parts(config, connector, resolver),
            headers: HeaderMap::try_from(&headers).map_err(invalid)?,
            failures,
            complained: Mutex::default(),
        })
    }

    fn post(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ureq::Error> {
        let (mut head, body) = request.into_parts();
        for (name, value) in &self.headers {
            head.headers.insert(name, value.clone());
        }
        let answer = self.agent.run(Request::from_parts(head, body.as_ref()))?;
        let (head, mut body) = answer.into_parts();
        let body = body.with_config().limit(LARGEST_ANSWER).read_to_vec()?;
        Ok(Response::from_parts(head, body.into()))
    }

    fn complain(&self, problem: &str) {
        self.failures.inc();
        let mut complained = self
            .complained
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if complained.is_none_or(|last| last.elapsed() >= SILENCE) {
            *complained = Some(Instant::now());
            tracing::warn!(problem, "traces cannot be sent");
        }
    }
}

#[async_trait]
impl HttpClient for Receiver {
    /// Blocks: nothing else runs on the exporter's thread.
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        match self.post(request) {
            Ok(answer) => {
                if !answer.status().is_success() {
                    self.complain(answer.status().as_str());
                }
                Ok(answer)
            }
            Err(error) => {
                self.complain(&error.to_string());
                Err(error.into())
            }
        }
    }
}
