//! What requests share, and which route leads to which handler.

use super::access::Access;
use super::admission::Admission;
use super::error::Error;
use super::health::{self, Health};
use super::metrics::Metrics;
use super::served::Served;
use super::track::TrackLayer;
use super::{docs, feedback, open_inference, predict};
use crate::load::LoadedModel;
use arc_swap::ArcSwap;
use axum::Router;
use axum::routing::{MethodRouter, any, get, post};
use contract::config::{Limits, ModelConfig};
use contract::labels::Endpoint;
use http::{Method, Uri};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// All that a handler needs.
#[derive(Debug)]
pub struct App {
    served: ArcSwap<Served>,
    /// Where the model comes from.
    pub source: ModelConfig,
    /// What one server admits.
    pub limits: Limits,
    /// Who may ask for what.
    pub access: Access,
    /// Permits to work.
    pub admission: Admission,
    /// What is counted, whichever model is served.
    pub metrics: Metrics,
    /// Whether the server lives and takes traffic.
    pub health: Health,
    /// Since when the server runs.
    pub started: Instant,
}

impl App {
    /// Serves `model`, which took `load_time` to load from `source`, within `limits`.
    ///
    /// # Errors
    /// If the table of metrics contradicts itself.
    pub fn new(
        model: LoadedModel,
        source: ModelConfig,
        limits: Limits,
        load_time: Duration,
    ) -> Result<Self, prometheus::Error> {
        let metrics = Metrics::new()?;
        metrics.load.succeeded(load_time);
        Ok(Self {
            served: ArcSwap::from_pointee(Served::new(model, limits)?),
            source,
            access: Access::default(),
            metrics,
            admission: Admission::new(&limits),
            health: Health::new(),
            started: Instant::now(),
            limits,
        })
    }

    /// The same for those whom `access` admits.
    #[must_use]
    pub fn guarded(self, access: Access) -> Self {
        if access.keys.is_some() {
            self.metrics.http.expect_unauthorized();
        }
        Self { access, ..self }
    }

    /// The model that is served at this moment: one request looks once.
    pub fn served(&self) -> Arc<Served> {
        self.served.load_full()
    }

    /// From now on serves `model`, which took `load_time` to load. Requests being worked on keep
    /// the model that they began with.
    ///
    /// # Errors
    /// If the table of metrics contradicts itself.
    pub fn replace(
        &self,
        model: LoadedModel,
        load_time: Duration,
    ) -> Result<(), prometheus::Error> {
        let served = Served::new(model, self.limits)?;
        self.served.store(Arc::new(served));
        self.metrics.load.succeeded(load_time);
        Ok(())
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
