use contract::labels::{LoadFailure, StartFailure};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition as KubeCondition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the operator observed.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ModelServiceStatus {
    /// Generation of the spec that the rest of the status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Pods that exist.
    #[serde(default)]
    pub replicas: i32,
    /// Pods that answer predictions.
    #[serde(default)]
    pub ready_replicas: i32,
    /// Label selector of the pods, for `kubectl scale` and autoscalers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// Where predictions are answered inside the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The model that the spec asks for; where that is a file on a volume or an alias, what a pod
    /// says that it serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelStatus>,
    /// Ready, ModelLoaded, Progressing and MonitoringReady.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<KubeCondition>,
}

/// The model that the spec asks for.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq, Hash)]
pub struct ModelStatus {
    /// Version on metrics and answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Lower-case hex sha256 of the model file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// What a condition speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConditionType {
    /// Every wanted pod of the current spec answers predictions.
    Ready,
    /// A pod of the current spec has loaded the model.
    ModelLoaded,
    /// The pods are on their way to the current spec.
    Progressing,
    /// The monitoring objects that the spec asks for exist.
    MonitoringReady,
}

impl ConditionType {
    /// Every condition, in the order of the status.
    pub const ALL: [Self; 4] = [
        Self::Ready,
        Self::ModelLoaded,
        Self::Progressing,
        Self::MonitoringReady,
    ];

    /// The name in the status.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::ModelLoaded => "ModelLoaded",
            Self::Progressing => "Progressing",
            Self::MonitoringReady => "MonitoringReady",
        }
    }
}

/// Whether a condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not.
    False,
    /// Not known yet.
    Unknown,
}

impl ConditionStatus {
    /// Every status.
    pub const ALL: [Self; 3] = [Self::True, Self::False, Self::Unknown];

    /// The word in the status.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// Why a condition has its status: a closed set, so that scripts and alerts can rely on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// All wanted pods answer predictions.
    Available,
    /// The model is loaded and passed its self-test.
    Loaded,
    /// The pods have the current spec.
    Complete,
    /// All wanted monitoring objects are in place.
    Applied,
    /// Pods have been asked for and none has an opinion yet.
    Starting,
    /// New pods replace old ones, or their number changes.
    RollingOut,
    /// The spec asks for no pods.
    ScaledToZero,
    /// The spec passes the schema and cannot work.
    InvalidSpec,
    /// An object of a name that the ModelService needs belongs to somebody else.
    NameConflict,
    /// The pods cannot load the model, for this reason.
    Load(LoadFailure),
    /// The pods cannot start, for this reason.
    Start(StartFailure),
    /// The server's image cannot be pulled.
    ImagePullFailed,
    /// No node has room for a pod.
    Unschedulable,
    /// The namespace's quota or a policy refuses the pods.
    PodsRefused,
    /// A pod waits for a volume or a ConfigMap.
    VolumeUnavailable,
    /// The server stops again and again.
    CrashLooping,
    /// The pods made no progress in time.
    DeadlineExceeded,
    /// Some pods do not answer their readiness probe.
    NotReady,
    /// The cluster has no ServiceMonitor or PrometheusRule kind.
    PrometheusOperatorMissing,
    /// The Prometheus operator refuses one of the monitoring objects.
    Rejected,
    /// Every Prometheus that the operator sees ignores the monitoring objects.
    NoPrometheusSelectsIt,
    /// The spec asks for no monitoring.
    Disabled,
    /// The API server refused a write.
    ApiError,
}

impl Reason {
    /// The word in the status, in events and on metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Available => "Available",
            Self::Loaded => "Loaded",
            Self::Complete => "Complete",
            Self::Applied => "Applied",
            Self::Starting => "Starting",
            Self::RollingOut => "RollingOut",
            Self::ScaledToZero => "ScaledToZero",
            Self::InvalidSpec => "InvalidSpec",
            Self::NameConflict => "NameConflict",
            Self::Load(failure) => failure.as_str(),
            Self::Start(failure) => failure.as_str(),
            Self::ImagePullFailed => "ImagePullFailed",
            Self::Unschedulable => "Unschedulable",
            Self::PodsRefused => "PodsRefused",
            Self::VolumeUnavailable => "VolumeUnavailable",
            Self::CrashLooping => "CrashLooping",
            Self::DeadlineExceeded => "DeadlineExceeded",
            Self::NotReady => "NotReady",
            Self::PrometheusOperatorMissing => "PrometheusOperatorMissing",
            Self::Rejected => "Rejected",
            Self::NoPrometheusSelectsIt => "NoPrometheusSelectsIt",
            Self::Disabled => "Disabled",
            Self::ApiError => "ApiError",
        }
    }
}

/// One statement about a ModelService, before it is dated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// What it speaks of.
    pub type_: ConditionType,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// Why, for programs.
    pub reason: Reason,
    /// Why, for people.
    pub message: String,
}
