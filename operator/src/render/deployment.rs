use crate::meta;
use crate::plan::{Identity, ModelVolume, Plan, SecretKey, SourceSecret};
use contract::endpoints::{ADMIN, CONFIG_DIR, CONFIG_FILE, LIVEZ, MODEL_DIR, PORTS, READYZ};
use k8s_openapi::api::apps::v1::{
    Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment,
};
use k8s_openapi::api::core::v1::{
    Capabilities, ConfigMapVolumeSource, Container, ContainerPort, HTTPGetAction,
    ImageVolumeSource, KeyToPath, Lifecycle, LifecycleHandler, PersistentVolumeClaimVolumeSource,
    PodSecurityContext, PodSpec, PodTemplateSpec, Probe, SeccompProfile, SecretVolumeSource,
    SecurityContext, SleepAction, TopologySpreadConstraint, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use std::collections::BTreeMap;

/// Name of the container that serves; its state is read back for the status.
pub const CONTAINER: &str = "server";
/// Nobody: the user that the image runs as.
const USER: i64 = 65532;
/// Seconds that a pod keeps serving after it was told to stop, until no proxy sends to it; where there
/// is no other pod, until its successor is ready (`docs/decisions/015-pods-go-slowly.md`).
const PRE_STOP_SECONDS: u16 = 15;
/// Seconds after that for which the server still answers, and asks clients to connect anew with each
/// answer: a connection that is closed while a request is on its way would lose it.
const DRAIN_SECONDS: u16 = 5;
/// Seconds that stopping may take beyond all waits: spans are sent, and the node may be busy.
const ROOM_SECONDS: u16 = 10;
/// Seconds that a pod may take to start: longer than the server takes to give up fetching its model.
const START_SECONDS: u16 = 100;

/// Seconds between being told to stop and being killed.
fn grace_seconds(plan: &Plan) -> u32 {
    let waits = PRE_STOP_SECONDS + DRAIN_SECONDS + ROOM_SECONDS;
    u32::from(waits) + plan.config.server.limits.last_answers_seconds()
}

/// Seconds without a new ready pod after which a rollout has failed: one may have to wait for the place
/// of a pod that goes.
fn progress_seconds(plan: &Plan) -> u32 {
    grace_seconds(plan) + u32::from(START_SECONDS + ROOM_SECONDS)
}

/// The pods.
pub(super) fn render(plan: &Plan) -> Deployment {
    Deployment {
        metadata: ObjectMeta {
            // An autoscaler may just have changed the number: then nothing is written.
            resource_version: plan.replicas_seen_at.clone(),
            ..meta::object(&plan.id, meta::name(&plan.id), &BTreeMap::new())
        },
        spec: Some(DeploymentSpec {
            replicas: Some(plan.replicas),
            selector: meta::label_selector(&plan.id),
            strategy: Some(strategy()),
            progress_deadline_seconds: i32::try_from(progress_seconds(plan)).ok(),
            revision_history_limit: Some(3),
            template: PodTemplateSpec {
                metadata: Some(pod_metadata(plan)),
                spec: Some(pod(plan)),
            },
            ..DeploymentSpec::default()
        }),
        status: None,
    }
}

/// A new pod must be ready before an old one goes.
fn strategy() -> DeploymentStrategy {
    DeploymentStrategy {
        type_: Some("RollingUpdate".to_owned()),
        rolling_update: Some(RollingUpdateDeployment {
            max_surge: Some(IntOrString::String("25%".to_owned())),
            max_unavailable: Some(IntOrString::Int(0)),
        }),
    }
}

/// The configuration's hash on the pods, by which its NetworkPolicy selects them.
fn pod_metadata(plan: &Plan) -> ObjectMeta {
    let mut labels = meta::labels(&plan.id);
    labels.insert(meta::config_label(), plan.config.hash.clone());
    ObjectMeta {
        labels: Some(labels),
        annotations: Some(BTreeMap::from([(
            "kubectl.kubernetes.io/default-container".to_owned(),
            CONTAINER.to_owned(),
        )])),
        ..ObjectMeta::default()
    }
}

fn pod(plan: &Plan) -> PodSpec {
    PodSpec {
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(grace_seconds(plan).into()),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(USER),
            run_as_group: Some(USER),
            fs_group: Some(USER),
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                localhost_profile: None,
            }),
            ..PodSecurityContext::default()
        }),
        topology_spread_constraints: Some(SPREAD.map(|over| spread(&plan.id, over)).to_vec()),
        containers: vec![container(plan)],
        volumes: Some(volumes(plan)),
        ..PodSpec::default()
    }
}

/// What pods are spread over, so that one failure leaves some of them.
const SPREAD: [&str; 2] = ["topology.kubernetes.io/zone", "kubernetes.io/hostname"];

/// As evenly as there is room: a pod in the wrong place is better than none.
fn spread(id: &Identity, over: &str) -> TopologySpreadConstraint {
    TopologySpreadConstraint {
        max_skew: 1,
        topology_key: over.to_owned(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        label_selector: Some(meta::label_selector(id)),
        // Pods of the previous spec are about to go, and do not count.
        match_label_keys: Some(vec!["pod-template-hash".to_owned()]),
        ..TopologySpreadConstraint::default()
    }
}

fn container(plan: &Plan) -> Container {
    Container {
        name: CONTAINER.to_owned(),
        image: Some(plan.image.reference.clone()),
        image_pull_policy: Some(plan.image.pull_policy.clone()),
        args: Some(
            [
                "serve",
                "--config",
                &config_path(),
                "--drain-delay",
                &DRAIN_SECONDS.to_string(),
            ]
            .map(str::to_owned)
            .to_vec(),
        ),
        ports: Some(PORTS.map(container_port).to_vec()),
        resources: Some(plan.resources.clone()),
        startup_probe: Some(probe(READYZ, 1, START_SECONDS.into())),
        readiness_probe: Some(probe(READYZ, 5, 2)),
        liveness_probe: Some(probe(LIVEZ, 10, 3)),
        lifecycle: Some(Lifecycle {
            pre_stop: Some(LifecycleHandler {
                sleep: Some(SleepAction {
                    seconds: PRE_STOP_SECONDS.into(),
                }),
                ..LifecycleHandler::default()
            }),
            ..Lifecycle::default()
        }),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            capabilities: Some(Capabilities {
                drop: Some(vec!["ALL".to_owned()]),
                add: None,
            }),
            ..SecurityContext::default()
        }),
        volume_mounts: Some(mounts(plan)),
        ..Container::default()
    }
}

fn config_path() -> String {
    format!("{CONFIG_DIR}/{CONFIG_FILE}")
}

fn container_port(port: contract::endpoints::Port) -> ContainerPort {
    ContainerPort {
        name: Some(port.name.to_owned()),
        container_port: i32::from(port.number),
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    }
}

/// Asks the admin listener for `path` every `period` seconds; `failures` in a row count.
fn probe(path: &str, period: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String(ADMIN.name.to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        timeout_seconds: Some(2),
        failure_threshold: Some(failures),
        ..Probe::default()
    }
}

const CONFIG_VOLUME: &str = "config";
const MODEL_VOLUME: &str = "model";
const API_KEYS_VOLUME: &str = "api-keys";
const SOURCE_VOLUME: &str = "source";
/// Nobody writes, and besides root only the server's group reads.
const SECRET_MODE: i32 = 0o440;

/// A changed configuration is another ConfigMap, which rolls the pods.
fn volumes(plan: &Plan) -> Vec<Volume> {
    let config = Volume {
        name: CONFIG_VOLUME.to_owned(),
        config_map: Some(ConfigMapVolumeSource {
            name: plan.config_name(),
            ..ConfigMapVolumeSource::default()
        }),
        ..Volume::default()
    };
    std::iter::once(config)
        .chain(plan.model_volume.as_ref().map(model_volume))
        .chain(plan.api_keys.as_ref().map(api_keys_volume))
        .chain(plan.source_secret.as_ref().map(source_volume))
        .collect()
}

fn model_volume(source: &ModelVolume) -> Volume {
    let mut volume = Volume {
        name: MODEL_VOLUME.to_owned(),
        ..Volume::default()
    };
    match source {
        ModelVolume::ConfigMap { name, key } => {
            volume.config_map = Some(ConfigMapVolumeSource {
                name: name.clone(),
                items: Some(vec![KeyToPath {
                    key: key.clone(),
                    path: key.clone(),
                    mode: None,
                }]),
                ..ConfigMapVolumeSource::default()
            });
        }
        ModelVolume::Claim { name } => {
            volume.persistent_volume_claim = Some(PersistentVolumeClaimVolumeSource {
                claim_name: name.clone(),
                read_only: Some(true),
            });
        }
        ModelVolume::Image { reference } => {
            volume.image = Some(ImageVolumeSource {
                reference: Some(reference.clone()),
                pull_policy: None,
            });
        }
    }
    volume
}

fn api_keys_volume(secret: &SecretKey) -> Volume {
    let item = KeyToPath {
        key: secret.key.clone(),
        path: secret.key.clone(),
        mode: None,
    };
    secret_volume(API_KEYS_VOLUME, &secret.name, Some(vec![item]))
}

fn source_volume(secret: &SourceSecret) -> Volume {
    secret_volume(SOURCE_VOLUME, &secret.name, None)
}

/// Keys of a Secret. Where it is missing the server does not start and says so, in words that
/// reach the status; without `optional` the pod would wait in silence.
fn secret_volume(volume: &str, secret: &str, items: Option<Vec<KeyToPath>>) -> Volume {
    Volume {
        name: volume.to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(secret.to_owned()),
            items,
            default_mode: Some(SECRET_MODE),
            optional: Some(true),
        }),
        ..Volume::default()
    }
}

fn mounts(plan: &Plan) -> Vec<VolumeMount> {
    let mount = |name: &str, path: &str| VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: Some(true),
        ..VolumeMount::default()
    };
    let model = plan
        .model_volume
        .as_ref()
        .map(|_| mount(MODEL_VOLUME, MODEL_DIR));
    let api_keys = plan
        .api_keys
        .as_ref()
        .map(|secret| mount(API_KEYS_VOLUME, &secret.folder()));
    let source = plan
        .source_secret
        .as_ref()
        .map(|secret| mount(SOURCE_VOLUME, &secret.folder()));
    std::iter::once(mount(CONFIG_VOLUME, CONFIG_DIR))
        .chain(model)
        .chain(api_keys)
        .chain(source)
        .collect()
}
