//! How far the Deployment has come.

use crate::seen::{Details, Part};
use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition, DeploymentStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;

/// How far the Deployment has come: its numbers of pods.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Rollout {
    /// Wanted.
    pub desired: i32,
    /// That exist.
    pub total: i32,
    /// That exist and have the current spec.
    pub updated: i32,
    /// That answer predictions, whatever their spec.
    pub ready: i32,
    /// Whether these numbers speak of the current spec.
    pub observed: bool,
    /// Why pods could not be made, if they could not.
    pub refused: Option<String>,
    /// Whether the pods made no progress in time.
    pub overdue: bool,
}

/// What is read of a Deployment.
pub type ReadDeployment = Part<Deployment, Scale, DeploymentStatus>;

/// Of the spec of a Deployment.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Scale {
    replicas: Option<i32>,
}

impl Details<ReadDeployment> for Rollout {
    fn of(deployment: &ReadDeployment) -> Self {
        let ReadDeployment {
            metadata,
            spec,
            status,
            ..
        } = deployment;
        Self::new(metadata, spec.replicas, status.as_ref())
    }
}

impl Details<Deployment> for Rollout {
    fn of(deployment: &Deployment) -> Self {
        let replicas = deployment.spec.as_ref().and_then(|spec| spec.replicas);
        Self::new(&deployment.metadata, replicas, deployment.status.as_ref())
    }
}

impl Rollout {
    fn new(meta: &ObjectMeta, replicas: Option<i32>, status: Option<&DeploymentStatus>) -> Self {
        let conditions = status.and_then(|status| status.conditions.as_deref());
        let conditions = conditions.unwrap_or_default();
        let count = |of: fn(&DeploymentStatus) -> Option<i32>| status.and_then(of).unwrap_or(0);
        let observed = status.and_then(|status| status.observed_generation);
        Self {
            desired: replicas.unwrap_or(1),
            total: count(|status| status.replicas),
            updated: count(|status| status.updated_replicas),
            ready: count(|status| status.ready_replicas),
            observed: observed >= meta.generation,
            refused: find(conditions, "ReplicaFailure", "True").and_then(|c| c.message.clone()),
            overdue: find(conditions, "Progressing", "False").is_some(),
        }
    }
}

fn find<'a>(
    conditions: &'a [DeploymentCondition],
    type_: &str,
    status: &str,
) -> Option<&'a DeploymentCondition> {
    conditions
        .iter()
        .find(|condition| condition.type_ == type_ && condition.status == status)
}

impl Rollout {
    /// Whether every wanted pod has the current spec and answers, and no other is left.
    pub fn is_complete(&self) -> bool {
        self.observed
            && self.updated == self.desired
            && self.total == self.desired
            && self.ready == self.desired
    }

    /// Whether some pod of the current spec answers: more answer than have an older one.
    pub fn new_pods_answer(&self) -> bool {
        self.observed && self.ready > self.total - self.updated
    }

    /// `1 of 2 pods answer predictions`
    pub fn answering(&self) -> String {
        format!("{} of {} pods answer predictions", self.ready, self.desired)
    }
}
