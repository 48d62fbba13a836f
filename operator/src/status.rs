//! What was observed and done → the status that users read. Pure, but for the one patch in
//! [`publish`].

pub mod publish;
mod rollout;
mod trouble;

pub use rollout::Rollout;
pub use trouble::Trouble;

use crate::api::{
    Condition, ConditionStatus, ConditionType, ModelService, ModelServiceStatus, ModelStatus,
    Reason,
};
use crate::apply::{Applied, Outcome};
use crate::error::{Category, Error};
use crate::meta;
use crate::plan::Plan;
use crate::render::{self, Children};
use crate::world::World;

/// How a reconcile ended.
#[derive(Debug)]
pub enum Verdict<'a> {
    /// The children were applied.
    Applied(&'a Plan, &'a Children<Applied>),
    /// Something went wrong before or while they were.
    Failed(&'a Error),
}

/// The status of `ms` after a reconcile, its conditions not yet dated. None if the reconcile
/// failed in a way that says nothing about the ModelService, such as an API server out of reach.
pub fn status(ms: &ModelService, world: &World, verdict: &Verdict<'_>) -> Option<Statement> {
    let view = View {
        rollout: rollout(world, verdict),
        trouble: trouble::of_pods(&world.pods),
    };
    let conditions = match verdict {
        Verdict::Applied(plan, children) => view.applied(plan, children),
        Verdict::Failed(error) => view.failed(error)?,
    };
    let mut status = ModelServiceStatus {
        observed_generation: ms.metadata.generation,
        replicas: view.rollout.total,
        ready_replicas: view.rollout.ready,
        ..ms.status.clone().unwrap_or_default()
    };
    if let Verdict::Applied(plan, _) = verdict {
        status.selector = Some(meta::selector_text(&plan.id));
        status.url = Some(render::url(&plan.id));
        status.model = Some(ModelStatus {
            version: plan.config.model.version.clone(),
            sha256: plan.config.model.sha256.clone(),
        });
    }
    Some(Statement { status, conditions })
}

/// A status and its conditions, not yet dated.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// All but the conditions.
    pub status: ModelServiceStatus,
    /// In the order of [`ConditionType::ALL`], those that could be judged.
    pub conditions: Vec<Condition>,
}

/// The newest that is known of the Deployment: what the write returned, else what the watch saw.
fn rollout(world: &World, verdict: &Verdict<'_>) -> Rollout {
    match verdict {
        Verdict::Applied(
            _,
            Children {
                deployment: Outcome::Written(deployment),
                ..
            },
        ) => Rollout::from(deployment.as_ref()),
        Verdict::Applied(..) | Verdict::Failed(_) => world
            .live
            .deployment
            .as_deref()
            .map(Rollout::from)
            .unwrap_or_default(),
    }
}

/// What conditions are judged by.
struct View {
    rollout: Rollout,
    trouble: Option<Trouble>,
}

impl View {
    fn applied(&self, plan: &Plan, children: &Children<Applied>) -> Vec<Condition> {
        let Children {
            config_map,
            service,
            deployment,
            service_monitor,
            prometheus_rule,
            dashboard,
        } = children;
        let core = [
            conflict(config_map),
            conflict(service),
            conflict(deployment),
        ];
        let monitors = [
            conflict(service_monitor),
            conflict(prometheus_rule),
            conflict(dashboard),
        ];
        let missing: Vec<_> = [
            is_missing(service_monitor).then_some("ServiceMonitor"),
            is_missing(prometheus_rule).then_some("PrometheusRule"),
        ]
        .into_iter()
        .flatten()
        .collect();
        vec![
            self.ready(core.into_iter().flatten().next()),
            self.model_loaded(),
            self.progressing(),
            monitoring_ready(plan, monitors.into_iter().flatten().next(), &missing),
        ]
    }

    /// Conditions after a failed reconcile: what the user must know, and the state of the pods,
    /// which go on as they were.
    fn failed(&self, error: &Error) -> Option<Vec<Condition>> {
        let reason = match (error, error.category()) {
            (Error::Invalid(invalid), _) => invalid.reason(),
            (_, Category::Forbidden | Category::Rejected) => Reason::ApiError,
            (
                _,
                Category::Spec | Category::Conflict | Category::Unavailable | Category::Internal,
            ) => {
                return None;
            }
        };
        let message = match error {
            Error::Invalid(invalid) => invalid.to_string(),
            _ => error.chain(),
        };
        let kept = match self.rollout.ready {
            0 => String::new(),
            ready => format!("; the {ready} running pods keep serving the previous spec"),
        };
        let mut conditions = vec![condition(
            ConditionType::Ready,
            ConditionStatus::False,
            reason,
            message.clone() + &kept,
        )];
        if let Reason::Load(_) = reason {
            conditions.push(condition(
                ConditionType::ModelLoaded,
                ConditionStatus::False,
                reason,
                message,
            ));
        }
        Some(conditions)
    }

    fn ready(&self, conflict: Option<String>) -> Condition {
        let rollout = &self.rollout;
        let (status, reason, message) = if let Some(message) = conflict {
            (ConditionStatus::False, Reason::NameConflict, message)
        } else if rollout.desired == 0 {
            (
                ConditionStatus::False,
                Reason::ScaledToZero,
                "spec.replicas is 0".to_owned(),
            )
        } else if rollout.is_complete() {
            (
                ConditionStatus::True,
                Reason::Available,
                rollout.answering(),
            )
        } else {
            let (reason, message) = self.obstacle();
            (ConditionStatus::False, reason, message)
        };
        condition(ConditionType::Ready, status, reason, message)
    }

    /// Why the rollout is not complete.
    fn obstacle(&self) -> (Reason, String) {
        let rollout = &self.rollout;
        let answering = rollout.answering();
        if let Some(Trouble { reason, message }) = &self.trouble {
            return (*reason, format!("{message}; {answering}"));
        }
        if let Some(message) = &rollout.refused {
            return (Reason::PodsRefused, format!("{message}; {answering}"));
        }
        let reason = match rollout {
            Rollout { overdue: true, .. } => Reason::DeadlineExceeded,
            Rollout {
                observed: false, ..
            } => Reason::RollingOut,
            _ if rollout.updated < rollout.desired || rollout.total > rollout.updated => {
                Reason::RollingOut
            }
            Rollout { ready: 0, .. } => Reason::Starting,
            _ => Reason::NotReady,
        };
        (reason, answering)
    }

    fn model_loaded(&self) -> Condition {
        let (status, reason, message) = match &self.trouble {
            Some(Trouble {
                reason: reason @ Reason::Load(_),
                message,
            }) => (ConditionStatus::False, *reason, message.clone()),
            _ if self.rollout.observed && self.rollout.ready > 0 && self.rollout.updated > 0 => (
                ConditionStatus::True,
                Reason::Loaded,
                "the model is loaded and passed its self-test".to_owned(),
            ),
            _ => (
                ConditionStatus::Unknown,
                Reason::Starting,
                "no pod has loaded the model yet".to_owned(),
            ),
        };
        condition(ConditionType::ModelLoaded, status, reason, message)
    }

    fn progressing(&self) -> Condition {
        let rollout = &self.rollout;
        let (status, reason) = if rollout.is_complete() {
            (ConditionStatus::False, Reason::Complete)
        } else if rollout.overdue {
            (ConditionStatus::False, Reason::DeadlineExceeded)
        } else {
            (ConditionStatus::True, Reason::RollingOut)
        };
        let message = format!(
            "{} of {} pods have the current spec",
            rollout.updated, rollout.desired
        );
        condition(ConditionType::Progressing, status, reason, message)
    }
}

fn monitoring_ready(plan: &Plan, conflict: Option<String>, missing: &[&str]) -> Condition {
    let (status, reason, message) = if plan.monitoring.is_none() {
        (
            ConditionStatus::False,
            Reason::Disabled,
            "spec.monitoring.enabled is false".to_owned(),
        )
    } else if let Some(message) = conflict {
        (ConditionStatus::False, Reason::NameConflict, message)
    } else if missing.is_empty() {
        (
            ConditionStatus::True,
            Reason::Applied,
            "ServiceMonitor, PrometheusRule and dashboard are in place".to_owned(),
        )
    } else {
        let message = format!(
            "the cluster has no {} kind: install the Prometheus operator, and it appears here without a restart",
            missing.join(" and no ")
        );
        (
            ConditionStatus::False,
            Reason::PrometheusOperatorMissing,
            message,
        )
    };
    condition(ConditionType::MonitoringReady, status, reason, message)
}

fn conflict<K>(outcome: &Outcome<K>) -> Option<String> {
    match outcome {
        Outcome::Conflict { kind, name } => Some(format!(
            "{kind} '{name}' exists and belongs to somebody else: rename or delete one of the two"
        )),
        Outcome::Unchanged | Outcome::Written(_) | Outcome::Absent | Outcome::KindMissing => None,
    }
}

fn is_missing<K>(outcome: &Outcome<K>) -> bool {
    matches!(outcome, Outcome::KindMissing)
}

fn condition(
    type_: ConditionType,
    status: ConditionStatus,
    reason: Reason,
    message: String,
) -> Condition {
    Condition {
        type_,
        status,
        reason,
        message,
    }
}
