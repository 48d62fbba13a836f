//! What the cluster was seen to hold, as far as a ModelService is concerned.

use crate::api::ModelStatus;
use crate::selection::Prometheuses;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::sync::Arc;

/// Everything that was read before deciding.
#[derive(Debug, Clone, Default)]
pub struct World {
    /// The ConfigMap that holds the model, when the spec names one.
    pub model: ModelData,
    /// The children that exist.
    pub live: Live,
    /// Pods of the Deployment.
    pub pods: Vec<Arc<Pod>>,
    /// The model that they say they serve, where the spec leaves that to them.
    pub served: Option<ModelStatus>,
    /// Which optional kinds the API server knows.
    pub apis: Apis,
    /// Why the Prometheus operator refuses one of the monitoring objects.
    pub rejection: Option<String>,
    /// Who may take the monitoring objects.
    pub prometheuses: Prometheuses,
}

/// What is known of a model that lies in a ConfigMap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ModelData {
    /// Nobody looked: the model is elsewhere, or there is no cluster.
    #[default]
    NotRead,
    /// There is no such ConfigMap.
    NoConfigMap,
    /// The ConfigMap lacks the key. Which others it has is not told: who may make ModelServices
    /// need not be allowed to read ConfigMaps.
    NoKey,
    /// Lower-case hex sha256 of the file.
    Sha256(String),
}

/// The children that exist and carry our label.
#[derive(Debug, Clone, Default)]
pub struct Live {
    /// The server's configuration.
    pub config_map: Option<ObjectMeta>,
    /// The Service.
    pub service: Option<ObjectMeta>,
    /// The Deployment, with its status.
    pub deployment: Option<Arc<Deployment>>,
    /// The PodDisruptionBudget.
    pub disruption_budget: Option<ObjectMeta>,
    /// The HorizontalPodAutoscaler.
    pub autoscaler: Option<ObjectMeta>,
    /// The NetworkPolicy.
    pub network_policy: Option<ObjectMeta>,
    /// The ServiceMonitor.
    pub service_monitor: Option<ObjectMeta>,
    /// The PrometheusRule.
    pub prometheus_rule: Option<ObjectMeta>,
    /// The dashboard's ConfigMap.
    pub dashboard: Option<ObjectMeta>,
}

/// Which optional kinds the API server knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Apis {
    /// `servicemonitors.monitoring.coreos.com`
    pub service_monitors: bool,
    /// `prometheusrules.monitoring.coreos.com`
    pub prometheus_rules: bool,
}
