//! What requests share, and which route leads to which handler.

use super::access::Access;
use super::admission::Admission;
use super::error::Error;
use super::health::{self, Health};
use super::job::Deadline;
use super::metrics::Metrics;
use super::open_inference::statistics::Answered;
use super::served::Served;
use super::track::TrackLayer;
use super::{compression, docs, feedback, kserve_v1, mlflow, open_inference, predict};
use crate::load::LoadedModel;
use arc_swap::ArcSwap;
use axum::Router;
use axum::middleware::from_fn;
use axum::routing::{MethodRouter, any, get, post};
use contract::config::{Limits, ModelConfig};
use contract::labels::Endpoint;
use http::{Method, Uri};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

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
    /// Whether clients may load and unload the model.
    pub model_control: bool,
    /// Held while the model is loaded again.
    pub reloading: Mutex<()>,
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
        metrics.load.serving(true);
        Ok(Self {
            served: ArcSwap::from_pointee(Served::new(model, limits)?),
            source,
            access: Access::default(),
            metrics,
            admission: Admission::new(&limits),
            health: Health::new(),
            started: Instant::now(),
            model_control: false,
            reloading: Mutex::default(),
            limits,
        })
    }

    /// Until when a request that begins now must be answered.
    pub fn deadline(&self) -> Deadline {
        Deadline::after(Duration::from_millis(self.limits.request_timeout_ms))
    }

    /// Lets clients load and unload the model, if `allowed`.
    #[must_use]
    pub fn with_model_control(self, allowed: bool) -> Self {
        Self {
            model_control: allowed,
            ..self
        }
    }

    /// From now on the model is not served.
    pub fn unload(&self) {
        self.health.unload();
        self.metrics.load.serving(false);
    }

    /// From now on the model is served again.
    pub fn resume(&self) {
        self.health.resume();
        self.metrics.load.serving(true);
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

    /// From now on serves `model`, which took `load_time` to load, or will once it is no longer
    /// unloaded. Requests being worked on keep the model that they began with.
    ///
    /// # Errors
    /// If the table of metrics contradicts itself.
    pub fn replace(
        &self,
        model: LoadedModel,
        load_time: Duration,
    ) -> Result<(), prometheus::Error> {
        let mut served = Served::new(model, self.limits)?;
        served.before = Answered::so_far(&self.metrics.http);
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
            let handlers = match endpoint {
                // Shares its path with V1Model, which answers all other methods.
                Endpoint::V1Predict => handlers,
                _ => handlers.fallback(wrong_method),
            };
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
        .layer(from_fn(compression::layer))
        .with_state(app)
}

/// Every path that is answered, and as what it counts.
pub fn paths() -> impl Iterator<Item = (&'static str, Endpoint)> {
    let routes = routes().into_iter();
    routes.map(|(path, endpoint, _)| (path, endpoint))
}

type Route = (&'static str, Endpoint, MethodRouter<Arc<App>>);

#[rustfmt::skip]
fn routes() -> Vec<Route> {
    use {kserve_v1 as v1, open_inference as v2};
    vec![
        ("/predict", Endpoint::Predict, post(predict::predict)),
        ("/feedback", Endpoint::Feedback, post(feedback::feedback)),
        ("/health", Endpoint::Health, get(health::health)),
        ("/docs", Endpoint::Docs, get(docs::page)),
        ("/docs/{file}", Endpoint::Docs, get(docs::asset)),
        ("/openapi.json", Endpoint::OpenApi, get(docs::openapi)),
        ("/metrics", Endpoint::Metrics, get(health::metrics)),
        ("/", Endpoint::Root, get(v1::alive)),
        ("/v1/models", Endpoint::V1Models, get(v1::models)),
        ("/v1/models/{model}", Endpoint::V1Model, get(v1::model)),
        ("/v1/models/{model}", Endpoint::V1Predict, post(v1::predict)),
        (
            "/invocations",
            Endpoint::Invocations,
            post(mlflow::invocations),
        ),
        ("/ping", Endpoint::Ping, get(mlflow::ping)),
        ("/version", Endpoint::Version, get(mlflow::version)),
        ("/v2", Endpoint::V2Server, get(v2::server)),
        ("/v2/", Endpoint::V2Server, get(v2::server)),
        ("/v2/health/live", Endpoint::V2Live, get(v2::live)),
        ("/v2/health/ready", Endpoint::V2Ready, get(v2::ready)),
        ("/v2/models", Endpoint::V2Models, get(v2::models)),
        ("/v2/models/stats", Endpoint::V2Stats, get(v2::stats)),
        ("/v2/models/{model}", Endpoint::V2Model, get(v2::model)),
        ("/v2/models/{model}/ready", Endpoint::V2ModelReady, get(v2::model_ready)),
        ("/v2/models/{model}/stats", Endpoint::V2Stats, get(v2::stats)),
        ("/v2/models/{model}/infer", Endpoint::V2Infer, post(v2::infer)),
        ("/v2/models/{model}/versions/{version}", Endpoint::V2Model, get(v2::model)),
        ("/v2/models/{model}/versions/{version}/ready", Endpoint::V2ModelReady, get(v2::model_ready)),
        ("/v2/models/{model}/versions/{version}/stats", Endpoint::V2Stats, get(v2::stats)),
        ("/v2/models/{model}/versions/{version}/infer", Endpoint::V2Infer, post(v2::infer)),
        ("/v2/repository/index", Endpoint::V2Index, post(v2::index)),
        ("/v2/repository/models/{model}/load", Endpoint::V2Load, post(v2::load)),
        ("/v2/repository/models/{model}/unload", Endpoint::V2Unload, post(v2::unload)),
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
