//! The command line.

use crate::api::ModelService;
use crate::clients::Clients;
use crate::controller::Work;
use crate::definition::Definition;
use crate::export::{self, System};
use crate::leadership::leadership;
use crate::metrics::Metrics;
use crate::operate::{Office, operate};
use crate::plan::{Plan, Settings};
use crate::render::{Children, render};
use crate::validate::validate;
use crate::world::World;
use crate::{admin, meta, yaml};
use anyhow::{Context as _, Result, bail};
use clap::{Parser, Subcommand};
use k8s_openapi::jiff::Timestamp;
use kube::{Config, CustomResourceExt, ResourceExt as _};
use std::fs;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
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
        #[arg(long, env = "ADMIN_ADDRESS", default_value = "[::]:8080")]
        admin: SocketAddr,
        /// Namespace of the Lease by which several operators agree who of them works; by default
        /// that of the kubeconfig or of the pod.
        #[arg(long)]
        lease_namespace: Option<String>,
        /// Seconds until everything is listed again though no watch has ended, which makes good what
        /// was lost on its way.
        #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..))]
        relist_interval: u64,
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
        /// Write files for a Prometheus or a Grafana that no operator configures, instead of printing
        /// objects.
        #[arg(long = "for", value_name = "SYSTEM")]
        system: Option<System>,
        /// Folder for those files.
        #[arg(long, value_name = "FOLDER", default_value = ".", requires = "system")]
        out: PathBuf,
        /// Where a server of the model shows its metrics; may be repeated.
        #[arg(
            long = "target",
            value_name = "HOST:PORT",
            default_value = "127.0.0.1:8080",
            requires = "system"
        )]
        targets: Vec<String>,
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
                relist_interval,
                settings,
            } => {
                let relist = Duration::from_secs(relist_interval);
                run(admin, lease_namespace, relist, settings)?;
            }
            Command::Crd => print!("{}", crd()?),
            Command::Render {
                file,
                system,
                out,
                targets,
                settings,
            } => {
                let text = read(&file).with_context(|| format!("cannot read {file}"))?;
                let done = match system {
                    None => rendered(&text, &settings).map(|objects| print!("{objects}")),
                    Some(system) => export(&text, system, &targets, &out, &settings),
                };
                done.with_context(|| format!("in {file}"))?;
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
    let services = services(text)?;
    services.iter().map(|ms| objects(ms, settings)).collect()
}

fn services(text: &str) -> Result<Vec<ModelService>> {
    let documents = yaml::documents(text)?;
    if documents.is_empty() {
        bail!("there is no ModelService");
    }
    let definition = Definition::new()?;
    let read = |document| {
        let ms = definition.read(document);
        let ms = ms.with_context(|| format!("ModelService {}", document["metadata"]["name"]))?;
        check_names(&ms)?;
        Ok(ms)
    };
    documents.iter().map(read).collect()
}

/// Writes the files of every ModelService in `text` into the folder `out`, and prints their paths.
fn export(
    text: &str,
    system: System,
    targets: &[String],
    out: &Path,
    settings: &Settings,
) -> Result<()> {
    fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    for ms in services(text)? {
        let files = export::files(&plan(&ms, settings)?, system, targets)?;
        if files.is_empty() {
            bail!(
                "ModelService {}: spec.monitoring asks for nothing that {system:?} takes",
                ms.name_any()
            );
        }
        for file in files {
            let path = out.join(&file.name);
            fs::write(&path, &file.text)
                .with_context(|| format!("cannot write {}", path.display()))?;
            println!("{}", path.display());
        }
    }
    Ok(())
}

/// Without an API server nobody has looked at the namespace, and files are named after both.
fn check_names(ms: &ModelService) -> Result<()> {
    let is_plain = |name: &str| {
        let of_label =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !name.is_empty() && name.bytes().all(of_label)
    };
    let names = [Some(ms.name_any()), ms.namespace()];
    match names.into_iter().flatten().find(|name| !is_plain(name)) {
        Some(name) => bail!("metadata: {name:?} is no name: expected a-z, 0-9 and - only"),
        None => Ok(()),
    }
}

fn plan(ms: &ModelService, settings: &Settings) -> Result<Plan> {
    validate(ms, &World::default(), settings)
        .with_context(|| format!("ModelService {}", ms.name_any()))
}

fn objects(ms: &ModelService, settings: &Settings) -> Result<String> {
    let plan = plan(ms, settings)?;
    let Children {
        config_map,
        service,
        deployment,
        disruption_budget,
        autoscaler,
        network_policy,
        service_monitor,
        prometheus_rule,
        dashboard,
    } = render(&plan);
    let documents = [
        yaml::document(config_map.as_ref())?,
        yaml::document(service.as_ref())?,
        yaml::document(deployment.as_ref())?,
        yaml::document(disruption_budget.as_ref())?,
        yaml::document(autoscaler.as_ref())?,
        yaml::document(network_policy.as_ref())?,
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
    relist: Duration,
    settings: Settings,
) -> Result<()> {
    log();
    let config = Config::infer().await.context("cannot find a cluster")?;
    let namespace = lease_namespace.unwrap_or_else(|| config.default_namespace.clone());
    let metrics = Metrics::new().context("cannot register metrics")?;
    let (term, leadership) = leadership();
    let clients = Clients::new(&config, leadership, metrics.calls());
    let clients = clients.context("cannot reach the cluster")?;
    let (ready, is_ready) = watch::channel(false);
    let listener = contract::listener::bind(address).and_then(TcpListener::from_std);
    let listener = listener.with_context(|| format!("cannot listen on {address}"))?;
    let admin = admin::router(metrics.clone(), is_ready);
    let admin = tokio::spawn(async move { axum::serve(listener, admin).await });
    tracing::info!(%address, image = settings.inference_image, "started");
    let office = Office {
        namespace,
        identity: identity(),
        term,
        work: Work {
            relist,
            settings,
            metrics,
            now: Timestamp::now,
            ready,
        },
    };
    let ended = operate(clients, office, stop_signal()?).await;
    admin.abort();
    tracing::info!("stopped");
    Ok(ended?)
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
