//! The operator's own metrics and health over HTTP.

use crate::clients::Watched;
use crate::metrics::Metrics;
use axum::Router;
use axum::http::{StatusCode, header::CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use contract::endpoints::{LIVEZ, METRICS, READYZ};
use std::time::Duration;
use tokio::sync::watch;

/// Several times as long as any watch lasts, and any pause after a failed one.
const LONGEST_SILENCE: Duration = Duration::from_secs(300);

/// Routes for Prometheus and the kubelet.
pub fn router(metrics: Metrics, ready: watch::Receiver<bool>) -> Router {
    let watched = metrics.calls().watched();
    Router::new()
        .route(METRICS, get(move || async move { exposition(&metrics) }))
        .route(LIVEZ, get(move || async move { liveness(&watched) }))
        .route(
            READYZ,
            get(move || async move { readiness(*ready.borrow()) }),
        )
}

fn exposition(metrics: &Metrics) -> Response {
    match metrics.text() {
        Ok(text) => ([(CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// Failing calls are no reason to start anew; that nobody asks any more is one.
fn liveness(watched: &Watched) -> (StatusCode, String) {
    match watched.longest_silence() {
        Some((kind, silence)) if silence > LONGEST_SILENCE => {
            let seconds = silence.as_secs();
            let message = format!("the watch of {kind} has been silent for {seconds} seconds\n");
            (StatusCode::SERVICE_UNAVAILABLE, message)
        }
        Some(_) | None => (StatusCode::OK, "ok\n".to_owned()),
    }
}

fn readiness(ready: bool) -> (StatusCode, &'static str) {
    match ready {
        true => (StatusCode::OK, "ok\n"),
        false => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the caches are not filled yet\n",
        ),
    }
}
