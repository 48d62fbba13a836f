//! The clients of the API server, one for each kind of call.
//!
//! kube's own retries obey any Retry-After, and its calls have no deadline: one odd answer would
//! park a reconcile for a day.

mod calls;
mod retry;

pub use calls::{Calls, Watched};

use crate::leadership::{Leadership, NotLeading};
use http::{Method, Request};
use kube::client::{Body, ClientBuilder};
use kube::{Client, Config};
use std::time::Duration;
use tower::BoxError;
use tower::buffer::BufferLayer;
use tower::filter::FilterLayer;
use tower::retry::RetryLayer;

/// Longest wait for an answer to a call.
const WORK_TIMEOUT: Duration = Duration::from_secs(15);
/// Longest wait for an answer about the lease.
const LEASE_TIMEOUT: Duration = Duration::from_secs(4);
/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
/// Calls that may wait to be sent: more than reconciles there are at once.
const WAITING_CALLS: usize = 256;

/// See the module.
#[expect(missing_debug_implementations, reason = "kube's client has none")]
pub struct Clients {
    /// For watches, which bring their own time-outs.
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
        let watch = with_timeout(config, None);
        let work = with_timeout(config, Some(WORK_TIMEOUT));
        let lease = with_timeout(config, Some(LEASE_TIMEOUT));
        let fenced = leadership.clone();
        let fence = FilterLayer::new(move |call| fence(&fenced, call));
        Ok(Self {
            watch: ClientBuilder::try_from(watch)?.with_layer(calls).build(),
            work: ClientBuilder::try_from(work)?
                .with_layer(calls)
                .with_layer(&fence)
                .with_layer(&BufferLayer::new(WAITING_CALLS))
                .with_layer(&RetryLayer::new(retry::Policy::default()))
                .build(),
            lease: ClientBuilder::try_from(lease)?.with_layer(calls).build(),
            leadership,
        })
    }
}

fn with_timeout(config: &Config, timeout: Option<Duration>) -> Config {
    let mut config = config.clone();
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = timeout;
    // Else the time for which a connection was idle would count.
    config.reset_reader_on_write = timeout.is_some();
    config
}

/// Lets `call` pass unless it is a write that this operator has no right to.
fn fence(leadership: &Leadership, call: Request<Body>) -> Result<Request<Body>, BoxError> {
    match call.method() == Method::GET || leadership.holds() {
        true => Ok(call),
        false => Err(NotLeading.into()),
    }
}
