//! The ModelService resource: what users write (`spec`) and read (`status`).
// KubeSchema derives from a private copy of the struct, which the lint takes for a mistake.
#![allow(unreachable_pub)]

mod business;
mod duration;
mod model;
mod monitoring;
mod objectives;
mod quantity;
mod server;
mod source;
mod status;
mod tracing;
mod watch;

pub use business::{
    BusinessKind, BusinessLabelSpec, BusinessMetricSpec, BusinessValueSpec, Compatibility,
    LabelOutput, LabelRequest, OutputValue, RequestValue,
};
pub use duration::{Duration, DurationError};
pub use model::ModelSpec;
pub use monitoring::{AlertsSpec, DashboardSpec, MonitoringSpec, ScrapeSpec, ThresholdsSpec};
pub use objectives::{LatencyObjectiveSpec, ObjectivesSpec};
pub use quantity::{Quantity, QuantityError};
pub use server::{
    ApiKeysSpec, AutoscalingSpec, ResourceList, ResourcesSpec, SecretRef, ServerSpec,
};
pub use source::{
    BuiltinName, BuiltinSource, ConfigMapSource, HttpSource, ImageSource, MlflowSource,
    ModelSource, S3Source, SourceSecret, VolumeClaimSource,
};
pub use status::{
    Condition, ConditionStatus, ConditionType, ModelServiceStatus, ModelStatus, Reason,
};
pub use tracing::TracingSpec;
pub use watch::{DriftSpec, PerformanceSpec, QualitySpec};

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

/// Group of the resource, and prefix of this project's labels and annotations.
pub const GROUP: &str = "modelservice.dev";

/// A model that is served and monitored: the operator makes a Deployment, a Service, a
/// ServiceMonitor, a PrometheusRule and a Grafana dashboard of it.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[kube(
    group = "modelservice.dev",
    version = "v1alpha1",
    kind = "ModelService",
    namespaced,
    shortname = "ms",
    category = "all",
    status = "ModelServiceStatus",
    derive = "PartialEq",
    doc = "A machine-learning model that is served and monitored.",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Replicas", type_ = "string", json_path = ".status.readyReplicas", description = "Replicas that answer predictions"),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.model.version", description = "Model version on metrics and answers"),
    printcolumn(name = "Monitoring", type_ = "string", json_path = ".status.conditions[?(@.type==\"MonitoringReady\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "URL", type_ = "string", json_path = ".status.url", priority = 1),
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$') && size(self.metadata.name) <= 46")
        .message("metadata.name must start with a letter, hold only a-z, 0-9 and -, and be at most 46 characters long: pods are named after it")
)]
#[serde(rename_all = "camelCase")]
pub struct ModelServiceSpec {
    /// Which model is served.
    pub model: ModelSpec,
    /// Number of pods that serve it. `kubectl scale modelservice` changes it.
    #[serde(default = "one")]
    #[schemars(range(min = 0, max = 1000))]
    pub replicas: i32,
    /// Lets the number of pods follow their load, between two bounds. `replicas` then only says with
    /// how many to begin; 0 still stops them all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<AutoscalingSpec>,
    /// CPU and memory of each pod.
    #[serde(default)]
    pub resources: ResourcesSpec,
    /// What each pod admits; anything beyond is refused with a reason.
    #[serde(default)]
    pub server: ServerSpec,
    /// Scraping, alerts and the dashboard.
    #[serde(default)]
    pub monitoring: MonitoringSpec,
}

fn one() -> i32 {
    1
}

/// What Kubernetes admits as the value of a label.
fn label_value() -> serde_json::Value {
    serde_json::json!({
        "type": "string",
        "maxLength": 63,
        "pattern": "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$",
    })
}

/// The rule for what Kubernetes admits as the keys of labels.
fn label_keys() -> serde_json::Value {
    cel(
        "self.all(key, size(key) <= 253 && key.matches('^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$'))",
        "keys are those of labels: at most 63 letters, digits, - _ and ., beginning and ending with a letter or digit, perhaps after a domain and /",
    )
}

/// A rule in the Common Expression Language that the API server checks, with the message that a
/// user reads when it does not hold.
fn cel(rule: &str, message: &str) -> serde_json::Value {
    serde_json::json!([{"rule": rule, "message": message}])
}
