//! The operator's own metrics and health over HTTP.

use crate::metrics::Metrics;
use axum::Router;
use axum::http::{StatusCode, header::CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use contract::endpoints::{LIVEZ, METRICS, READYZ};
use tokio::sync::watch;

/// Routes for Prometheus and the kubelet.
pub fn router(metrics: Metrics, ready: watch::Receiver<bool>) -> Router {
    Router::new()
        .route(METRICS, get(move || async move { exposition(&metrics) }))
        .route(LIVEZ, get(|| async { "ok\n" }))
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

fn readiness(ready: bool) -> (StatusCode, &'static str) {
    match ready {
        true => (StatusCode::OK, "ok\n"),
        false => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the caches are not filled yet\n",
        ),
    }
}
