//! The command line.

use crate::api::ModelService;
use crate::controller::{self, Clients};
use crate::metrics::Metrics;
use crate::plan::Settings;
use crate::render::{Children, render};
use crate::validate::validate;
use crate::world::World;
use crate::{admin, yaml};
use anyhow::{Context as _, Result, bail};
use clap::{Parser, Subcommand};
use kube::{Client, Config, CustomResourceExt};
use std::fs;
use std::io::Read;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Serves and monitors machine-learning models on Kubernetes.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Reconcile the ModelServices of a cluster.
    Run {
        /// Where metrics and health are served.
        #[arg(long, env = "ADMIN_ADDRESS", default_value = "0.0.0.0:8080")]
        admin: SocketAddr,
        #[command(flatten)]
        settings: Settings,
    },
    /// Print the CustomResourceDefinition.
    Crd,
    /// Print every object that a ModelService becomes, without a cluster.
    Render {
        /// File with one or more ModelServices; - is standard input.
        #[arg(short, long)]
        file: String,
        #[command(flatten)]
        settings: Settings,
    },
}

impl Cli {
    /// Does what the command line says.
    pub fn execute(self) -> Result<()> {
        match self.command {
            Command::Run { admin, settings } => run(admin, settings)?,
            Command::Crd => print!("{}", crd()?),
            Command::Render { file, settings } => {
                let text = read(&file).with_context(|| format!("cannot read {file}"))?;
                let objects = rendered(&text, &settings).with_context(|| format!("in {file}"))?;
                print!("{objects}");
            }
        }
        Ok(())
    }
}

/// The CustomResourceDefinition as YAML.
pub fn crd() -> Result<String> {
    Ok(format!(
        "# DO NOT EDIT: printed by `make gen`\n{}",
        yaml::print(&ModelService::crd())?
    ))
}

fn read(file: &str) -> std::io::Result<String> {
    if file != "-" {
        return fs::read_to_string(file);
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    Ok(text)
}

/// Every object of every ModelService in `text`, as one YAML stream.
pub fn rendered(text: &str, settings: &Settings) -> Result<String> {
    let services = yaml::documents(text)?;
    if services.is_empty() {
        bail!("there is no ModelService");
    }
    services.iter().map(|ms| objects(ms, settings)).collect()
}

fn objects(ms: &ModelService, settings: &Settings) -> Result<String> {
    let name = ms.metadata.name.clone().unwrap_or_default();
    let plan = validate(ms, &World::default(), settings)
        .with_context(|| format!("ModelService {name}"))?;
    let Children {
        config_map,
        service,
        deployment,
        service_monitor,
        prometheus_rule,
        dashboard,
    } = render(&plan);
    let documents = [
        yaml::document(config_map.as_ref())?,
        yaml::document(service.as_ref())?,
        yaml::document(deployment.as_ref())?,
        yaml::document(service_monitor.as_ref())?,
        yaml::document(prometheus_rule.as_ref())?,
        yaml::document(dashboard.as_ref())?,
    ];
    Ok(documents.concat())
}

#[tokio::main]
async fn run(address: SocketAddr, settings: Settings) -> Result<()> {
    tracing_subscriber::fmt()
        .json()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()),
        )
        .init();
    let clients = connect().await.context("cannot reach a cluster")?;
    let metrics = Metrics::new().context("cannot register metrics")?;
    let (ready, is_ready) = watch::channel(false);
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))?;
    let admin = admin::router(metrics.clone(), is_ready);
    let admin = tokio::spawn(async move { axum::serve(listener, admin).await });
    tracing::info!(%address, image = settings.inference_image, "started");
    let stop = stop_signal()?;
    controller::run(clients, settings, metrics, ready, stop).await;
    admin.abort();
    tracing::info!("stopped");
    Ok(())
}

async fn connect() -> Result<Clients> {
    let config = Config::infer().await?;
    let mut work = config.clone();
    // kube's own retries obey any Retry-After and its calls have no deadline: one odd answer
    // would park a reconcile for a day.
    work.default_retry = false;
    work.read_timeout = Some(Duration::from_secs(15));
    Ok(Clients {
        watch: Client::try_from(config)?,
        work: Client::try_from(work)?,
    })
}

fn stop_signal() -> Result<impl Future<Output = ()> + Send + Sync + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
