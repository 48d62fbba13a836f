//! Plan → children. Pure and infallible: whatever could go wrong went wrong in [`crate::validate`].

mod autoscaler;
mod config_map;
mod dashboard;
mod deployment;
mod disruption_budget;
mod network_policy;
mod rules;
mod service;
mod service_monitor;

pub use dashboard::MODEL_SERVICE as MODEL_SERVICE_DASHBOARD;
pub use deployment::CONTAINER;
pub use rules::{ALERTS, AlertTemplate};
pub use service::url;

use crate::plan::Plan;
use crate::prometheus_operator::{PrometheusRule, ServiceMonitor};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;

/// Every object that belongs to a ModelService, in a stage of its way to the cluster.
///
/// Destructure it without `..`: a new kind is then a compile error wherever it is forgotten.
#[derive(Debug)]
pub struct Children<S: Stage> {
    /// The server's configuration.
    pub config_map: S::Child<ConfigMap>,
    /// Where predictions are asked for.
    pub service: S::Child<Service>,
    /// The pods.
    pub deployment: S::Child<Deployment>,
    /// How many pods may be missing while nodes are drained.
    pub disruption_budget: S::Child<PodDisruptionBudget>,
    /// What changes the number of pods with their load.
    pub autoscaler: S::Child<HorizontalPodAutoscaler>,
    /// Who may talk to the pods of this configuration, and whom they may talk to.
    pub network_policy: S::Child<NetworkPolicy>,
    /// How Prometheus finds the pods.
    pub service_monitor: S::Child<ServiceMonitor>,
    /// Recording rules and alerts.
    pub prometheus_rule: S::Child<PrometheusRule>,
    /// The Grafana dashboard.
    pub dashboard: S::Child<ConfigMap>,
}

/// A stage of the children's way to the cluster: what each of them is by then.
pub trait Stage {
    /// A child of kind `K`.
    type Child<K>;
}

/// Wanted, or not (None): one that exists all the same is deleted.
#[derive(Debug)]
pub struct Rendered;

impl Stage for Rendered {
    type Child<K> = Option<K>;
}

/// Renders every child of a plan.
pub fn render(plan: &Plan) -> Children<Rendered> {
    let network = plan.network.as_ref();
    let monitoring = plan.monitoring.as_ref();
    Children {
        config_map: Some(config_map::render(plan)),
        deployment: Some(deployment::render(plan)),
        service: Some(service::render(&plan.id)),
        disruption_budget: disruption_budget::render(plan),
        autoscaler: plan
            .autoscaling
            .as_ref()
            .map(|a| autoscaler::render(&plan.id, a)),
        network_policy: network.map(|n| network_policy::render(plan, n)),
        service_monitor: monitoring.map(|m| service_monitor::render(&plan.id, &m.scrape)),
        prometheus_rule: monitoring.map(|m| rules::render(plan, m)),
        dashboard: monitoring
            .and_then(|m| Some(dashboard::render(&plan.id, m, m.dashboard.as_ref()?))),
    }
}
