//! HTTP/2 connections, within limits.

use super::exchange::{Exchange, Piece};
use super::frames::PREFACE;
use super::progress::{FrameObserver, Overdue, Progress};
use crate::serve::listener::accept_until;
use crate::serve::stall::{HEAD, IDLE, Watched};
use crate::serve::tls::Acceptor;
use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io::{self, Cursor};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tower::Service as _;

/// Requests of one connection at once.
const MOST_STREAMS: u32 = 100;
/// Requests that a client may take back before they are looked at ("rapid reset").
const MOST_RESETS: usize = 20;
/// Resets that a client may provoke ("made you reset").
const MOST_PROVOKED_RESETS: usize = 64;
/// Bytes of the headers of one request.
const HEADER_BYTES: u32 = 16 * 1024;
/// Bytes that a client may send ahead in one request.
const STREAM_WINDOW: u32 = 64 * 1024;
/// Bytes that a client may send ahead in one connection.
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Time between two pings.
const PING: Duration = Duration::from_secs(20);
/// Longest wait for the answer to a ping.
const PONG: Duration = Duration::from_secs(10);
/// Age at which a client is asked to connect anew, so that it finds new replicas.
const MOST_AGE: Duration = Duration::from_secs(30 * 60);
/// Time for the requests of an aged connection.
const AGE_GRACE: Duration = Duration::from_secs(60);
/// Ticks for which a client that is asked to leave may stay without a request.
const FAREWELL: u32 = HEAD;

/// The open connections.
#[derive(Debug, Default)]
pub struct Open {
    /// Each connection listens until it ends.
    stop: watch::Sender<()>,
}

impl Open {
    /// Asks every client to go away (GOAWAY), and waits until the requests that the connections
    /// are at have been answered.
    pub async fn shutdown(self) {
        self.stop.send_replace(());
        self.stop.closed().await;
    }
}

/// A connection, encrypted or not.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for S {}

/// Serves `router` on `listener` until `stop` is done.
pub(super) async fn accept(
    listener: TcpListener,
    tls: Option<Acceptor>,
    router: Router,
    stop: impl Future<Output = ()>,
) -> Open {
    let open = Open::default();
    let converse = |stream: TcpStream, place| {
        let (router, stop, tls) = (router.clone(), open.stop.subscribe(), tls.clone());
        tokio::spawn(async move {
            match tls {
                None => converse(stream, router, stop).await,
                Some(tls) => {
                    if let Some(stream) = tls.shake_hands(stream).await {
                        converse(stream, router, stop).await;
                    }
                }
            }
            drop(place);
        });
    };
    accept_until(listener, converse, stop).await;
    open
}

async fn converse(stream: impl Stream, router: Router, mut stop: watch::Receiver<()>) {
    let progress = Arc::new(Progress::new());
    let stream = Watched::new(stream, FrameObserver::new(Arc::clone(&progress)));
    let greeted = tokio::select! {
        greeted = greet(stream) => greeted,
        _ = progress.overdue(IDLE) => return,
        _ = stop.changed() => return,
    };
    if let Ok(stream) = greeted {
        serve(stream, router, &progress, stop).await;
    }
}

/// Answers request after request.
async fn serve(
    stream: impl Stream,
    router: Router,
    progress: &Arc<Progress>,
    mut stop: watch::Receiver<()>,
) {
    let service = service_fn(|request| answer(router.clone(), request, Exchange::begin(progress)));
    let connection = builder().serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let patience = tokio::select! {
        // What goes wrong here is a client's.
        _ = connection.as_mut() => return,
        overdue = progress.overdue(IDLE) => match overdue {
            Overdue::Idle => AGE_GRACE,
            Overdue::Stalled => return,
        },
        () = sleep(MOST_AGE) => AGE_GRACE,
        // The server itself waits no longer than it wants to.
        _ = stop.changed() => Duration::MAX,
    };
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        _ = timeout(patience, connection) => {}
        _ = progress.overdue(FAREWELL) => {}
    }
}

async fn answer(
    mut router: Router,
    request: http::Request<Incoming>,
    exchange: Exchange,
) -> Result<http::Response<impl hyper::body::Body<Data = Piece, Error = axum::Error>>, Infallible> {
    let answer = router.call(request.map(Body::new)).await?;
    Ok(answer.map(|body| exchange.answer(body)))
}

/// Reads the preface, and gives back the stream as if nothing had been read.
async fn greet(stream: impl Stream) -> io::Result<impl Stream> {
    let (mut reader, writer) = tokio::io::split(stream);
    let mut preface = [0; PREFACE.len()];
    reader.read_exact(&mut preface).await?;
    match preface == PREFACE {
        true => Ok(tokio::io::join(Cursor::new(preface).chain(reader), writer)),
        false => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn builder() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(MOST_STREAMS)
        .max_pending_accept_reset_streams(MOST_RESETS)
        .max_local_error_reset_streams(MOST_PROVOKED_RESETS)
        .max_header_list_size(HEADER_BYTES)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PONG);
    builder
}
