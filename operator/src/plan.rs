//! What a valid ModelService means: every default resolved, every text parsed.

use crate::meta;
use contract::config::ServerConfig;
use contract::endpoints::{SECRETS_DIR, SOURCE_SECRETS_DIR};
use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use std::collections::BTreeMap;
use std::net::IpAddr;

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
    /// Whether pods get a NetworkPolicy. Without one, everybody may talk to them.
    #[arg(long, env = "NETWORK_POLICIES", default_value_t = true, action = clap::ArgAction::Set)]
    pub network_policies: bool,
    /// Namespace whose pods may ask for metrics; may be repeated. By default those in which there is a Prometheus
    /// of the Prometheus operator, and all where this operator sees none.
    #[arg(
        long = "monitoring-namespace",
        env = "MONITORING_NAMESPACES",
        value_delimiter = ','
    )]
    pub monitoring_namespaces: Vec<String>,
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
    /// resourceVersion of the Deployment that this number was found in; None if the spec says it.
    pub replicas_seen_at: Option<String>,
    /// What may change that number; None if only people do.
    pub autoscaling: Option<Autoscaling>,
    /// Who may talk to the pods; None if everybody may.
    pub network: Option<NetworkAccess>,
    /// The server's image.
    pub image: Image,
    /// The server's configuration.
    pub config: Configuration,
    /// Volume that holds the model file, if any.
    pub model_volume: Option<ModelVolume>,
    /// Secret with what the server needs to fetch the model, if it does.
    pub source_secret: Option<SourceSecret>,
    /// Secret with the file of API keys, if they are wanted.
    pub api_keys: Option<SecretKey>,
    /// CPU and memory of each pod.
    pub resources: ResourceRequirements,
    /// Monitoring objects; None removes them.
    pub monitoring: Option<Monitoring>,
}

impl Plan {
    /// Name of what belongs to the configuration.
    pub fn config_name(&self) -> String {
        meta::config_name(&self.id.name, &self.config.hash)
    }

    /// Pods that there are at any time.
    pub fn fewest_replicas(&self) -> i32 {
        let autoscaling = self.autoscaling.as_ref();
        autoscaling.map_or(self.replicas, |autoscaling| {
            autoscaling.fewest.min(self.replicas)
        })
    }

    /// Pods that there may be, but for those of a rollout.
    pub fn most_replicas(&self) -> i32 {
        let autoscaling = self.autoscaling.as_ref().filter(|_| self.replicas > 0);
        autoscaling.map_or(self.replicas, |autoscaling| autoscaling.most)
    }
}

/// The server's configuration. All that belongs to it carries its hash, so that pods of an earlier one
/// keep what they were made with (`docs/decisions/017-a-configuration-keeps-its-own.md`).
#[derive(Debug, Clone, PartialEq)]
pub struct Configuration {
    /// What the server is told.
    pub server: ServerConfig,
    /// The same, as the file that the server reads.
    pub text: String,
    /// The first characters of the sha256 of that file: few enough to read, and enough for all that one
    /// ModelService will ever have.
    pub hash: String,
}

impl From<ServerConfig> for Configuration {
    fn from(server: ServerConfig) -> Self {
        let text = format!("{:#}\n", serde_json::json!(server));
        let hash = meta::sha256_hex(text.as_bytes())[..10].to_owned();
        Self { server, text, hash }
    }
}

/// How the number of pods follows their load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Autoscaling {
    /// Pods at least.
    pub fewest: i32,
    /// Pods at most.
    pub most: i32,
    /// Percent of the CPU that pods request, to be used by them on average.
    pub cpu_utilization: i32,
}

/// Who may talk to the pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkAccess {
    /// Namespaces that may ask for metrics; all if there is none.
    pub monitoring_namespaces: Vec<String>,
    /// Where the pods fetch their model from, and where they send traces, if they do.
    pub destinations: Vec<Destination>,
}

/// Where pods connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Whom.
    pub host: Host,
    /// TCP port that the host is asked on.
    pub port: u16,
}

/// Whom pods connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// One address.
    Address(IpAddr),
    /// A Service in this namespace.
    Inside(String),
    /// Somebody whose address is not known here, or a Service in a namespace of this name.
    Either(String),
    /// Somebody outside the cluster, whose address is not known here.
    Outside,
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
    /// An OCI image, mounted read-only.
    Image {
        /// Its reference.
        reference: String,
    },
}

/// A Secret whose keys are files for the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceSecret {
    /// Its name.
    pub name: String,
}

impl SourceSecret {
    /// Folder in the pod that it is mounted at. It has the Secret's name, so that whatever the
    /// server says about a file names the Secret too.
    pub fn folder(&self) -> String {
        format!("{SOURCE_SECRETS_DIR}/{}", self.name)
    }
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
    /// What users of the model are promised, if anything.
    pub objectives: Option<Objectives>,
    /// Whether values are spread as in training; the threshold is a population stability index.
    pub drift: Option<Watch>,
    /// Whether values are such as the model was trained for; the threshold is a share.
    pub quality: Option<Watch>,
    /// Whether ground truth agrees with the predictions; the threshold is a share of the score in training.
    pub performance: Option<Watch>,
    /// Business metrics whose average is recorded.
    pub averages: Vec<Average>,
    /// Alerts; None leaves only the recording rules.
    pub alerts: Option<Alerts>,
    /// Dashboard; None removes it.
    pub dashboard: Option<Dashboard>,
}

/// What users of the model are promised.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Objectives {
    /// The shortest window of the alerts: 5 minutes for a period of 30 days. All others are multiples.
    pub unit: Window,
    /// Share of requests that may end in a fault of the server, 0 to 1.
    pub unavailable: f64,
    /// What is soon enough for an answer, in seconds.
    pub latency_seconds: f64,
    /// Share of requests that may take longer, 0 to 1.
    pub slow: f64,
}

impl Objectives {
    /// An objective's period in units: 30 days are this many times 5 minutes.
    pub const PERIOD: u64 = 30 * 24 * 12;
}

/// Something about the model that is watched.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Watch {
    /// How far back it looks.
    pub window: Window,
    /// When its alert fires; what it means depends on what is watched.
    pub threshold: f64,
    /// Values in the window that an alert needs.
    pub minimum_samples: u32,
}

/// A business metric whose average is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Average {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: Vec<String>,
    /// Whether what it is made of may be negative.
    pub signed: bool,
}

/// How Prometheus scrapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scrape {
    /// Interval, as Prometheus writes it.
    pub interval: String,
    /// The same, in whole seconds or a little more.
    pub every: Window,
    /// Timeout, as Prometheus writes it.
    pub timeout: String,
    /// Labels of the ServiceMonitor and the PrometheusRule.
    pub labels: BTreeMap<String, String>,
}

/// A span of time that rules speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
