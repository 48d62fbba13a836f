//! What was observed and done → the status that users read. Pure, but for the one patch in
//! [`publish`].

pub mod publish;
mod rollout;
mod trouble;

pub use rollout::{ReadDeployment, Rollout};
pub use trouble::Trouble;

use crate::api::{
    Condition, ConditionStatus, ConditionType, ModelService, ModelServiceStatus, ModelStatus,
    Reason,
};
use crate::apply::{Applied, Fault, Faults, Outcome};
use crate::error::Error;
use crate::meta;
use crate::plan::Plan;
use crate::render::{self, Children};
use crate::seen::Details as _;
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
    let model_image = ms.spec.model.source.image.as_ref();
    let model_image = model_image.map(|image| image.reference.as_str());
    let config_hash = match verdict {
        Verdict::Applied(plan, _) => Some(plan.config.hash.as_str()),
        Verdict::Failed(_) => None,
    };
    let view = View {
        rollout: rollout(world, verdict),
        trouble: trouble::of_pods(&world.pods, config_hash, model_image),
        unselected: unselected(world, verdict),
        rejection: world.rejection.clone(),
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
        status.model = Some(model(ms, world, plan));
    }
    Some(Statement { status, conditions })
}

/// Whether its status says that everything was as its spec wants it once.
pub fn was_settled(ms: &ModelService) -> bool {
    let said = |type_: ConditionType| {
        let mut conditions = ms.status.iter().flat_map(|status| &status.conditions);
        conditions.find(|known| {
            known.type_ == type_.as_str() && known.observed_generation == ms.metadata.generation
        })
    };
    let serves = said(ConditionType::Ready)
        .is_some_and(|ready| serves_as_wanted(&ready.status, &ready.reason));
    // Of a write that is tried again nothing is said.
    let obstacles = [Reason::NameConflict, Reason::ApiError].map(Reason::as_str);
    let is_monitored = said(ConditionType::MonitoringReady)
        .is_some_and(|monitoring| !obstacles.contains(&monitoring.reason.as_str()));
    serves && is_monitored
}

/// Whether a condition Ready of this status and reason says that the model is served as the spec wants it.
fn serves_as_wanted(status: &str, reason: &str) -> bool {
    status == ConditionStatus::True.as_str() || reason == Reason::ScaledToZero.as_str()
}

/// The model as the plan has it; where that leaves it to the pods, as they say, or as they said of
/// the same spec.
fn model(ms: &ModelService, world: &World, plan: &Plan) -> ModelStatus {
    let before = ms.status.as_ref();
    let before = before.filter(|status| status.observed_generation == ms.metadata.generation);
    let before = before.and_then(|status| status.model.clone());
    let said = match ms.spec.model.is_known_to_pods_only() {
        true => world.served.clone().or(before),
        false => None,
    };
    let (version, sha256) = said.map_or((None, None), |said| (said.version, said.sha256));
    let planned = &plan.config.server.model;
    ModelStatus {
        version: planned.version.clone().or(version),
        sha256: planned.sha256.clone().or(sha256),
    }
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
        ) => Rollout::of(deployment.as_ref()),
        Verdict::Applied(..) | Verdict::Failed(_) => world
            .live
            .deployment
            .as_ref()
            .map(|seen| seen.details.clone())
            .unwrap_or_default(),
    }
}

/// Why no Prometheus takes the monitoring objects, if none does.
fn unselected(world: &World, verdict: &Verdict<'_>) -> Option<String> {
    let Verdict::Applied(plan, _) = verdict else {
        return None;
    };
    let mut labels = plan.monitoring.as_ref()?.scrape.labels.clone();
    labels.extend(meta::labels(&plan.id));
    world.prometheuses.unselected(&plan.id.namespace, &labels)
}

/// What conditions are judged by.
struct View {
    rollout: Rollout,
    trouble: Option<Trouble>,
    /// Why no Prometheus takes the monitoring objects.
    unselected: Option<String>,
    /// Why the Prometheus operator refuses one of them.
    rejection: Option<String>,
}

impl View {
    fn applied(&self, plan: &Plan, children: &Children<Applied>) -> Vec<Condition> {
        let Faults {
            serving,
            monitoring,
        } = children.faults();
        let missing: Vec<_> = [
            is_missing(&children.service_monitor).then_some("ServiceMonitor"),
            is_missing(&children.prometheus_rule).then_some("PrometheusRule"),
        ]
        .into_iter()
        .flatten()
        .collect();
        let obstacle = Obstacle::among(&serving);
        let unmonitored = Obstacle::among(&monitoring);
        let tried_again = |fault: &Fault<'_>| fault.failure.is_some();
        let ready = self.ready(obstacle);
        // All is not well before the last write was made.
        let is_early = serves_as_wanted(ready.status.as_str(), ready.reason.as_str())
            && serving.iter().any(tried_again);
        let mut conditions: Vec<_> = (!is_early).then_some(ready).into_iter().collect();
        conditions.extend([self.model_loaded(), self.progressing()]);
        if unmonitored.is_some() || !monitoring.iter().any(tried_again) {
            conditions.push(self.monitoring_ready(plan, unmonitored, &missing));
        }
        conditions
    }

    /// Conditions after a failed reconcile: what the user must know, and the state of the pods,
    /// which go on as they were.
    fn failed(&self, error: &Error) -> Option<Vec<Condition>> {
        let reason = match error {
            Error::Invalid(invalid) => invalid.reason(),
            _ if error.category().lasts() => Reason::ApiError,
            _ => return None,
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

    fn ready(&self, obstacle: Option<Obstacle>) -> Condition {
        let rollout = &self.rollout;
        let (status, reason, message) = if let Some(Obstacle { reason, message }) = obstacle {
            (ConditionStatus::False, reason, message)
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
            _ if self.rollout.new_pods_answer() => (
                ConditionStatus::True,
                Reason::Loaded,
                "the model is loaded and passed its self-test".to_owned(),
            ),
            _ => (
                ConditionStatus::Unknown,
                Reason::Starting,
                "no pod of the current spec has loaded the model yet".to_owned(),
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

    fn monitoring_ready(
        &self,
        plan: &Plan,
        obstacle: Option<Obstacle>,
        missing: &[&str],
    ) -> Condition {
        let (status, reason, message) = if plan.monitoring.is_none() {
            (
                ConditionStatus::False,
                Reason::Disabled,
                "spec.monitoring.enabled is false".to_owned(),
            )
        } else if let Some(Obstacle { reason, message }) = obstacle {
            (ConditionStatus::False, reason, message)
        } else if let ([], Some(message)) = (missing, &self.rejection) {
            (
                ConditionStatus::False,
                Reason::Rejected,
                format!("the Prometheus operator says: {message}"),
            )
        } else if let ([], Some(message)) = (missing, &self.unselected) {
            (
                ConditionStatus::False,
                Reason::NoPrometheusSelectsIt,
                message.clone(),
            )
        } else if missing.is_empty() {
            (
                ConditionStatus::True,
                Reason::Applied,
                "all that the spec asks for is in place".to_owned(),
            )
        } else {
            let message = format!(
                "the operator sees no {} kind: install the Prometheus operator, and it appears here without a restart",
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
}

/// What keeps a child from being as it should, until somebody does something about it.
struct Obstacle {
    reason: Reason,
    message: String,
}

impl Obstacle {
    fn among(faults: &[Fault<'_>]) -> Option<Self> {
        let conflicts = faults.iter().find_map(|fault| fault.conflict);
        let conflict = conflicts.map(|(kind, name)| Self {
            reason: Reason::NameConflict,
            message: format!(
                "{kind} '{name}' exists and belongs to somebody else: rename or delete one of the two"
            ),
        });
        let failures = || {
            faults
                .iter()
                .find_map(|fault| Self::lasting(fault.failure?))
        };
        conflict.or_else(failures)
    }

    /// What will soon be tried again is none.
    fn lasting(error: &Error) -> Option<Self> {
        error.category().lasts().then(|| Self {
            reason: Reason::ApiError,
            message: error.chain(),
        })
    }
}

fn is_missing<K>(outcome: &Outcome<K>) -> bool {
    matches!(outcome, Outcome::KindMissing | Outcome::KindVanished)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seen::ReadPod;
    use crate::validate::validate;
    use crate::world::{Live, SeenDeployment, SeenPod};
    use clap::Parser;
    use k8s_openapi::api::apps::v1::Deployment;
    use rstest::rstest;
    use std::sync::Arc;

    #[derive(Parser)]
    struct Defaults {
        #[command(flatten)]
        settings: crate::plan::Settings,
    }

    fn service() -> ModelService {
        crate::yaml::parse(
            "kind: ModelService\nmetadata: {name: churn, namespace: shop, uid: u1, generation: 3}\n\
             spec: {replicas: 2, model: {source: {builtin: {name: diabetes}}}}\n",
        )
        .unwrap()
    }

    fn deployment(status: &str) -> Arc<SeenDeployment> {
        let text = format!(
            "metadata: {{name: churn, generation: 7}}\n\
             spec: {{replicas: 2, selector: {{}}, template: {{}}}}\nstatus: {status}\n"
        );
        let deployment: Deployment = crate::yaml::parse(&text).unwrap();
        Arc::new(SeenDeployment::new(&deployment))
    }

    fn pod(created: u32, status: &str) -> Arc<SeenPod> {
        pod_of("", created, status)
    }

    fn pod_of(config: &str, created: u32, status: &str) -> Arc<SeenPod> {
        let labels = format!("{{{}: '{config}'}}", meta::config_label());
        let text = format!(
            "metadata: {{creationTimestamp: '2026-01-01T00:00:{created:02}Z', labels: {labels}}}\nstatus: {status}\n"
        );
        let pod: ReadPod = crate::yaml::parse(&text).unwrap();
        Arc::new(SeenPod::new(&pod))
    }

    fn unchanged() -> Children<Applied> {
        Children {
            config_map: Outcome::Unchanged,
            service: Outcome::Unchanged,
            deployment: Outcome::Unchanged,
            disruption_budget: Outcome::Unchanged,
            autoscaler: Outcome::Absent,
            network_policy: Outcome::Unchanged,
            service_monitor: Outcome::Unchanged,
            prometheus_rule: Outcome::Unchanged,
            dashboard: Outcome::Unchanged,
        }
    }

    fn world(status: &str, pods: Vec<Arc<SeenPod>>) -> World {
        World {
            live: Live {
                deployment: Some(deployment(status)),
                ..Live::default()
            },
            pods,
            ..World::default()
        }
    }

    #[test]
    fn where_the_spec_leaves_it_to_the_pods_what_they_say_is_the_model() {
        let settings = Defaults::parse_from(["operator"]).settings;
        let mut ms = service();
        ms.spec = crate::yaml::parse(
            "model: {source: {mlflow: {trackingUri: 'http://mlflow', model: churn, alias: champion}}}",
        )
        .unwrap();
        let mut say = |said: Option<&str>| {
            let world = World {
                served: said.map(|version| ModelStatus {
                    version: Some(version.to_owned()),
                    sha256: None,
                }),
                ..world(COMPLETE, Vec::new())
            };
            let plan = validate(&ms, &world, &settings).unwrap();
            let verdict = Verdict::Applied(&plan, &unchanged());
            let status = status(&ms, &world, &verdict).unwrap().status;
            let version = status.model.clone().and_then(|model| model.version);
            ms.status = Some(status);
            version
        };
        assert_eq!(say(None), None);
        assert_eq!(say(Some("7")).as_deref(), Some("7"));
        assert_eq!(say(None).as_deref(), Some("7"), "a pod was busy");
        assert_eq!(say(Some("8")).as_deref(), Some("8"));
        ms.metadata.generation = Some(4);
        let plan = validate(&ms, &World::default(), &settings).unwrap();
        assert_eq!(model(&ms, &World::default(), &plan).version, None);
    }

    fn plan(world: &World) -> Plan {
        let settings = Defaults::parse_from(["operator"]).settings;
        validate(&service(), world, &settings).unwrap()
    }

    fn conditions(world: &World, children: &Children<Applied>) -> Vec<Condition> {
        status(&service(), world, &Verdict::Applied(&plan(world), children))
            .unwrap()
            .conditions
    }

    fn said(conditions: &[Condition], type_: ConditionType) -> (ConditionStatus, Reason, &str) {
        let condition = conditions
            .iter()
            .find(|condition| condition.type_ == type_)
            .unwrap();
        (condition.status, condition.reason, &condition.message)
    }

    const COMPLETE: &str = "{observedGeneration: 7, replicas: 2, updatedReplicas: 2, readyReplicas: 2, availableReplicas: 2}";
    const OLD_ONES_SERVE: &str = "{observedGeneration: 7, replicas: 3, updatedReplicas: 1, readyReplicas: 2, availableReplicas: 2}";

    #[test]
    fn all_pods_answering_is_ready() {
        let conditions = conditions(&world(COMPLETE, vec![]), &unchanged());
        assert_eq!(
            said(&conditions, ConditionType::Ready),
            (
                ConditionStatus::True,
                Reason::Available,
                "2 of 2 pods answer predictions"
            )
        );
        assert_eq!(
            said(&conditions, ConditionType::ModelLoaded).1,
            Reason::Loaded
        );
        assert_eq!(
            said(&conditions, ConditionType::Progressing).1,
            Reason::Complete
        );
        assert_eq!(
            said(&conditions, ConditionType::MonitoringReady).1,
            Reason::Applied
        );
    }

    #[rstest]
    #[case("{}", Reason::RollingOut)]
    #[case(
        "{observedGeneration: 6, replicas: 2, updatedReplicas: 2, readyReplicas: 2}",
        Reason::RollingOut
    )]
    #[case(
        "{observedGeneration: 7, replicas: 3, updatedReplicas: 2, readyReplicas: 3}",
        Reason::RollingOut
    )]
    #[case(OLD_ONES_SERVE, Reason::RollingOut)]
    #[case(
        "{observedGeneration: 7, replicas: 2, updatedReplicas: 2, readyReplicas: 1}",
        Reason::NotReady
    )]
    #[case(
        "{observedGeneration: 7, replicas: 2, updatedReplicas: 2}",
        Reason::Starting
    )]
    #[case(
        "{observedGeneration: 7, replicas: 2, updatedReplicas: 2, conditions: [{type: Progressing, status: 'False'}]}",
        Reason::DeadlineExceeded
    )]
    #[case(
        "{observedGeneration: 7, conditions: [{type: ReplicaFailure, status: 'True', message: exceeded quota}]}",
        Reason::PodsRefused
    )]
    fn anything_less_is_not_ready_and_says_why(#[case] deployment: &str, #[case] reason: Reason) {
        let conditions = conditions(&world(deployment, vec![]), &unchanged());
        let (status, found, _) = said(&conditions, ConditionType::Ready);
        assert_eq!((status, found), (ConditionStatus::False, reason));
    }

    #[rstest]
    #[case(
        "{waiting: {reason: ImagePullBackOff, message: 'not found.'}}",
        Reason::ImagePullFailed,
        "image acme/server:9 cannot be pulled: not found"
    )]
    #[case(
        "{waiting: {reason: ErrImageNeverPull}}",
        Reason::ImagePullFailed,
        "image acme/server:9 cannot be pulled: "
    )]
    #[case(
        "{terminated: {exitCode: 1, message: 'ChecksumMismatch: expected ab, found cd'}}",
        Reason::Load(contract::labels::LoadFailure::ChecksumMismatch),
        "expected ab, found cd"
    )]
    #[case(
        "{terminated: {exitCode: 1, message: 'InvalidApiKeys: /etc/modelservice-secrets/clients/api-keys: No such file'}}",
        Reason::Start(contract::labels::StartFailure::InvalidApiKeys),
        "/etc/modelservice-secrets/clients/api-keys: No such file"
    )]
    #[case(
        "{terminated: {exitCode: 137, reason: OOMKilled}}",
        Reason::CrashLooping,
        "the server stopped with exit code 137 (OOMKilled)"
    )]
    #[case(
        "{terminated: {exitCode: 1, message: 'Nonsense: x'}}",
        Reason::CrashLooping,
        "the server stopped with exit code 1"
    )]
    #[case(
        "{waiting: {reason: CreateContainerConfigError, message: 'configmap \"x\" not found'}}",
        Reason::VolumeUnavailable,
        "configmap \"x\" not found"
    )]
    fn a_pod_in_trouble_gives_its_reason(
        #[case] state: &str,
        #[case] reason: Reason,
        #[case] message: &str,
    ) {
        let status = format!(
            "{{containerStatuses: [{{name: server, image: 'acme/server:9', imageID: '', ready: false, restartCount: 0, state: {state}}}]}}"
        );
        let conditions = conditions(&world(OLD_ONES_SERVE, vec![pod(1, &status)]), &unchanged());
        let (status, found, text) = said(&conditions, ConditionType::Ready);
        assert_eq!((status, found), (ConditionStatus::False, reason));
        assert_eq!(text, format!("{message}; 2 of 2 pods answer predictions"));
        let loaded = said(&conditions, ConditionType::ModelLoaded);
        assert_eq!(
            loaded.1 == reason,
            matches!(reason, Reason::Load(_)),
            "{loaded:?}"
        );
    }

    #[test]
    fn a_crash_that_waits_for_its_restart_is_still_explained() {
        let status = "{containerStatuses: [{name: server, image: i, imageID: '', ready: false, restartCount: 3, \
            state: {waiting: {reason: CrashLoopBackOff, message: back-off}}, \
            lastState: {terminated: {exitCode: 1, message: 'NotFound: no file at /models/a.json'}}}]}";
        let conditions = conditions(&world(OLD_ONES_SERVE, vec![pod(1, status)]), &unchanged());
        let (_, reason, message) = said(&conditions, ConditionType::Ready);
        assert_eq!(
            reason,
            Reason::Load(contract::labels::LoadFailure::NotFound)
        );
        assert!(
            message.starts_with("no file at /models/a.json; 2 of 2"),
            "{message}"
        );
    }

    #[test]
    fn the_model_counts_as_loaded_only_by_pods_of_the_current_spec() {
        let old = conditions(&world(OLD_ONES_SERVE, vec![]), &unchanged());
        assert_eq!(
            said(&old, ConditionType::ModelLoaded).0,
            ConditionStatus::Unknown
        );
        let new = "{observedGeneration: 7, replicas: 3, updatedReplicas: 1, readyReplicas: 3}";
        let new = conditions(&world(new, vec![]), &unchanged());
        assert_eq!(
            said(&new, ConditionType::ModelLoaded).0,
            ConditionStatus::True
        );
    }

    #[test]
    fn pods_that_ended_long_ago_are_not_blamed() {
        let evicted = "{phase: Failed, containerStatuses: [{name: server, image: i, imageID: '', ready: false, \
            restartCount: 0, state: {terminated: {exitCode: 137}}}]}";
        let conditions = conditions(&world(OLD_ONES_SERVE, vec![pod(1, evicted)]), &unchanged());
        assert_eq!(
            said(&conditions, ConditionType::Ready).1,
            Reason::RollingOut
        );
    }

    #[test]
    fn a_pod_without_a_node_is_unschedulable() {
        let status = "{conditions: [{type: PodScheduled, status: 'False', reason: Unschedulable, message: '0/1 nodes are available: Insufficient memory.'}]}";
        let conditions = conditions(&world(OLD_ONES_SERVE, vec![pod(1, status)]), &unchanged());
        assert_eq!(
            said(&conditions, ConditionType::Ready).1,
            Reason::Unschedulable
        );
    }

    #[test]
    fn the_newest_pod_in_trouble_is_believed() {
        let state = |reason: &str| {
            format!(
                "{{containerStatuses: [{{name: server, image: i, imageID: '', ready: false, restartCount: 0, state: {{terminated: {{exitCode: 1, message: '{reason}: x'}}}}}}]}}"
            )
        };
        let pods = vec![
            pod(1, &state("Corrupt")),
            pod(9, &state("TooLarge")),
            pod(5, &state("NotFound")),
        ];
        let conditions = conditions(&world(OLD_ONES_SERVE, pods), &unchanged());
        assert_eq!(
            said(&conditions, ConditionType::Ready).1,
            Reason::Load(contract::labels::LoadFailure::TooLarge)
        );
    }

    #[test]
    fn a_pod_that_takes_the_place_of_an_old_one_is_not_asked_about_the_new_spec() {
        let end = "{terminated: {exitCode: 1, message: 'Corrupt: x'}}";
        let corrupt = format!(
            "{{containerStatuses: [{{name: server, image: i, imageID: '', ready: false, restartCount: 0, state: {end}}}]}}"
        );
        let unschedulable = "{conditions: [{type: PodScheduled, status: 'False', reason: Unschedulable, message: no room}]}";
        let current = plan(&World::default()).config.hash;
        let pods = vec![
            pod_of(&current, 1, &corrupt),
            pod_of("earlier", 9, unschedulable),
        ];
        let conditions = conditions(&world(OLD_ONES_SERVE, pods), &unchanged());
        assert_eq!(
            said(&conditions, ConditionType::Ready).1,
            Reason::Load(contract::labels::LoadFailure::Corrupt)
        );
    }

    #[test]
    fn ready_is_not_said_while_a_write_is_tried_again() {
        let source = kube::Error::LinesCodecMaxLineLengthExceeded;
        let error = Error::Status { source };
        let tried_again = Children {
            autoscaler: Outcome::Failed(Arc::new(error)),
            ..unchanged()
        };
        let says_ready = |deployment| {
            let said = conditions(&world(deployment, vec![]), &tried_again);
            said.iter().any(|one| one.type_ == ConditionType::Ready)
        };
        assert!(!says_ready(COMPLETE));
        assert!(says_ready(OLD_ONES_SERVE), "nor is anything else kept back");
    }

    #[rstest]
    #[case::all_well("True Available 3", "True Applied 3", true)]
    #[case::without_pods("False ScaledToZero 3", "False Disabled 3", true)]
    #[case::no_prometheus("True Available 3", "False NoPrometheusSelectsIt 3", true)]
    #[case::of_another_spec("True Available 2", "True Applied 3", false)]
    #[case::not_ready("False NotReady 3", "True Applied 3", false)]
    #[case::a_monitor_of_somebody_else("True Available 3", "False NameConflict 3", false)]
    #[case::a_rule_that_is_refused("True Available 3", "False ApiError 3", false)]
    #[case::a_rule_that_is_tried_again("True Available 3", "True Applied 2", false)]
    fn settled_is_what_was_ready_and_monitored_as_the_spec_wants_it(
        #[case] ready: &str,
        #[case] monitored: &str,
        #[case] settled: bool,
    ) {
        let condition = |type_: &str, said: &str| {
            let said: Vec<_> = said.split(' ').collect();
            let [status, reason, generation] = said[..] else {
                panic!("{said:?}")
            };
            format!(
                "{{type: {type_}, status: '{status}', reason: {reason}, message: '', \
                 observedGeneration: {generation}, lastTransitionTime: '2026-01-01T00:00:00Z'}}"
            )
        };
        let ready = condition("Ready", ready);
        let monitored = condition("MonitoringReady", monitored);
        let ms = ModelService {
            status: crate::yaml::parse(&format!("conditions: [{ready}, {monitored}]")).unwrap(),
            ..service()
        };
        assert_eq!(was_settled(&ms), settled);
    }

    #[test]
    fn missing_kinds_and_foreign_objects_are_named() {
        let missing = Children {
            service_monitor: Outcome::KindMissing,
            ..unchanged()
        };
        let said_missing = conditions(&world(COMPLETE, vec![]), &missing);
        let (status, reason, message) = said(&said_missing, ConditionType::MonitoringReady);
        assert_eq!(
            (status, reason),
            (ConditionStatus::False, Reason::PrometheusOperatorMissing)
        );
        assert!(message.contains("no ServiceMonitor kind"), "{message}");
        assert_eq!(
            said(&said_missing, ConditionType::Ready).0,
            ConditionStatus::True
        );

        let conflict = || Outcome::Conflict {
            kind: "Service".into(),
            name: "churn".into(),
        };
        let foreign = Children {
            service: conflict(),
            ..unchanged()
        };
        let said_foreign = conditions(&world(COMPLETE, vec![]), &foreign);
        let (status, reason, message) = said(&said_foreign, ConditionType::Ready);
        assert_eq!(
            (status, reason),
            (ConditionStatus::False, Reason::NameConflict)
        );
        assert!(
            message.starts_with("Service 'churn' exists and belongs to somebody else"),
            "{message}"
        );
    }

    #[test]
    fn an_invalid_spec_leaves_the_running_pods_out_of_it() {
        let invalid = Error::Invalid(crate::validate::Invalid::NoConfigMap("models".into()));
        let statement = status(
            &service(),
            &world(COMPLETE, vec![]),
            &Verdict::Failed(&invalid),
        )
        .unwrap();
        assert_eq!(statement.status.ready_replicas, 2);
        let (status, _, message) = said(&statement.conditions, ConditionType::Ready);
        assert_eq!(status, ConditionStatus::False);
        assert!(
            message.ends_with("the 2 running pods keep serving the previous spec"),
            "{message}"
        );
    }

    #[test]
    fn an_api_server_out_of_reach_says_nothing_about_a_modelservice() {
        let deadline = Error::Deadline { seconds: 25 };
        assert_eq!(
            status(
                &service(),
                &world(COMPLETE, vec![]),
                &Verdict::Failed(&deadline)
            ),
            None
        );
    }
}
