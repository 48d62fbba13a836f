//! Whether the server lives, is ready, and what it has counted.

use super::app::App;
use super::error::{Error, json};
use super::metrics;
use super::signature::Signature;
use crate::load::LoadedModel;
use crate::model::{Batch, Predictions};
use axum::extract::State;
use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Time without a beat of the serving runtime after which the process is no longer live.
const LONGEST_SILENCE: Duration = Duration::from_secs(30);

/// Time between two beats.
pub const BEAT: Duration = Duration::from_secs(1);

/// Runs of the probe whose fastest says how long a row takes.
const PROBES: u32 = 5;

/// Whether the server lives and is ready.
#[derive(Debug)]
pub struct Health {
    probe: Option<Probe>,
    row_time: Duration,
    draining: AtomicBool,
    born: Instant,
    /// Milliseconds from `born` to the last beat.
    beat: AtomicU64,
}

/// A row whose prediction is known.
#[derive(Debug)]
struct Probe {
    row: Batch,
    expected: Predictions,
}

impl Health {
    /// Health of a server that serves `model`.
    pub fn new(model: &LoadedModel, signature: &Signature) -> Self {
        let row = Batch::new(signature.example.clone(), signature.width()).ok();
        let mut row_time = Duration::MAX;
        let probe = row.map(|row| {
            let mut expected = model.model.predict(&row);
            for _ in 0..PROBES {
                let begin = Instant::now();
                expected = model.model.predict(&row);
                row_time = row_time.min(begin.elapsed());
            }
            Probe { row, expected }
        });
        Self {
            probe,
            row_time,
            draining: AtomicBool::new(false),
            born: Instant::now(),
            beat: AtomicU64::new(0),
        }
    }

    /// How long the model takes for one row.
    pub const fn row_time(&self) -> Duration {
        self.row_time
    }

    /// What the model says about the example row of its signature.
    pub fn example(&self) -> Option<&Predictions> {
        self.probe.as_ref().map(|probe| &probe.expected)
    }

    /// Whether the model gives probabilities.
    pub fn has_probabilities(&self) -> bool {
        matches!(
            self.example(),
            Some(Predictions::Classes {
                probabilities: Some(_),
                ..
            })
        )
    }

    /// From now on the server is not ready.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Says that the serving runtime makes progress.
    pub fn beat(&self) {
        let now = self.born.elapsed().as_millis() as u64;
        self.beat.store(now, Ordering::Relaxed);
    }

    fn is_live(&self) -> bool {
        let beat = Duration::from_millis(self.beat.load(Ordering::Relaxed));
        self.born.elapsed().saturating_sub(beat) < LONGEST_SILENCE
    }
}

/// Predicts a row whose answer is known.
///
/// # Errors
/// Why no traffic should come here.
pub fn check_ready(app: &App) -> Result<(), &'static str> {
    if app.health.draining.load(Ordering::Relaxed) {
        return Err("draining");
    }
    match &app.health.probe {
        Some(probe) if app.model.model.predict(&probe.row) == probe.expected => Ok(()),
        _ => Err("the model does not reproduce its prediction"),
    }
}

/// `GET /health`: for people.
pub async fn health(State(app): State<Arc<App>>) -> Response {
    let ready = check_ready(&app);
    let body = serde_json::json!({
        "status": ready.err().unwrap_or("ok"),
        "model": app.model.name,
        "version": app.model.version,
        "algorithm": app.model.manifest.algorithm,
        "task": app.model.manifest.task,
        "uptime_seconds": app.started.elapsed().as_secs(),
    });
    json(status(ready.is_ok()), body.to_string())
}

/// `GET /livez`: 200 while the serving runtime makes progress.
pub async fn livez(State(app): State<Arc<App>>) -> (StatusCode, &'static str) {
    match app.health.is_live() {
        true => (StatusCode::OK, "ok\n"),
        false => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the server makes no progress\n",
        ),
    }
}

/// `GET /readyz`: 200 while a known row is predicted as ever, and the server is not draining.
pub async fn readyz(State(app): State<Arc<App>>) -> (StatusCode, &'static str) {
    let ready = check_ready(&app);
    (status(ready.is_ok()), ready.err().unwrap_or("ok\n"))
}

/// `GET /metrics`: Prometheus text exposition.
///
/// # Errors
/// `Internal` if the metrics cannot be written.
pub async fn metrics(State(app): State<Arc<App>>) -> Result<Response, Error> {
    let text = app.metrics.render().map_err(|failure| {
        tracing::error!(%failure, "the metrics cannot be written");
        Error::Internal
    })?;
    let mut response = Response::new(text.into());
    let kind = HeaderValue::from_static(metrics::CONTENT_TYPE);
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
