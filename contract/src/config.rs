//! The server's configuration: written by the operator into a ConfigMap, read by the server.

use crate::business::BusinessMetric;
use crate::compatibility::Compatibility;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;

/// Seconds that a server which is told to stop waits for requests that it is working on, at most, unless
/// they may take longer; and even then.
const LAST_ANSWERS_SECONDS: RangeInclusive<u32> = 20..=3600;

/// All that the server is told from outside. Unknown fields are refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct ServerConfig {
    /// Which model to serve, and under which name.
    pub model: ModelConfig,
    /// What one server admits.
    pub limits: Limits,
    /// Where it listens.
    pub listen: Listen,
    /// Whether clients may load and unload the model over the Open Inference Protocol.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub model_control: bool,
    /// Who may ask for predictions; everybody if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_keys: Option<SecretFile>,
    /// What the predictions' listener proves itself with; without it that listener speaks plain
    /// HTTP, as the one for metrics and health always does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// What a scraper must present; nothing if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics_token: Option<SecretFile>,
    /// What is counted besides the contract's own metrics, from parameters and answers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub business_metrics: Vec<BusinessMetric>,
    /// Other systems under whose names the same is shown once more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub compatibility: Vec<Compatibility>,
    /// Where traces of requests are sent; nowhere if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracing: Option<Tracing>,
    /// File that receives the reason of a failed start; Kubernetes shows it in the pod's status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub termination_log: Option<String>,
}

/// Which model to serve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct ModelConfig {
    /// Name in URLs and metrics; the name in the model file if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Version on metrics and in answers; the model file's own, or the first 8 characters of its
    /// sha256, if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Where the model file is.
    pub source: ModelSource,
    /// Lower-case hex sha256 of the model file, checked before it is parsed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// Where the model file is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ModelSource {
    /// A model inside the binary.
    Builtin(Builtin),
    /// A file on a mounted volume.
    File(String),
    /// A file that a web server has.
    Http(HttpSource),
    /// An object in a bucket.
    S3(S3Source),
    /// A file of a model version in an MLflow registry.
    Mlflow(MlflowSource),
}

/// A file that a web server has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct HttpSource {
    /// `http://` or `https://`, without credentials.
    pub url: String,
    /// Folder with what is secret, a file each: `username` and `password`, or `token`; `ca.crt`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secrets: Option<String>,
}

/// An object in a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct S3Source {
    /// Name of the bucket.
    pub bucket: String,
    /// Key of the object.
    pub key: String,
    /// Region; `us-east-1` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// URL of the service; that of Amazon in the region if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Folder with what is secret, a file each: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`,
    /// `AWS_SESSION_TOKEN`; `ca.crt`. Without it the bucket is asked as the public does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secrets: Option<String>,
}

/// A file of a model version in an MLflow registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct MlflowSource {
    /// URL of the tracking server.
    pub tracking_uri: String,
    /// Name of the registered model.
    pub model: String,
    /// Which of its versions.
    pub version: MlflowVersion,
    /// Path of the model file among the artifacts of the version; the only JSON file, plain or gzip,
    /// if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Folder with what is secret, a file each: `MLFLOW_TRACKING_USERNAME` and
    /// `MLFLOW_TRACKING_PASSWORD`, or `MLFLOW_TRACKING_TOKEN`; `ca.crt`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secrets: Option<String>,
}

/// A version of a registered model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MlflowVersion {
    /// This one.
    Number(u32),
    /// The one that has this alias at the time; asked for again and again.
    Alias(String),
}

/// Models inside the binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Builtin {
    /// Pima Indians diabetes: 8 measurements, outcome 0 or 1.
    #[default]
    Diabetes,
}

/// What one server admits; anything beyond is refused with a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Limits {
    /// Requests that may be worked on at once.
    pub max_concurrent_requests: u32,
    /// Rows in one request.
    pub max_batch_rows: u32,
    /// Bytes in one request body.
    pub max_body_bytes: u64,
    /// Milliseconds until a request is given up.
    pub request_timeout_ms: u64,
}

impl Limits {
    /// Seconds that a server which is told to stop waits for requests that it is working on, at most.
    pub fn last_answers_seconds(&self) -> u32 {
        let (least, most) = LAST_ANSWERS_SECONDS.into_inner();
        let longest = u32::try_from(self.request_timeout_ms.div_ceil(1000));
        longest.unwrap_or(most).clamp(least, most)
    }
}

/// Where the server listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Listen {
    /// Predictions and documentation.
    pub http: SocketAddr,
    /// Metrics and health on a listener of their own; without it both are on `http` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin: Option<SocketAddr>,
    /// Predictions over gRPC; without it there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc: Option<SocketAddr>,
}

/// A file with a secret or hashes of secrets. It is read again when it changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SecretFile {
    /// Its path.
    pub file: String,
}

/// A certificate and its key. Both files are read again when they change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Tls {
    /// PEM file with the certificate, and those that lead from it to a root.
    pub certificate: String,
    /// PEM file with the private key.
    pub key: String,
}

/// Where traces of requests are sent, and which.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Tracing {
    /// Base URL of a receiver of OTLP over HTTP: spans go to `<endpoint>/v1/traces`.
    pub endpoint: String,
    /// Share of the traces that begin at this server which are recorded, 0 to 1. A request that
    /// belongs to a trace already is recorded if, and only if, its `traceparent` says so.
    #[serde(default = "Tracing::every")]
    pub sample_ratio: f64,
    /// Namespace of the model service in Kubernetes, by which the receiver tells it from others of
    /// the same name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Further headers for the receiver, such as a key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
}

impl Tracing {
    /// All traces, to `endpoint`.
    pub const fn to(endpoint: String) -> Self {
        Self {
            endpoint,
            sample_ratio: Self::every(),
            namespace: None,
            headers: BTreeMap::new(),
        }
    }

    const fn every() -> f64 {
        1.0
    }
}

impl Builtin {
    /// Its version on metrics and answers; the model file in the binary carries the same.
    pub const fn version(self) -> &'static str {
        match self {
            Self::Diabetes => "1",
        }
    }
}

impl Default for ModelSource {
    fn default() -> Self {
        Self::Builtin(Builtin::default())
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_concurrent_requests: 64,
            max_batch_rows: 1024,
            max_body_bytes: 8 * 1024 * 1024,
            request_timeout_ms: 5_000,
        }
    }
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            http: (Ipv4Addr::LOCALHOST, crate::endpoints::HTTP.number).into(),
            admin: None,
            grpc: None,
        }
    }
}
