//! Serves one model over HTTP and gRPC, with monitoring built in.
//!
//! ```text
//! listener → track → admission → decode → validate → predict → encode
//!              └────────────┴───────→ metrics ←──────────┘
//! ```
//! Health and metrics may also have a listener and a thread of their own, so that overload never
//! blinds the monitoring.

pub mod admission;
pub mod app;
pub mod compression;
pub mod decode;
pub mod docs;
pub mod encode;
pub mod error;
pub mod feedback;
pub mod grpc;
pub mod health;
pub mod kserve_v1;
pub mod listener;
pub mod logs;
pub mod metrics;
pub mod mlflow;
pub mod open_inference;
pub mod openapi;
pub mod predict;
pub mod prediction_id;
pub mod probe;
pub mod reload;
pub mod served;
pub mod settings;
pub mod shutdown;
pub mod signature;
pub mod stall;
pub mod track;
pub mod work;

pub use settings::Args;

use crate::load::{self, LoadError};
use anyhow::Context as _;
use app::App;
use contract::config::ServerConfig;
use futures::FutureExt as _;
use futures::future::OptionFuture;
use shutdown::Signals;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
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
    let config = config.inspect_err(|error| tracing::error!("{error}"))?;
    start(&config, drain_delay).inspect_err(|error| {
        tracing::error!("{error}");
        if let Some(path) = &config.termination_log {
            // Were this to fail too, the log above would still have the reason.
            let _ = std::fs::write(path, error.to_string());
        }
    })
}

/// Why the server could not start. Displayed as `Reason: message`.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting that cannot work.
    #[error("InvalidConfig: {0:#}")]
    Config(anyhow::Error),
    /// The model was refused.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// An address that cannot be listened on.
    #[error("BindFailed: cannot listen on {address}: {cause}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the operating system says.
        cause: io::Error,
    },
    /// Threads, signals or metrics.
    #[error("Internal: {0:#}")]
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
    let signals = Signals::listen().and_then(|signals| Ok((signals, Signals::hangup()?)));
    let signals = signals.context("cannot listen to signals");
    let (mut signals, hangup) = signals.map_err(StartError::Internal)?;
    let file = reload::Watched::new(&config.model.source);
    let app = tokio::select! {
        app = load(config.clone()) => Arc::new(app?),
        name = signals.stop() => {
            tracing::info!(signal = name, "stopped before the model was loaded");
            return Ok(());
        }
    };
    let listener = bind(config.listen.http)?;
    if let Some(address) = config.listen.admin {
        start_admin(bind(address)?, Arc::clone(&app))?;
    }
    let grpc = config.listen.grpc.map(bind).transpose()?;
    announce(&app, &listener, grpc.as_ref());
    let listener = into_tokio(listener, config.listen.http)?;
    let background = [
        tokio::spawn(beat(Arc::clone(&app))),
        tokio::spawn(reload::watch(Arc::clone(&app), file, hangup)),
    ];
    let router = app::router(Arc::clone(&app));
    let grpc = match grpc {
        Some(listener) => Some(grpc::Server::new(listener, &app).map_err(StartError::Internal)?),
        None => None,
    };
    let stop = shutdown::begin(&mut signals, &app, drain_delay).shared();
    let (open, streams) = tokio::join!(
        listener::accept(listener, router, stop.clone()),
        OptionFuture::from(grpc.map(|server| server.accept(stop))),
    );
    let streams = OptionFuture::from(streams.map(grpc::Open::shutdown));
    let open = futures::future::join(open.shutdown(), streams).map(drop);
    shutdown::finish(open, &mut signals).await;
    background.iter().for_each(JoinHandle::abort);
    Ok(())
}

async fn load(config: ServerConfig) -> Result<App, StartError> {
    let begin = Instant::now();
    let loading = tokio::task::spawn_blocking(move || {
        let model = load::load(&config.model)?;
        App::new(model, config.model, config.limits, begin.elapsed())
            .map(|app| app.with_model_control(config.model_control))
            .context("the metrics contradict each other")
            .map_err(StartError::Internal)
    });
    let loaded = loading.await.context("loading the model failed");
    loaded.map_err(StartError::Internal)?
}

fn announce(app: &App, http: &std::net::TcpListener, grpc: Option<&std::net::TcpListener>) {
    let served = app.served();
    let address = |listener: &std::net::TcpListener| listener.local_addr().ok();
    tracing::info!(
        address = address(http).map(|address| format!("http://{address}")),
        grpc = grpc.and_then(address).map(tracing::field::display),
        model = served.model.name,
        version = served.model.version,
        "serving"
    );
}

async fn beat(app: Arc<App>) {
    let mut ticks = tokio::time::interval(health::BEAT);
    loop {
        ticks.tick().await;
        app.health.beat();
    }
}

/// Serves metrics and health for as long as the process lives.
fn start_admin(listener: std::net::TcpListener, app: Arc<App>) -> Result<(), StartError> {
    let thread = thread::Builder::new().name("admin".to_owned());
    let spawned = thread.spawn(move || {
        if let Err(failure) = serve_admin(listener, app) {
            tracing::error!(%failure, "metrics and health are not served");
        }
    });
    let spawned = spawned.context("cannot start the admin thread");
    spawned.map(drop).map_err(StartError::Internal)
}

fn serve_admin(listener: std::net::TcpListener, app: Arc<App>) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::from_std(listener)?;
        listener::accept(listener, app::admin_router(app), std::future::pending()).await;
        Ok(())
    })
}

fn bind(address: SocketAddr) -> Result<std::net::TcpListener, StartError> {
    let bound = std::net::TcpListener::bind(address)
        .and_then(|listener| listener.set_nonblocking(true).map(|()| listener));
    bound.map_err(|cause| StartError::Bind { address, cause })
}

fn into_tokio(
    listener: std::net::TcpListener,
    address: SocketAddr,
) -> Result<TcpListener, StartError> {
    TcpListener::from_std(listener).map_err(|cause| StartError::Bind { address, cause })
}
