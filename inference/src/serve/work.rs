//! Runs the synchronous part of a request: at once if it is short, else on a thread of its own.

use super::admission::Permit;
use super::app::App;
use super::budget::Share;
use super::business::Visit;
use super::compression::{Coding, inflate};
use super::error::Error;
use super::job::{Deadline, Job};
use super::served::Current;
use super::traces;
use axum::extract::Request;
use bytes::Bytes;
use contract::labels::Endpoint;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest time for which a request may keep an async worker from all others.
const LONGEST_INLINE: Duration = Duration::from_millis(1);

/// Largest body that is decoded on an async worker: about 0.3 ms.
const LARGEST_INLINE: usize = 64 * 1024;

/// Largest body whose rows the model can predict within [`LONGEST_INLINE`], if a row of `columns`
/// takes `row_time`.
pub fn inline_bytes(row_time: Duration, columns: usize) -> usize {
    // A value takes at least a digit and a comma.
    let shortest_row = 2 * columns;
    let rows = rows_within(LONGEST_INLINE, row_time);
    rows.saturating_mul(shortest_row).min(LARGEST_INLINE)
}

/// Whole rows that take no longer than `time` if one takes `row_time`.
pub fn rows_within(time: Duration, row_time: Duration) -> usize {
    let rows = time.as_nanos() / row_time.as_nanos().max(1);
    usize::try_from(rows).unwrap_or(usize::MAX)
}

/// Receives the body of `request`, and answers it by `answer`.
///
/// # Errors
/// Those of [`super::admission::Admission`] and of [`perform`].
pub async fn run<T: Send + 'static>(
    app: &App,
    served: Current,
    endpoint: Endpoint,
    request: Request,
    answer: impl FnOnce(&Job, &[u8]) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let deadline = app.deadline();
    let coding = Coding::of_body(request.headers())?;
    let visit = app.visit(request.extensions());
    let bytes = app.admission.receive(request, deadline).await?;
    app.metrics.http.received(endpoint, bytes.len() as u64);
    let body = Received {
        deadline,
        bytes,
        coding,
        visit,
    };
    perform(app, served, body, answer).await
}

/// A request that has come in whole.
#[derive(Debug)]
pub struct Received {
    /// Until when it must be answered.
    pub deadline: Deadline,
    /// Its body.
    pub bytes: Bytes,
    /// How the body is compressed, if it is.
    pub coding: Option<Coding>,
    /// What metrics of the user's own note about it, if there are any.
    pub visit: Option<Arc<Visit>>,
}

/// Answers `body` by `answer`.
///
/// # Errors
/// Those of `answer`; `Unloaded`, `Overload`; `Deadline` if it takes too long; `Internal` if it
/// panics.
pub async fn perform<T: Send + 'static>(
    app: &App,
    served: Current,
    mut body: Received,
    answer: impl FnOnce(&Job, &[u8]) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    if !app.health.is_loaded() {
        return Err(Error::Unloaded);
    }
    let deadline = body.deadline;
    let inline = served.inline_bytes;
    let job = Job::new(served, deadline).noted(body.visit.take());
    let answer = |job: &Job, body: &[u8]| {
        if let Some(visit) = job.visit() {
            visit.read(body);
        }
        answer(job, body)
    };
    // How long a compressed body is, only inflating it tells.
    let short = body.coding.is_none() && body.bytes.len() <= inline;
    if short && app.admission.has_room() {
        return answer(&job, &body.bytes);
    }
    // Boxed, because most requests never need its room.
    Box::pin(async move {
        let permit = app.admission.enter(deadline).await?;
        match short {
            true => answer(&job, &body.bytes),
            false => elsewhere(app, job, permit, body, answer).await,
        }
    })
    .await
}

/// Answers `body` on a thread where it is in nobody's way.
async fn elsewhere<T: Send + 'static>(
    app: &App,
    mut job: Job,
    permit: Permit,
    body: Received,
    answer: impl FnOnce(&Job, &[u8]) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let deadline = body.deadline;
    let _waiting = job.waiting();
    let (budget, busy) = (app.admission.budget(), app.health.busy.clone());
    let task = tokio::task::spawn_blocking(traces::carried(move || {
        // Kept until the work is done, even when nobody waits for it any more.
        let _permit = permit;
        job.check(Instant::now())?;
        let _task = busy.begin();
        let (body, _share) = plain(body, &job, budget.share())?;
        answer(&job, &body)
    }));
    match tokio::time::timeout(deadline.left(), task).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(failure)) => {
            tracing::error!(%failure, "a prediction failed");
            Err(Error::Internal)
        }
        Err(_) => Err(deadline.missed()),
    }
}

/// The body as it was before the client compressed it, and the share of it that is new.
fn plain(body: Received, job: &Job, mut share: Share) -> Result<(Bytes, Share), Error> {
    let most = job.limits.max_body_bytes;
    let bytes = match body.coding {
        Some(coding) => inflate(coding, &body.bytes, most, &mut share)?.into(),
        None => body.bytes,
    };
    Ok((bytes, share))
}
