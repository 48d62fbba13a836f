//! What is kept of objects: only what is asked of them.

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec};
use k8s_openapi::api::core::v1::{ContainerStatus, Namespace, Pod, PodCondition, PodStatus};
use kube::core::PartialObjectMeta;
use kube::{Resource, ResourceExt as _};

/// Nobody asks who wrote what.
pub(super) fn metadata<K: Resource>(object: &mut K) {
    object.meta_mut().managed_fields = None;
}

/// Of a namespace only its labels.
pub(super) fn namespace(namespace: &mut PartialObjectMeta<Namespace>) {
    metadata(namespace);
    namespace.annotations_mut().clear();
}

/// Of a Deployment only how many pods it has and is to have.
pub(super) fn deployment(deployment: &mut Deployment) {
    metadata(deployment);
    let spec = deployment.spec.take();
    deployment.spec = spec.map(|spec| DeploymentSpec {
        replicas: spec.replicas,
        ..DeploymentSpec::default()
    });
}

/// Of a pod only how it is, and where.
pub(super) fn pod(pod: &mut Pod) {
    metadata(pod);
    pod.annotations_mut().clear();
    pod.metadata.owner_references = None;
    pod.spec = None;
    pod.status = pod.status.take().map(|status| PodStatus {
        phase: status.phase,
        pod_ip: status.pod_ip,
        conditions: status
            .conditions
            .map(|all| all.into_iter().filter(is_told).collect()),
        container_statuses: status
            .container_statuses
            .map(|all| all.into_iter().map(state).collect()),
        ..PodStatus::default()
    });
}

/// Whether anything is made of a condition.
fn is_told(condition: &PodCondition) -> bool {
    matches!(condition.type_.as_str(), "Ready" | "PodScheduled")
}

/// Of a container only its state.
fn state(status: ContainerStatus) -> ContainerStatus {
    ContainerStatus {
        name: status.name,
        image: status.image,
        ready: status.ready,
        state: status.state,
        last_state: status.last_state,
        ..ContainerStatus::default()
    }
}
