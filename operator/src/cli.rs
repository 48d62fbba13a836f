//! The command line.

use crate::api::ModelService;
use crate::clients::Clients;
use crate::controller;
use crate::election::Election;
use crate::leadership::{Leadership, leadership};
use crate::metrics::Metrics;
use crate::plan::Settings;
use crate::render::{Children, render};
use crate::validate::validate;
use crate::world::World;
use crate::{admin, meta, yaml};
use anyhow::{Context as _, Result, anyhow, bail};
use clap::{Parser, Subcommand};
use futures::FutureExt as _;
use kube::{Api, Config, CustomResourceExt};
use std::fs;
use std::io::Read;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

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
        /// Namespace of the Lease by which several operators agree who of them works; by default
        /// that of the kubeconfig or of the pod.
        #[arg(long)]
        lease_namespace: Option<String>,
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
            Command::Run {
                admin,
                lease_namespace,
                settings,
            } => run(admin, lease_namespace, settings)?,
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
async fn run(
    address: SocketAddr,
    lease_namespace: Option<String>,
    settings: Settings,
) -> Result<()> {
    log();
    let config = Config::infer().await.context("cannot find a cluster")?;
    let namespace = lease_namespace.unwrap_or_else(|| config.default_namespace.clone());
    let metrics = Metrics::new().context("cannot register metrics")?;
    let (term, leadership) = leadership();
    let clients = Clients::new(&config, leadership.clone(), metrics.calls());
    let clients = clients.context("cannot reach the cluster")?;
    let leases = Api::namespaced(clients.lease.clone(), &namespace);
    let mut election = Election::new(leases, meta::MANAGER, identity(), term);
    let (ready, is_ready) = watch::channel(false);
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))?;
    let admin = admin::router(metrics.clone(), is_ready);
    let admin = tokio::spawn(async move { axum::serve(listener, admin).await });
    tracing::info!(%address, image = settings.inference_image, "started");
    let stop = stop_signal()?.boxed().shared();
    let ended = tokio::select! {
        () = controller::run(clients, settings, metrics.clone(), ready, stop.clone()) => Ok(()),
        () = stopped_standing_by(stop, &leadership) => Ok(()),
        () = reign(&mut election, &metrics) => Err(anyhow!("another operator may lead by now")),
    };
    election.release().await;
    admin.abort();
    tracing::info!("stopped");
    ended
}

fn log() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    let log = tracing_subscriber::fmt().json();
    log.with_env_filter(filter).init();
}

/// A name that no other operator has, however often a pod of the same name starts.
fn identity() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| meta::MANAGER.to_owned());
    format!("{host}_{:016x}", fastrand::u64(..))
}

/// Wins the lease and keeps it; ends when it is lost.
async fn reign(election: &mut Election, metrics: &Metrics) {
    election.win().await;
    metrics.leads();
    election.keep().await;
}

/// Ends at once where there is nothing under way.
async fn stopped_standing_by(stop: impl Future<Output = ()>, leadership: &Leadership) {
    stop.await;
    if leadership.holds() {
        std::future::pending::<()>().await;
    }
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
