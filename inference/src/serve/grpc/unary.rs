//! One message in, one message out: receives, unpacks, hands on, packs, counts.

use super::messages::Messages;
use super::{deadline, status};
use crate::serve::app::App;
use crate::serve::business::Visit;
use crate::serve::error::Error;
use crate::serve::job::Deadline;
use crate::serve::track::Tracked;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, post};
use bytes::Bytes;
use contract::labels::Endpoint;
use futures::FutureExt as _;
use http::HeaderMap;
use prost::Message;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::server::Grpc;

/// Bytes that any message may unpack to, and how many times its length a longer one.
const SMALL_UNPACKED: usize = 64 * 1024;
const MOST_EXPANSION: usize = 100;

/// A message that has been received.
#[derive(Debug)]
pub(super) struct Call {
    /// Until when it must be answered.
    pub(super) deadline: Deadline,
    /// The message, still unread.
    pub(super) message: Bytes,
    /// What metrics of the user's own note about the request, if there are any.
    pub(super) visit: Option<Arc<Visit>>,
}

/// A method of the service: its name, what it counts as, and what answers.
pub(super) type Method = (&'static str, Endpoint, MethodRouter<&'static App>);

/// A method that `handler` answers.
pub(super) fn unary<H, F>(name: &'static str, endpoint: Endpoint, handler: H) -> Method
where
    H: Fn(&'static App, Call) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Vec<u8>, Error>> + Send + 'static,
{
    let handler = move |State(app): State<&'static App>, request: Request| async move {
        let answer = answer(app, endpoint, request, handler).await;
        answer.unwrap_or_else(status::respond)
    };
    (name, endpoint, post(Tracked { endpoint, handler }))
}

/// A method that `handler` answers at once.
pub(super) fn quick<Q, A, H>(name: &'static str, endpoint: Endpoint, handler: H) -> Method
where
    Q: Message + Default + 'static,
    A: Message + 'static,
    H: Fn(&App, &Q) -> Result<A, Error> + Copy + Send + Sync + 'static,
{
    unary(name, endpoint, move |app, call| async move {
        let request = decode(&call.message)?;
        handler(app, &request).map(|answer| answer.encode_to_vec())
    })
}

/// Hands `request` on once its message has come in whole, for services that wait for one for ever.
pub(super) async fn whole(
    State(app): State<&'static App>,
    request: Request,
    next: Next,
) -> Response {
    let (head, body) = request.into_parts();
    let body = app.admission.receive(Request::new(body), app.deadline());
    match body.await {
        Ok(body) => next.run(Request::from_parts(head, Body::from(body))).await,
        Err(error) => status::respond(error),
    }
}

/// Reads a message.
///
/// # Errors
/// `Invalid` if it is none of its kind.
pub(super) fn decode<Q: Message + Default>(message: &[u8]) -> Result<Q, Error> {
    Q::decode(message).map_err(|error| Error::Invalid(format!("the message is malformed: {error}")))
}

/// Bytes that a message of `length` bytes may unpack to; None if it is not packed. Messages of
/// numbers shrink to a tenth, a bomb to a thousandth.
fn most_unpacked(headers: &HeaderMap, length: usize) -> Option<usize> {
    let packed = headers.contains_key("grpc-encoding");
    packed.then(|| SMALL_UNPACKED.max(length.saturating_mul(MOST_EXPANSION)))
}

async fn answer<H, F>(
    app: &'static App,
    endpoint: Endpoint,
    request: Request,
    handler: H,
) -> Result<Response, Error>
where
    H: Fn(&'static App, Call) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Vec<u8>, Error>> + Send + 'static,
{
    let deadline = deadline::of(request.headers(), app.deadline())?;
    let visit = app.visit(request.extensions());
    let (head, body) = request.into_parts();
    let body = app.admission.receive(Request::new(body), deadline).await?;
    let unpacked = most_unpacked(&head.headers, body.len());
    let limit = unpacked.unwrap_or(usize::MAX).min(app.admission.largest());
    // tonic copies or unpacks it: as much memory is taken until the answer is made.
    let mut share = app.admission.budget().share();
    share.grow(unpacked.map_or(body.len(), |_| limit))?;
    let service = tower::service_fn(move |request: tonic::Request<Bytes>| {
        let message = request.into_inner();
        let (app, handler, visit) = (app, handler.clone(), visit.clone());
        async move {
            app.metrics.http.received(endpoint, message.len() as u64);
            let work = handler(
                app,
                Call {
                    deadline,
                    message,
                    visit,
                },
            );
            let work = tokio::time::timeout(deadline.left(), work);
            let answer = match AssertUnwindSafe(work).catch_unwind().await {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) => Err(deadline.missed()),
                Err(_) => Err(Error::Internal),
            };
            let answer = answer.map_err(status::of)?;
            app.metrics.http.sent(endpoint, answer.len() as u64);
            Ok::<_, tonic::Status>(tonic::Response::new(answer))
        }
    });
    let mut grpc = Grpc::new(Messages)
        .accept_compressed(Gzip)
        .send_compressed(Gzip)
        .max_decoding_message_size(limit);
    let request = Request::from_parts(head, Body::from(body));
    let response = grpc.unary(service, request).await;
    Ok(status::settle(response.into_response(), limit as u64))
}
