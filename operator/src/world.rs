//! What the cluster was seen to hold, as far as a ModelService is concerned.

use crate::api::ModelStatus;
use crate::prometheus_operator::{PrometheusRule, ServiceMonitor};
use crate::seen::{PodState, Seen};
use crate::selection::Prometheuses;
use crate::status::Rollout;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use std::sync::Arc;

/// Everything that was read before deciding.
#[derive(Debug, Clone, Default, Hash)]
pub struct World {
    /// The ConfigMap that holds the model, when the spec names one.
    pub model: ModelData,
    /// The children that exist.
    pub live: Live,
    /// Pods of the Deployment.
    pub pods: Vec<Arc<SeenPod>>,
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
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

/// A Deployment that was seen, and how far it has come.
pub type SeenDeployment = Seen<Deployment, Rollout>;
/// A pod that was seen.
pub type SeenPod = Seen<Pod, PodState>;
/// A child that exists, if it does.
pub type LiveChild<K> = Option<Arc<Seen<K>>>;

/// The children that exist and carry our label.
#[derive(Debug, Clone, Default, Hash)]
pub struct Live {
    /// Those of the configurations of this spec and of earlier ones, and the dashboard's; by name.
    pub config_maps: Vec<Arc<Seen<ConfigMap>>>,
    /// The Service.
    pub service: LiveChild<Service>,
    /// The Deployment, with its status.
    pub deployment: Option<Arc<SeenDeployment>>,
    /// The PodDisruptionBudget.
    pub disruption_budget: LiveChild<PodDisruptionBudget>,
    /// The HorizontalPodAutoscaler.
    pub autoscaler: LiveChild<HorizontalPodAutoscaler>,
    /// Those of the configurations of this spec and of earlier ones; by name.
    pub network_policies: Vec<Arc<Seen<NetworkPolicy>>>,
    /// The ServiceMonitor.
    pub service_monitor: LiveChild<ServiceMonitor>,
    /// The PrometheusRule.
    pub prometheus_rule: LiveChild<PrometheusRule>,
}

/// The object of this name.
pub fn named<'a, K>(objects: &'a [Arc<Seen<K>>], name: &str) -> Option<&'a Seen<K>> {
    let mut objects = objects.iter().map(Arc::as_ref);
    objects.find(|seen| *seen.name == *name)
}

/// Which optional kinds the API server knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Apis {
    /// `servicemonitors.monitoring.coreos.com`
    pub service_monitors: bool,
    /// `prometheusrules.monitoring.coreos.com`
    pub prometheus_rules: bool,
}
