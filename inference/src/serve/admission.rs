//! How many requests are worked on at once, and how a body is read within its limits.

use super::budget::{Budget, Share};
use super::error::Error;
use super::job::Deadline;
use crate::memory_limit::memory_limit;
use axum::body::Body;
use axum::extract::Request;
use bytes::{Bytes, BytesMut};
use contract::config::Limits;
use futures::FutureExt as _;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Body as _;
use std::pin::pin;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// The right to work on one request, given back when dropped.
#[derive(Debug)]
pub struct Permit(#[expect(dead_code, reason = "held for its Drop")] OwnedSemaphorePermit);

/// Requests that may wait for a permit, for each that is worked on.
const WAITING_PER_WORKING: usize = 2;

/// Bodies of at most so many bytes take no share: no more than the buffers of their connections.
const SMALL_BODY: usize = 16 * 1024;

/// Permits to work, and memory for what is received.
///
/// Waiting for a client to send its body needs no permit: otherwise a few slow clients could keep
/// all others out. What has come of it takes a share of the budget, until it is answered.
#[derive(Debug)]
pub struct Admission {
    working: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    requests: usize,
    body_bytes: u64,
    budget: Budget,
}

impl Admission {
    /// Admits what `limits` allow.
    pub fn new(limits: &Limits) -> Self {
        let requests = limits.max_concurrent_requests as usize;
        let permits = |count| Arc::new(Semaphore::new(count));
        Self {
            working: permits(requests),
            waiting: permits(requests * WAITING_PER_WORKING),
            requests,
            body_bytes: limits.max_body_bytes,
            budget: Budget::new(memory_limit(), limits.max_body_bytes),
        }
    }

    /// Bytes of one body, at most.
    pub fn largest(&self) -> usize {
        usize::try_from(self.body_bytes).unwrap_or(usize::MAX)
    }

    /// Memory for what clients send.
    pub fn budget(&self) -> Budget {
        self.budget.clone()
    }

    /// Whether a permit could be had now: enough for work that is done before another request is
    /// looked at, of which there is never more than there are cores.
    pub fn has_room(&self) -> bool {
        self.working.available_permits() > 0
    }

    /// A permit to work on a request, after a wait in a short queue if need be.
    ///
    /// # Errors
    /// `Overload` at once if the queue is full, `Deadline` if it does not move.
    pub async fn enter(&self, deadline: Deadline) -> Result<Permit, Error> {
        if let Ok(permit) = self.take(&self.working) {
            return Ok(permit);
        }
        let _place = self.take(&self.waiting)?;
        let free = Arc::clone(&self.working).acquire_owned();
        match timeout(deadline.left(), free).await {
            Ok(Ok(permit)) => Ok(Permit(permit)),
            // The semaphore is never closed.
            Ok(Err(_)) => Err(Error::Internal),
            Err(_) => Err(deadline.missed()),
        }
    }

    /// Reads a whole body.
    ///
    /// # Errors
    /// `BodyTooLarge` before more than the limit has been read, `SlowBody` or `Impatient`, `Crowded`, `Invalid` if
    /// the body is malformed, or `Cancelled` if the client breaks off.
    pub async fn receive(&self, request: Request, deadline: Deadline) -> Result<Bytes, Error> {
        let body = request.into_body();
        let size = body.size_hint();
        if size.lower() > self.body_bytes {
            return Err(Error::BodyTooLarge(self.body_bytes));
        }
        let mut reading = pin!(self.gather(Limited::new(body, self.largest())));
        // Most bodies come with their head: they need no clock.
        if let Some(outcome) = reading.as_mut().now_or_never() {
            return outcome;
        }
        match timeout(deadline.left(), reading).await {
            Ok(outcome) => outcome,
            Err(_) => Err(match deadline.missed() {
                Error::Deadline(length) => Error::SlowBody(length),
                impatient => impatient,
            }),
        }
    }

    /// Joins the pieces as they come: kept apart, a million of one byte each would take a hundred
    /// times their size. Most bodies come in one piece, which is not copied.
    async fn gather(&self, body: Limited<Body>) -> Result<Bytes, Error> {
        let mut body = pin!(body);
        let mut share = self.budget.share();
        let mut received = 0;
        let mut whole = Bytes::new();
        let mut joined = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let Ok(piece) = frame.map_err(|error| self.broken(&*error))?.into_data() else {
                continue;
            };
            received += piece.len();
            if received > SMALL_BODY {
                share.grow_to(received)?;
            }
            if whole.is_empty() && joined.is_empty() {
                whole = piece;
                continue;
            }
            joined.extend_from_slice(&std::mem::take(&mut whole));
            joined.extend_from_slice(&piece);
        }
        let bytes = match joined.is_empty() {
            true => whole,
            false => joined.freeze(),
        };
        Ok(match received > SMALL_BODY {
            true => Bytes::from_owner(Kept { bytes, share }),
            false => bytes,
        })
    }

    fn broken(&self, error: &(dyn std::error::Error + 'static)) -> Error {
        match error.is::<LengthLimitError>() {
            true => Error::BodyTooLarge(self.body_bytes),
            false if broke_off(error) => Error::Cancelled,
            false => Error::Invalid("the body is malformed".to_owned()),
        }
    }

    fn take(&self, permits: &Arc<Semaphore>) -> Result<Permit, Error> {
        let permit = Arc::clone(permits).try_acquire_owned();
        permit
            .map(Permit)
            .map_err(|_| Error::Overload(self.requests))
    }
}

/// A body and its share of the budget.
struct Kept {
    bytes: Bytes,
    #[expect(dead_code, reason = "held for its Drop")]
    share: Share,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Whether `error` says that the client went away, rather than that it sent nonsense.
fn broke_off(error: &(dyn std::error::Error + 'static)) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    let chain = std::iter::successors(Some(error), |error| error.source());
    chain.into_iter().any(|cause| {
        let io = cause.downcast_ref::<std::io::Error>();
        let gone = [
            BrokenPipe,
            ConnectionAborted,
            ConnectionReset,
            UnexpectedEof,
        ];
        io.is_some_and(|io| gone.contains(&io.kind()))
    })
}
