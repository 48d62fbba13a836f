//! What requests share, and which route leads to which handler.

use super::admission::Admission;
use super::error::Error;
use super::health::{self, Health};
use super::metrics::Metrics;
use super::prediction_id::PredictionIds;
use super::signature::Signature;
use super::track::TrackLayer;
use super::{docs, feedback, open_inference, predict, work};
use crate::load::LoadedModel;
use axum::Router;
use axum::routing::{MethodRouter, any, get, post};
use contract::config::Limits;
use contract::labels::Endpoint;
use http::{Method, Uri};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// All that a handler needs.
#[derive(Debug)]
pub struct App {
    /// The served model.
    pub model: LoadedModel,
    /// What it takes and gives.
    pub signature: Signature,
    /// Its version as a JSON string.
    pub version_json: String,
    /// What one server admits.
    pub limits: Limits,
    /// Largest body that is answered on an async worker, in bytes.
    pub inline_bytes: usize,
    /// Permits to work.
    pub admission: Admission,
    /// Ids of this version's predictions.
    pub ids: PredictionIds,
    /// What is counted.
    pub metrics: Metrics,
    /// Whether the server lives and is ready.
    pub health: Health,
    /// The OpenAPI description, made when first asked for.
    pub openapi: OnceLock<String>,
    /// Since when the server runs.
    pub started: Instant,
}

impl App {
    /// Serves `model`, which took `load_time` to load, within `limits`.
    ///
    /// # Errors
    /// If the table of metrics contradicts itself.
    pub fn new(
        model: LoadedModel,
        limits: Limits,
        load_time: Duration,
    ) -> Result<Self, prometheus::Error> {
        let signature = Signature::new(&model.manifest);
        let health = Health::new(&model, &signature);
        Ok(Self {
            metrics: Metrics::new(&model, &signature, load_time)?,
            version_json: serde_json::Value::from(model.version.as_str()).to_string(),
            inline_bytes: work::inline_bytes(health.row_time(), signature.width()),
            admission: Admission::new(&limits),
            ids: PredictionIds::new(&model.version),
            openapi: OnceLock::new(),
            started: Instant::now(),
            model,
            signature,
            limits,
            health,
        })
    }
}

/// Everything that the server answers.
pub fn router(app: Arc<App>) -> Router {
    let unknown = track(&app, Endpoint::Other, any(no_route));
    routes()
        .into_iter()
        .fold(Router::new(), |router, (path, endpoint, handlers)| {
            let handlers = handlers.fallback(wrong_method);
            router.route(path, track(&app, endpoint, handlers))
        })
        .fallback_service(unknown.with_state(Arc::clone(&app)))
        .with_state(app)
}

/// The same metrics and health for a listener of their own.
pub fn admin_router(app: Arc<App>) -> Router {
    use contract::endpoints::{LIVEZ, METRICS, READYZ};
    Router::new()
        .route(METRICS, get(health::metrics))
        .route(LIVEZ, get(health::livez))
        .route(READYZ, get(health::readyz))
        .fallback(no_route)
        .with_state(app)
}

type Route = (&'static str, Endpoint, MethodRouter<Arc<App>>);

fn routes() -> [Route; 17] {
    use open_inference as v2;
    [
        ("/predict", Endpoint::Predict, post(predict::predict)),
        ("/feedback", Endpoint::Feedback, post(feedback::feedback)),
        ("/health", Endpoint::Health, get(health::health)),
        ("/docs", Endpoint::Docs, get(docs::page)),
        ("/docs/{file}", Endpoint::Docs, get(docs::asset)),
        ("/openapi.json", Endpoint::OpenApi, get(docs::openapi)),
        ("/metrics", Endpoint::Metrics, get(health::metrics)),
        ("/v2", Endpoint::V2Server, get(v2::server)),
        ("/v2/", Endpoint::V2Server, get(v2::server)),
        ("/v2/health/live", Endpoint::V2Live, get(v2::live)),
        ("/v2/health/ready", Endpoint::V2Ready, get(v2::ready)),
        ("/v2/models/{model}", Endpoint::V2Model, get(v2::model)),
        (
            "/v2/models/{model}/versions/{version}",
            Endpoint::V2Model,
            get(v2::model),
        ),
        (
            "/v2/models/{model}/ready",
            Endpoint::V2ModelReady,
            get(v2::model_ready),
        ),
        (
            "/v2/models/{model}/versions/{version}/ready",
            Endpoint::V2ModelReady,
            get(v2::model_ready),
        ),
        (
            "/v2/models/{model}/infer",
            Endpoint::V2Infer,
            post(v2::infer),
        ),
        (
            "/v2/models/{model}/versions/{version}/infer",
            Endpoint::V2Infer,
            post(v2::infer),
        ),
    ]
}

fn track(
    app: &Arc<App>,
    endpoint: Endpoint,
    handlers: MethodRouter<Arc<App>>,
) -> MethodRouter<Arc<App>> {
    handlers.layer(TrackLayer::new(Arc::clone(app), endpoint))
}

async fn no_route(uri: Uri) -> Error {
    Error::NoRoute(uri.path().to_owned())
}

async fn wrong_method(method: Method) -> Error {
    Error::Method(method.to_string())
}
