//! Serves one model over HTTP and gRPC, with monitoring built in.
//!
//! ```text
//! listener → track → admission → decode → validate → predict → encode
//!              └────────────┴───────→ metrics ←──────────┘
//! ```
//! Where keys are configured, track asks access for them; where a certificate is, the listener
//! speaks TLS.
//!
//! Health and metrics may also have a listener and a thread of their own, so that overload never
//! blinds the monitoring.

pub mod access;
pub mod admission;
pub mod app;
pub mod budget;
pub mod business;
pub mod busy;
pub mod compression;
pub mod decode;
pub mod docs;
pub mod encode;
pub mod error;
pub mod feedback;
pub mod file_watch;
pub mod grpc;
pub mod health;
pub mod job;
pub mod kserve_v1;
pub mod listener;
pub mod logs;
pub mod metrics;
pub mod mlflow;
pub mod negotiation;
pub mod open_inference;
pub mod openapi;
pub mod page;
pub mod predict;
pub mod prediction_id;
pub mod probe;
pub mod reload;
pub mod secret_file;
pub mod secrets;
pub mod served;
pub mod settings;
pub mod shutdown;
pub mod signature;
pub mod stall;
pub mod tls;
pub mod traces;
pub mod track;
pub mod work;

pub use settings::Args;

use crate::load::{self, LoadError};
use access::{Access, AccessError};
use anyhow::Context as _;
use app::App;
use contract::config::ServerConfig;
use contract::labels::{Endpoint, ErrorType, StartFailure};
use file_watch::FileWatch;
use futures::FutureExt as _;
use futures::future::OptionFuture;
use shutdown::Signals;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tls::{Acceptor, Identity, TlsError};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

/// Threads for work that is too long for an async worker, per core.
const BLOCKING_THREADS_PER_CORE: usize = 2;

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// Why the server could not start: logged in one line, and written to the termination log if one
/// is configured.
pub fn run(args: Args) -> Result<(), StartError> {
    logs::start();
    let drain_delay = args.drain_delay();
    let config = settings::resolve(args).map_err(StartError::Config);
    let config = config.inspect_err(|error| report(error, in_container()))?;
    let termination_log = config.termination_log.as_deref().map(Path::new);
    start(&config, drain_delay).inspect_err(|error| report(error, termination_log))
}

fn report(error: &StartError, termination_log: Option<&Path>) {
    tracing::error!("{error}");
    if let Some(path) = termination_log {
        // Were this to fail too, the log above would still have the reason.
        let _ = std::fs::write(path, error.to_string());
    }
}

/// Where Kubernetes expects the reason, if that is where this runs: a configuration that cannot be
/// read does not say it.
fn in_container() -> Option<&'static Path> {
    let path = Path::new("/dev/termination-log");
    path.exists().then_some(path)
}

/// Why the server could not start. Displayed as `Reason: message`.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting that cannot work.
    #[error("{reason}: {0:#}", reason = StartFailure::InvalidConfig)]
    Config(anyhow::Error),
    /// Keys or a token that cannot be used.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// A certificate that cannot be used.
    #[error("{reason}: {0}", reason = StartFailure::InvalidCertificate)]
    Tls(#[from] TlsError),
    /// The model was refused.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// An address that cannot be listened on.
    #[error("{reason}: cannot listen on {address}: {cause}", reason = StartFailure::BindFailed)]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the operating system says.
        cause: io::Error,
    },
    /// Threads, signals or metrics.
    #[error("{reason}: {0:#}", reason = StartFailure::Internal)]
    Internal(anyhow::Error),
}

fn start(config: &ServerConfig, drain_delay: Duration) -> Result<(), StartError> {
    settings::check(config).map_err(StartError::Config)?;
    let runtime = runtime().map_err(StartError::Internal)?;
    let served = runtime.block_on(serve(config, drain_delay));
    // Work that outlives the wait is abandoned.
    runtime.shutdown_background();
    served
}

fn runtime() -> anyhow::Result<Runtime> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    Builder::new_multi_thread()
        .worker_threads(cores)
        .max_blocking_threads(cores * BLOCKING_THREADS_PER_CORE)
        .enable_all()
        .build()
        .context("cannot start threads")
}

async fn serve(config: &ServerConfig, drain_delay: Duration) -> Result<(), StartError> {
    // First of all: a signal that comes before is lost to a process that is PID 1.
    let listened = listen(config).context("cannot listen to signals");
    let (mut signals, model, secrets) = listened.map_err(StartError::Internal)?;
    let identity = config.tls.as_ref().map(Identity::read).transpose()?;
    let identity = identity.map(Arc::new);
    let app = tokio::select! {
        app = load(config.clone()) => app?.share(),
        name = signals.stop() => {
            tracing::info!(signal = name, "stopped before the model was loaded");
            return Ok(());
        }
    };
    let listener = bind(config.listen.http)?;
    if let Some(address) = config.listen.admin {
        start_admin(bind(address)?, app)?;
    }
    let grpc = config.listen.grpc.map(bind).transpose()?;
    announce(app, config, &listener, grpc.as_ref());
    let listener = into_tokio(listener, config.listen.http)?;
    let router = app::router(app);
    let tls = |protocol| acceptor(identity.as_ref(), protocol);
    let (http_tls, grpc_tls) = (tls(tls::HTTP_1)?, tls(tls::HTTP_2)?);
    let grpc = grpc.map(|listener| grpc::Server::new(listener, grpc_tls, app));
    let grpc = grpc.transpose().map_err(StartError::Internal)?;
    let background = [
        tokio::spawn(beat(app)),
        tokio::spawn(reload::watch(app, model)),
        tokio::spawn(reload::follow_alias(app)),
        tokio::spawn(secrets::watch(app, identity, secrets)),
    ];
    let stop = shutdown::begin(&mut signals, app, drain_delay).shared();
    let (open, streams) = tokio::join!(
        listener::accept(listener, http_tls, router, unreadable(app), stop.clone()),
        OptionFuture::from(grpc.map(|server| server.accept(stop))),
    );
    let streams = OptionFuture::from(streams.map(grpc::Open::shutdown));
    let open = futures::future::join(open.shutdown(), streams).map(drop);
    let longest = Duration::from_secs(config.limits.last_answers_seconds().into());
    shutdown::finish(open, &mut signals, longest).await;
    background.iter().for_each(JoinHandle::abort);
    if let Some(traces) = &app.traces {
        // Nothing else waits any more, and the pool for what blocks may be busy for good.
        traces.stop();
    }
    Ok(())
}

/// The signals to stop, and news of the model's file and of those with secrets.
fn listen(config: &ServerConfig) -> io::Result<(Signals, FileWatch, FileWatch)> {
    let signals = Signals::listen()?;
    let model = FileWatch::new(reload::file(&config.model.source))?;
    let secrets = FileWatch::new(secrets::files(config))?;
    Ok((signals, model, secrets))
}

async fn load(config: ServerConfig) -> Result<App, StartError> {
    let begin = Instant::now();
    let loading = tokio::task::spawn_blocking(move || {
        let model = load::load(&config.model)?;
        let app = App::new(model, config.model.clone(), config.limits, begin.elapsed());
        let app = app.context("the metrics contradict each other");
        let app = app.map_err(StartError::Internal)?;
        let access = Access::read(&config, &app.metrics.keys)?;
        let app = app.guarded(access).with_model_control(config.model_control);
        let app = app.speaking(&config.compatibility);
        let app = traced(app, &config)?;
        let app = app.counting(&config.business_metrics);
        let app = app.context("the business metrics contradict each other");
        app.map_err(StartError::Internal)
    });
    let loaded = loading.await.context("loading the model failed");
    loaded.map_err(StartError::Internal)?
}

fn traced(app: App, config: &ServerConfig) -> Result<App, StartError> {
    let Some(tracing) = &config.tracing else {
        return Ok(app);
    };
    let app = app.tracing(tracing, config.tls.is_some());
    let app = app.context("traces cannot be sent");
    app.map_err(StartError::Config)
}

/// What a listener that speaks `protocol` shows its clients, if it shows them anything.
fn acceptor(
    identity: Option<&Arc<Identity>>,
    protocol: tls::Protocol,
) -> Result<Option<Acceptor>, StartError> {
    let acceptor = identity.map(|identity| Acceptor::new(Arc::clone(identity), protocol));
    let acceptor = acceptor
        .transpose()
        .context("there is no TLS in this build");
    acceptor.map_err(StartError::Internal)
}

fn announce(
    app: &App,
    config: &ServerConfig,
    http: &std::net::TcpListener,
    grpc: Option<&std::net::TcpListener>,
) {
    let served = app.served();
    let scheme = config.tls.as_ref().map_or("http", |_| "https");
    let address = |listener: &std::net::TcpListener| listener.local_addr().ok();
    tracing::info!(
        address = address(http).map(|address| format!("{scheme}://{address}")),
        grpc = grpc.and_then(address).map(tracing::field::display),
        model = served.model.name,
        version = served.model.version,
        "serving"
    );
}

/// Counts requests whose head cannot be read, and which are thus for no endpoint.
fn unreadable(app: &'static App) -> impl Fn(ErrorType) + Clone + Send + 'static {
    move |kind| app.metrics.http.failed(Endpoint::Other, kind)
}

async fn beat(app: &'static App) {
    let mut ticks = tokio::time::interval(health::BEAT);
    loop {
        ticks.tick().await;
        app.health.beat();
    }
}

/// Serves metrics and health for as long as the process lives.
fn start_admin(listener: std::net::TcpListener, app: &'static App) -> Result<(), StartError> {
    let thread = thread::Builder::new().name("admin".to_owned());
    let spawned = thread.spawn(move || {
        if let Err(failure) = serve_admin(listener, app) {
            tracing::error!(%failure, "metrics and health are not served");
        }
    });
    let spawned = spawned.context("cannot start the admin thread");
    spawned.map(drop).map_err(StartError::Internal)
}

fn serve_admin(listener: std::net::TcpListener, app: &'static App) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let refused = unreadable(app);
    runtime.block_on(async {
        let listener = TcpListener::from_std(listener)?;
        listener::accept(
            listener,
            None,
            app::admin_router(app),
            refused,
            std::future::pending(),
        )
        .await;
        Ok(())
    })
}

fn bind(address: SocketAddr) -> Result<std::net::TcpListener, StartError> {
    contract::listener::bind(address).map_err(|cause| StartError::Bind { address, cause })
}

fn into_tokio(
    listener: std::net::TcpListener,
    address: SocketAddr,
) -> Result<TcpListener, StartError> {
    TcpListener::from_std(listener).map_err(|cause| StartError::Bind { address, cause })
}
