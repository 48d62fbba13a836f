//! Accepts connections and serves them, until told to stop.

use super::stall::{self, Progress, Watched};
use super::tls::Acceptor;
use axum::Router;
use axum::body::Body;
use contract::labels::ErrorType;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use socket2::SockRef;
use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::Service as _;

/// Headers of one request.
const MOST_HEADERS: usize = 64;
/// Bytes buffered for one connection.
const BUFFER: usize = 64 * 1024;
/// Connections at once; more wait in the kernel's queue.
const MOST_CONNECTIONS: usize = 4096;
/// File descriptors kept for all else: the other listeners, the model file, the runtime.
const OTHER_DESCRIPTORS: u64 = 64;
/// Time for which what was sent may stay unacknowledged: then the peer is gone.
const PEER_GONE: Duration = Duration::from_secs(10);
/// Wait for the first request of connections that came just before the end.
const SETTLE: Duration = Duration::from_millis(100);
/// Pause after a failed accept: out of file descriptors, the next one would fail at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves `router` on `listener`, inside TLS if there is an acceptor, until `stop` is done. Gives
/// back the connections that are open then, each of which may still answer the request that it is
/// at. `refused` hears of requests that never get to the router: those whose head cannot be read.
pub async fn accept(
    listener: TcpListener,
    tls: Option<Acceptor>,
    router: Router,
    refused: impl Fn(ErrorType) + Clone + Send + 'static,
    stop: impl Future<Output = ()>,
) -> GracefulShutdown {
    let graceful = GracefulShutdown::new();
    let converse = |stream, place| {
        let conversation = Conversation {
            router: router.clone(),
            refused: refused.clone(),
            stop: graceful.watcher(),
            _place: place,
        };
        conversation.begin(stream, tls.clone());
    };
    accept_until(listener, converse, stop).await;
    graceful
}

/// Has `converse` talk to every client until `stop` is done, those included that the kernel has
/// accepted by then. Each connection holds its place until it ends.
pub(super) async fn accept_until(
    listener: TcpListener,
    converse: impl Fn(TcpStream, Option<OwnedSemaphorePermit>),
    stop: impl Future<Output = ()>,
) {
    let converse = |stream, place| {
        set_up(&stream);
        converse(stream, place);
    };
    tokio::select! {
        () = accept_all(&listener, &converse) => {}
        () = stop => {}
    }
    // tokio may not have heard of them yet.
    if let Ok(listener) = listener.into_std() {
        let accepted = std::iter::from_fn(|| listener.accept().ok());
        let streams = accepted.filter_map(|(stream, _)| {
            stream.set_nonblocking(true).ok()?;
            TcpStream::from_std(stream).ok()
        });
        streams.for_each(|stream| converse(stream, None));
    }
    tokio::time::sleep(SETTLE).await;
}

/// What cannot be set is only slower, or noticed later.
fn set_up(stream: &TcpStream) {
    // Without it an answer may wait for the client's acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(stream).set_tcp_user_timeout(Some(PEER_GONE));
}

async fn accept_all(
    listener: &TcpListener,
    converse: impl Fn(TcpStream, Option<OwnedSemaphorePermit>),
) {
    let places = Arc::new(Semaphore::new(most_connections()));
    // Never closed, so there is always a place to wait for.
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => converse(stream, Some(place)),
            Err(failure) if is_the_clients(&failure) => {}
            Err(failure) => {
                tracing::warn!(%failure, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// As many as there are file descriptors for: a connection beyond them could not be accepted, and
/// neither could one that asks for metrics.
fn most_connections() -> usize {
    use rustix::process::{Resource, getrlimit};
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    // Each of the three listeners counts its own.
    let places = descriptors.saturating_sub(OTHER_DESCRIPTORS) / 3;
    usize::try_from(places).map_or(MOST_CONNECTIONS, |places| places.clamp(1, MOST_CONNECTIONS))
}

fn is_the_clients(failure: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        failure.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

/// One connection, and what it needs as long as it lasts.
struct Conversation<R> {
    router: Router,
    refused: R,
    stop: Watcher,
    _place: Option<OwnedSemaphorePermit>,
}

impl<R: Fn(ErrorType) + Send + 'static> Conversation<R> {
    /// Goes on in a task of its own.
    fn begin(self, stream: TcpStream, tls: Option<Acceptor>) {
        match tls {
            None => drop(tokio::spawn(self.answer(stream))),
            Some(tls) => drop(tokio::spawn(async move {
                if let Some(stream) = tls.shake_hands(stream).await {
                    self.answer(stream).await;
                }
            })),
        }
    }

    /// Answers request after request.
    async fn answer<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(self, stream: S) {
        let progress = Progress::new();
        let stages = progress.clone();
        // Not cloned for each request, as all connections would count their clones in one place.
        let router = RefCell::new(self.router);
        let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
            stages.busy();
            let stages = stages.clone();
            let answer = router.borrow_mut().call(request.map(Body::new));
            async move {
                let answer = answer.await;
                stages.idle();
                answer
            }
        });
        let stream = TokioIo::new(Watched::new(stream, progress.clone()));
        let connection = http1::Builder::new()
            .max_headers(MOST_HEADERS)
            .max_buf_size(BUFFER)
            .serve_connection(stream, service);
        // What goes wrong here is a client's: a broken connection, a malformed or late head.
        if let Some(Err(error)) = stall::watch(self.stop.watch(connection), progress).await
            && error.is_parse()
        {
            (self.refused)(match error.is_parse_too_large() {
                true => ErrorType::TooLarge,
                false => ErrorType::Validation,
            });
        }
    }
}
