//! Whether the server lives, is ready, and what it has counted.

use super::app::App;
use super::busy::Busy;
use super::error::{Error, json};
use super::metrics::Format;
use super::negotiation;
use super::served::Served;
use axum::extract::State;
use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Time without a beat of the serving runtime after which the process is no longer live.
const LONGEST_SILENCE: Duration = Duration::from_secs(30);

/// Time after which a prediction will never end: no batch of any model takes a tenth of it.
const LONGEST_WORK: Duration = Duration::from_secs(60);

/// Time between two beats.
pub const BEAT: Duration = Duration::from_secs(1);

/// Whether the server lives and takes traffic.
#[derive(Debug)]
pub struct Health {
    draining: AtomicBool,
    unloaded: AtomicBool,
    changed: watch::Sender<()>,
    born: Instant,
    /// Milliseconds from `born` to the last beat.
    beat: AtomicU64,
    /// Predictions that are being worked on.
    pub busy: Busy,
}

impl Health {
    /// Of a server that begins now.
    pub(super) fn new() -> Self {
        Self {
            draining: AtomicBool::new(false),
            unloaded: AtomicBool::new(false),
            changed: watch::Sender::default(),
            born: Instant::now(),
            beat: AtomicU64::new(0),
            busy: Busy::default(),
        }
    }

    /// From now on the server is not ready.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.changed.send_replace(());
    }

    /// From now on the model is not served.
    pub(super) fn unload(&self) {
        self.unloaded.store(true, Ordering::Relaxed);
        self.changed.send_replace(());
    }

    /// From now on the model is served again.
    pub(super) fn resume(&self) {
        self.unloaded.store(false, Ordering::Relaxed);
        self.changed.send_replace(());
    }

    /// Done once the server drains.
    pub async fn drained(&self) {
        let mut changes = self.changed.subscribe();
        while !self.draining.load(Ordering::Relaxed) {
            // The sender is this very value.
            let _ = changes.changed().await;
        }
    }

    /// Whether the model is served.
    pub fn is_loaded(&self) -> bool {
        !self.unloaded.load(Ordering::Relaxed)
    }

    /// Tells when the server begins to drain, or the model is unloaded or served again.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Whether connections are to be closed after their next answer.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Says that the serving runtime makes progress.
    pub fn beat(&self) {
        let now = self.born.elapsed().as_millis() as u64;
        self.beat.store(now, Ordering::Relaxed);
    }

    fn is_live(&self) -> bool {
        let beat = Duration::from_millis(self.beat.load(Ordering::Relaxed));
        let silence = self.born.elapsed().saturating_sub(beat);
        silence < LONGEST_SILENCE && self.busy.longest() < LONGEST_WORK
    }
}

/// Predicts a row whose answer is known.
///
/// # Errors
/// Why no traffic should come here.
pub fn check_ready(app: &App, served: &Served) -> Result<(), &'static str> {
    if app.health.is_draining() {
        return Err("draining");
    }
    if !app.health.is_loaded() {
        return Err("the model is unloaded");
    }
    match served.works() {
        true => Ok(()),
        false => Err("the model does not reproduce its prediction"),
    }
}

/// `GET /health`: for people.
pub async fn health(State(app): State<&'static App>) -> Response {
    let served = app.served();
    let ready = check_ready(app, &served);
    let model = &served.model;
    let body = serde_json::json!({
        "status": ready.err().unwrap_or("ok"),
        "model": model.name,
        "version": model.version,
        "sha256": model.sha256,
        "algorithm": model.manifest.algorithm,
        "task": model.manifest.task,
        "uptime_seconds": app.started.elapsed().as_secs(),
    });
    json(status(ready.is_ok()), body.to_string())
}

/// `GET /livez`: 200 while the serving runtime and predictions make progress.
pub async fn livez(State(app): State<&'static App>) -> (StatusCode, &'static str) {
    match app.health.is_live() {
        true => (StatusCode::OK, "ok\n"),
        false => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the server makes no progress\n",
        ),
    }
}

/// `GET /readyz`: 200 while a known row is predicted as ever, and the server is not draining.
pub async fn readyz(State(app): State<&'static App>) -> (StatusCode, &'static str) {
    let ready = check_ready(app, &app.served());
    (status(ready.is_ok()), ready.err().unwrap_or("ok\n"))
}

/// `GET /metrics`: in the text format of Prometheus, or in that of OpenMetrics for those who like it
/// better.
///
/// # Errors
/// `Unauthorized` without the token, where there is one; `Internal` if the metrics cannot be
/// written.
pub async fn metrics(
    State(app): State<&'static App>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    app.access.admit_scraper(&headers)?;
    let format = match negotiation::likes_open_metrics(&headers) {
        true => Format::OpenMetrics,
        false => Format::Prometheus,
    };
    let text = app.metrics.render(&app.served().metrics, format);
    let text = text.map_err(|failure| {
        tracing::error!(%failure, "the metrics cannot be written");
        Error::Internal
    })?;
    let mut response = Response::new(text.into());
    let kind = HeaderValue::from_static(format.media_type());
    response.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(response)
}

/// 200 or 503.
pub const fn status(ready: bool) -> StatusCode {
    match ready {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    }
}
