//! How far the Deployment has come.

use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition};

/// How far the Deployment has come: its numbers of pods.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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

impl From<&Deployment> for Rollout {
    fn from(deployment: &Deployment) -> Self {
        let status = deployment.status.clone().unwrap_or_default();
        let conditions = status.conditions.as_deref().unwrap_or_default();
        Self {
            desired: deployment
                .spec
                .as_ref()
                .and_then(|spec| spec.replicas)
                .unwrap_or(1),
            total: status.replicas.unwrap_or(0),
            updated: status.updated_replicas.unwrap_or(0),
            ready: status.ready_replicas.unwrap_or(0),
            observed: status.observed_generation >= deployment.metadata.generation,
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
