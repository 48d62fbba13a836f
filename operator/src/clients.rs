//! The clients of the API server, one for each kind of call.
//!
//! kube's own retries obey any Retry-After, and its calls have no deadline: one odd answer would
//! park a reconcile for a day.

mod calls;
mod retry;

pub use calls::{Calls, Watched};

use crate::leadership::{Leadership, NotLeading};
use bytes::Bytes;
use http::{Method, Request, Response};
use kube::client::{Body, ClientBuilder};
use kube::{Client, Config};
use std::time::Duration;
use tower::BoxError;
use tower::buffer::BufferLayer;
use tower::filter::FilterLayer;
use tower::retry::RetryLayer;
use tower::util::BoxService;

/// Longest silence of a watch, or of a list that it begins with: a watch that is well ends within a
/// minute.
const WATCH_TIMEOUT: Duration = Duration::from_secs(75);
/// Longest wait for an answer to a call.
const WORK_TIMEOUT: Duration = Duration::from_secs(15);
/// Longest wait for an answer about the lease.
const LEASE_TIMEOUT: Duration = Duration::from_secs(4);
/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
/// Of the clients for watches, for work and for the lease.
pub const TIMEOUTS: [Duration; 3] = [WATCH_TIMEOUT, WORK_TIMEOUT, LEASE_TIMEOUT];
/// Calls that may wait to be sent: more than reconciles there are at once.
const WAITING_CALLS: usize = 256;

/// See the module.
#[expect(missing_debug_implementations, reason = "kube's client has none")]
pub struct Clients {
    /// For watches.
    pub watch: Client,
    /// For reconciles: calls have a deadline, are repeated a few times, and write only while this
    /// operator leads.
    pub work: Client,
    /// For the lease: calls have a short deadline and are never repeated, so that what is known of
    /// the lease is never old.
    pub lease: Client,
    /// Whether this operator leads.
    pub leadership: Leadership,
}

impl Clients {
    /// Clients of the cluster that `config` names. `calls` counts whatever they ask.
    ///
    /// # Errors
    /// If the credentials or certificates cannot be used.
    pub fn new(
        config: &Config,
        leadership: Leadership,
        calls: &Calls,
    ) -> Result<Self, kube::Error> {
        let [watch, work, lease] =
            TIMEOUTS.map(|timeout| ClientBuilder::try_from(with_timeout(config, timeout)));
        Ok(Self::over([watch?, work?, lease?], leadership, calls))
    }

    /// The same over other transports, which end calls that take too long themselves: one for
    /// watches, one for work, one for the lease.
    pub fn over<B>(
        [watch, work, lease]: [ClientBuilder<Transport<B>>; 3],
        leadership: Leadership,
        calls: &Calls,
    ) -> Self
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let fenced = leadership.clone();
        let fence = FilterLayer::new(move |call| fence(&fenced, call));
        Self {
            watch: watch.with_layer(calls).build(),
            work: work
                .with_layer(calls)
                .with_layer(&fence)
                .with_layer(&BufferLayer::new(WAITING_CALLS))
                .with_layer(&RetryLayer::new(retry::Policy::default()))
                .build(),
            lease: lease.with_layer(calls).build(),
            leadership,
        }
    }
}

/// What carries calls to the API server and answers back.
pub type Transport<B> = BoxService<Request<Body>, Response<B>, BoxError>;

fn with_timeout(config: &Config, timeout: Duration) -> Config {
    let mut config = config.clone();
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(timeout);
    // Else the time for which a connection was idle would count.
    config.reset_reader_on_write = true;
    config
}

/// Lets `call` pass unless it is a write that this operator has no right to.
fn fence(leadership: &Leadership, call: Request<Body>) -> Result<Request<Body>, BoxError> {
    match call.method() == Method::GET || leadership.holds() {
        true => Ok(call),
        false => Err(NotLeading.into()),
    }
}
