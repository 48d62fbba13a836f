//! What requests share, and which route leads to which handler.

use super::access::Access;
use super::admission::Admission;
use super::business::{Business, Visit};
use super::error::Error;
use super::health::{self, Health};
use super::job::Deadline;
use super::metrics::Metrics;
use super::open_inference::statistics::Answered;
use super::served::{Current, Served};
use super::traces::Traces;
use super::track::Tracked;
use super::{compression, docs, feedback, kserve_v1, mlflow, open_inference, page, predict};
use crate::load::LoadedModel;
use arc_swap::ArcSwap;
use axum::Router;
use axum::handler::Handler;
use axum::middleware::from_fn;
use axum::routing::{self, MethodRouter};
use contract::business::BusinessMetric;
use contract::compatibility::Compatibility;
use contract::config::{Limits, ModelConfig, Tracing};
use contract::labels::Endpoint;
use http::{Extensions, Method, Uri};
use opentelemetry_otlp::ExporterBuildError;
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
    /// Traces of requests, if they are sent anywhere.
    pub traces: Option<Traces>,
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
            traces: None,
            admission: Admission::new(&limits),
            health: Health::new(),
            started: Instant::now(),
            model_control: false,
            reloading: Mutex::default(),
            limits,
        })
    }

    /// The same, for as long as the process lives: copies of the reference cost requests nothing,
    /// while counting them would have all cores write to one place.
    pub fn share(self) -> &'static Self {
        Box::leak(Box::new(self))
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

    /// The same, counting `metrics` too, which [`contract::business::check`] has admitted.
    ///
    /// # Errors
    /// If it should not have.
    pub fn counting(mut self, metrics: &[BusinessMetric]) -> Result<Self, prometheus::Error> {
        if !metrics.is_empty() {
            let business = Business::new(metrics)?;
            business.expect(&self.served().signature);
            self.metrics.business = Some(business);
        }
        Ok(self)
    }

    /// The same, showing its metrics under the names of `systems` too.
    #[must_use]
    pub fn speaking(mut self, systems: &[Compatibility]) -> Self {
        self.metrics.compatibility = systems.to_vec();
        self
    }

    /// The same, sending traces as `tracing` says; `tls` if predictions are asked for over it.
    ///
    /// # Errors
    /// If the environment asks for what cannot be done.
    pub fn tracing(self, tracing: &Tracing, tls: bool) -> Result<Self, ExporterBuildError> {
        let metrics = self.metrics.traces();
        let traces = Traces::new(tracing, &self.served().model.name, tls, metrics)?;
        let traces = Some(traces);
        Ok(Self { traces, ..self })
    }

    /// What metrics of the user's own note about the request with `extensions`, if there are any.
    pub fn visit(&self, extensions: &Extensions) -> Option<Arc<Visit>> {
        self.metrics.business.as_ref()?;
        extensions.get().cloned()
    }

    /// The model that is served at this moment: one request looks once.
    pub fn served(&self) -> Current {
        self.served.load()
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
        if let Some(business) = &self.metrics.business {
            business.expect(&served.signature);
        }
        self.served.store(Arc::new(served));
        self.metrics.load.succeeded(load_time);
        Ok(())
    }
}

/// Everything that the server answers.
pub fn router(app: &'static App) -> Router {
    let unknown = Tracked {
        endpoint: Endpoint::Other,
        handler: no_route,
    };
    let routes = routes().into_iter();
    let router = routes.fold(Router::new(), |router, (path, endpoint, handlers)| {
        let handler = wrong_method;
        let handlers = match endpoint {
            // Shares its path with V1Model, which answers all other methods.
            Endpoint::V1Predict => handlers,
            _ => handlers.fallback(Tracked { endpoint, handler }),
        };
        router.route(path, handlers)
    });
    router.fallback(unknown).with_state(app)
}

/// The same metrics, health and live page for a listener of their own.
pub fn admin_router(app: &'static App) -> Router {
    use contract::endpoints::{LIVEZ, METRICS, READYZ};
    Router::new()
        .route(METRICS, routing::get(health::metrics))
        .route(LIVEZ, routing::get(health::livez))
        .route(READYZ, routing::get(health::readyz))
        .route("/", routing::get(page::page))
        .route("/page/{file}", routing::get(page::asset))
        .fallback(no_route)
        .layer(from_fn(compression::layer))
        .with_state(app)
}

/// Every path that is answered, and as what it counts.
pub fn paths() -> impl Iterator<Item = (&'static str, Endpoint)> {
    let routes = routes().into_iter();
    routes.map(|(path, endpoint, _)| (path, endpoint))
}

type Route = (&'static str, Endpoint, MethodRouter<&'static App>);

#[rustfmt::skip]
fn routes() -> Vec<Route> {
    use {kserve_v1 as v1, open_inference as v2};
    vec![
        post("/predict", Endpoint::Predict, predict::predict),
        post("/feedback", Endpoint::Feedback, feedback::feedback),
        get("/health", Endpoint::Health, health::health),
        get("/docs", Endpoint::Docs, docs::page),
        get("/docs/{file}", Endpoint::Docs, docs::asset),
        get("/openapi.json", Endpoint::OpenApi, docs::openapi),
        get("/metrics", Endpoint::Metrics, health::metrics),
        get("/", Endpoint::Root, page::root),
        get("/page/{file}", Endpoint::Root, page::asset),
        get("/v1/models", Endpoint::V1Models, v1::models),
        get("/v1/models/{model}", Endpoint::V1Model, v1::model),
        post("/v1/models/{model}", Endpoint::V1Predict, v1::predict),
        post("/invocations", Endpoint::Invocations, mlflow::invocations),
        get("/ping", Endpoint::Ping, mlflow::ping),
        get("/version", Endpoint::Version, mlflow::version),
        get("/v2", Endpoint::V2Server, v2::server),
        get("/v2/", Endpoint::V2Server, v2::server),
        get("/v2/health/live", Endpoint::V2Live, v2::live),
        get("/v2/health/ready", Endpoint::V2Ready, v2::ready),
        get("/v2/models", Endpoint::V2Models, v2::models),
        get("/v2/models/stats", Endpoint::V2Stats, v2::stats),
        get("/v2/models/{model}", Endpoint::V2Model, v2::model),
        get("/v2/models/{model}/ready", Endpoint::V2ModelReady, v2::model_ready),
        get("/v2/models/{model}/stats", Endpoint::V2Stats, v2::stats),
        post("/v2/models/{model}/infer", Endpoint::V2Infer, v2::infer),
        get("/v2/models/{model}/versions/{version}", Endpoint::V2Model, v2::model),
        get("/v2/models/{model}/versions/{version}/ready", Endpoint::V2ModelReady, v2::model_ready),
        get("/v2/models/{model}/versions/{version}/stats", Endpoint::V2Stats, v2::stats),
        post("/v2/models/{model}/versions/{version}/infer", Endpoint::V2Infer, v2::infer),
        post("/v2/repository/index", Endpoint::V2Index, v2::index),
        post("/v2/repository/models/{model}/load", Endpoint::V2Load, v2::load),
        post("/v2/repository/models/{model}/unload", Endpoint::V2Unload, v2::unload),
    ]
}

fn get<T, H>(path: &'static str, endpoint: Endpoint, handler: H) -> Route
where
    T: 'static,
    H: Handler<T, &'static App>,
{
    (path, endpoint, routing::get(Tracked { endpoint, handler }))
}

fn post<T, H>(path: &'static str, endpoint: Endpoint, handler: H) -> Route
where
    T: 'static,
    H: Handler<T, &'static App>,
{
    (path, endpoint, routing::post(Tracked { endpoint, handler }))
}

async fn no_route(uri: Uri) -> Error {
    Error::NoRoute(uri.path().to_owned())
}

async fn wrong_method(method: Method) -> Error {
    Error::Method(method.to_string())
}
