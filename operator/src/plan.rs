//! What a valid ModelService means: every default resolved, every text parsed.

use contract::config::ServerConfig;
use contract::endpoints::SECRETS_DIR;
use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use std::collections::BTreeMap;

/// What the operator's administrator decides for all ModelServices.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct Settings {
    /// Image of the inference server.
    #[arg(long, env = "INFERENCE_IMAGE", default_value = concat!("modelservice/inference:", env!("CARGO_PKG_VERSION")))]
    pub inference_image: String,
    /// When nodes pull that image.
    #[arg(long, env = "INFERENCE_IMAGE_PULL_POLICY", default_value = "IfNotPresent", value_parser = ["Always", "IfNotPresent", "Never"])]
    pub inference_image_pull_policy: String,
    /// Label that every ServiceMonitor and PrometheusRule carries, as key=value; what your
    /// Prometheus selects on. May be repeated.
    #[arg(long = "monitor-label", env = "MONITOR_LABELS", value_delimiter = ',', value_parser = key_value)]
    pub monitor_labels: Vec<(String, String)>,
    /// Where the runbooks are: alerts link to BASE/AlertName.
    #[arg(
        long,
        env = "RUNBOOK_BASE_URL",
        default_value = "https://modelservice.dev/runbooks"
    )]
    pub runbook_base_url: String,
    /// Where Grafana is; alerts then link to the dashboard.
    #[arg(long, env = "GRAFANA_URL")]
    pub grafana_url: Option<String>,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        Some(_) | None => Err(format!("'{text}' is not key=value")),
    }
}

/// All that rendering needs to know.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Who owns the children.
    pub id: Identity,
    /// Pods wanted.
    pub replicas: i32,
    /// The server's image.
    pub image: Image,
    /// The server's configuration.
    pub config: ServerConfig,
    /// Volume that holds the model file, if any.
    pub model_volume: Option<ModelVolume>,
    /// Secret with the file of API keys, if they are wanted.
    pub api_keys: Option<SecretKey>,
    /// CPU and memory of each pod.
    pub resources: ResourceRequirements,
    /// Monitoring objects; None removes them.
    pub monitoring: Option<Monitoring>,
}

/// Who owns the children.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    /// Name of the ModelService.
    pub name: String,
    /// Its namespace, and that of all its children.
    pub namespace: String,
    /// Reference that every child carries; None when rendering without a cluster.
    pub owner: Option<OwnerReference>,
}

/// A container image and when to pull it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Reference.
    pub reference: String,
    /// `Always`, `IfNotPresent` or `Never`.
    pub pull_policy: String,
}

/// Volume that holds the model file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelVolume {
    /// One key of a ConfigMap.
    ConfigMap {
        /// Its name.
        name: String,
        /// The key.
        key: String,
    },
    /// A claim, mounted read-only.
    Claim {
        /// Its name.
        name: String,
    },
}

/// One key of a Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretKey {
    /// Name of the Secret.
    pub name: String,
    /// The key.
    pub key: String,
}

impl SecretKey {
    /// Folder in the pod that it is mounted at. It has the Secret's name, so that whatever the
    /// server says about the file names the Secret too.
    pub fn folder(&self) -> String {
        format!("{SECRETS_DIR}/{}", self.name)
    }

    /// Its file in the pod.
    pub fn file(&self) -> String {
        format!("{}/{}", self.folder(), self.key)
    }
}

/// Monitoring objects.
#[derive(Debug, Clone, PartialEq)]
pub struct Monitoring {
    /// How Prometheus scrapes.
    pub scrape: Scrape,
    /// Window of rates and percentiles.
    pub window: Window,
    /// Alerts; None leaves only the recording rules.
    pub alerts: Option<Alerts>,
    /// Dashboard; None removes it.
    pub dashboard: Option<Dashboard>,
}

/// How Prometheus scrapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scrape {
    /// Interval, as Prometheus writes it.
    pub interval: String,
    /// Timeout, as Prometheus writes it.
    pub timeout: String,
    /// Labels of the ServiceMonitor and the PrometheusRule.
    pub labels: BTreeMap<String, String>,
}

/// How far back rates and percentiles look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Its length.
    pub seconds: u64,
}

/// When alerts fire and what they carry.
#[derive(Debug, Clone, PartialEq)]
pub struct Alerts {
    /// Labels on every alert.
    pub labels: BTreeMap<String, String>,
    /// When they fire.
    pub thresholds: Thresholds,
    /// Base of the runbook links.
    pub runbook_base_url: String,
    /// Link to the dashboard, if there is one.
    pub dashboard_url: Option<String>,
}

/// When alerts fire.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// Failed requests per second, over all pods.
    pub errors_per_second: f64,
    /// 95th percentile of the request duration.
    pub latency_p95_seconds: f64,
    /// 95th percentile of the model's own time.
    pub inference_p95_seconds: f64,
    /// Requests worked on at once, in one pod.
    pub active_requests: u32,
}

/// The dashboard's ConfigMap.
#[derive(Debug, Clone, PartialEq)]
pub struct Dashboard {
    /// Further labels.
    pub labels: BTreeMap<String, String>,
    /// Grafana folder.
    pub folder: Option<String>,
    /// Thresholds that its panels draw.
    pub thresholds: Thresholds,
}
