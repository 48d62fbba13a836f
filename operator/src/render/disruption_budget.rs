use crate::meta;
use crate::plan::Plan;
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use std::collections::BTreeMap;

/// Nodes are drained one pod at a time. None for a single pod, whose node may be drained at any time.
pub(super) fn render(plan: &Plan) -> Option<PodDisruptionBudget> {
    (plan.most_replicas() > 1).then(|| PodDisruptionBudget {
        metadata: meta::object(&plan.id, meta::name(&plan.id), &BTreeMap::new()),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(meta::label_selector(&plan.id)),
            // Pods that never get ready serve nobody, and must not keep a node from being drained.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    })
}
