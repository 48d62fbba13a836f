//! Serves one model over HTTP, with monitoring built in.
//!
//! ```text
//! listener → track → admission → decode → validate → predict → encode
//!              └────────────┴───────→ metrics ←──────────┘
//! ```
//! Health and metrics may also have a listener and a thread of their own, so that overload never
//! blinds the monitoring.

pub mod admission;
pub mod app;
pub mod decode;
pub mod docs;
pub mod encode;
pub mod error;
pub mod feedback;
pub mod health;
pub mod listener;
pub mod logs;
pub mod metrics;
pub mod open_inference;
pub mod openapi;
pub mod predict;
pub mod prediction_id;
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
use settings::Settings;
use shutdown::Signals;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

/// Threads for work that is too long for an async worker, per core.
const BLOCKING_THREADS_PER_CORE: usize = 2;

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// Why the server could not start: logged in one line, and written to the termination log if one
/// is configured.
pub fn run(args: Args) -> Result<(), StartError> {
    logs::start();
    let settings = Settings::resolve(args).map_err(StartError::Config);
    let settings = settings.inspect_err(|error| tracing::error!("{error}"))?;
    let started = start(&settings).inspect_err(|error| {
        tracing::error!("{error}");
        if let Some(path) = &settings.config.termination_log {
            // Were this to fail too, the log above would still have the reason.
            let _ = std::fs::write(path, error.to_string());
        }
    });
    let (runtime, server) = started?;
    runtime.block_on(server.serve(settings.drain_delay));
    // Work that outlives the wait is abandoned.
    runtime.shutdown_background();
    Ok(())
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

/// A server that has all it needs.
#[derive(Debug)]
struct Server {
    app: Arc<App>,
    listener: TcpListener,
    signals: Signals,
}

fn start(settings: &Settings) -> Result<(Runtime, Server), StartError> {
    let config = &settings.config;
    let app = Arc::new(build(config)?);
    let runtime = runtime().map_err(StartError::Internal)?;
    let inside = runtime.enter();
    let signals = Signals::listen().context("cannot listen to signals");
    let signals = signals.map_err(StartError::Internal)?;
    let listener = bind(config.listen.http).and_then(|it| into_tokio(it, config.listen.http))?;
    if let Some(address) = config.listen.admin {
        let listener = bind(address)?;
        let app = Arc::clone(&app);
        let thread = thread::Builder::new().name("admin".to_owned());
        let spawned = thread.spawn(move || serve_admin(listener, app));
        spawned
            .context("cannot start the admin thread")
            .map_err(StartError::Internal)?;
    }
    let address = listener.local_addr().unwrap_or(config.listen.http);
    tracing::info!(
        address = %format_args!("http://{address}"),
        model = app.model.name,
        version = app.model.version,
        "serving"
    );
    let server = Server {
        app,
        listener,
        signals,
    };
    drop(inside);
    Ok((runtime, server))
}

fn build(config: &ServerConfig) -> Result<App, StartError> {
    let begin = Instant::now();
    let model = load::load(&config.model)?;
    App::new(model, config.limits, begin.elapsed())
        .context("the metrics contradict each other")
        .map_err(StartError::Internal)
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

impl Server {
    async fn serve(self, drain_delay: Duration) {
        let Self {
            app,
            listener,
            signals,
        } = self;
        let beating = tokio::spawn(beat(Arc::clone(&app)));
        let router = app::router(Arc::clone(&app));
        let stop = signals.stop(app, drain_delay);
        let all = listener::serve(listener, router, stop, shutdown::DRAIN).await;
        beating.abort();
        match all {
            true => tracing::info!("stopped"),
            false => tracing::warn!("stopped with requests unanswered"),
        }
    }
}

async fn beat(app: Arc<App>) {
    let mut ticks = tokio::time::interval(health::BEAT);
    loop {
        ticks.tick().await;
        app.health.beat();
    }
}

/// Serves metrics and health for as long as the process lives.
fn serve_admin(listener: std::net::TcpListener, app: Arc<App>) {
    let runtime = Builder::new_current_thread().enable_all().build();
    let served = runtime.and_then(|runtime| {
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener)?;
            let never = std::future::pending();
            listener::serve(listener, app::admin_router(app), never, Duration::ZERO).await;
            Ok(())
        })
    });
    if let Err(failure) = served {
        tracing::error!(%failure, "metrics and health are not served");
    }
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
