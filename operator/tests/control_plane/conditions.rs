//! What users read when something is wrong, and that mending it heals.

use crate::cluster::Cluster;
use crate::deployment::mounted;
use crate::installed::PATIENCE;
use crate::kubectl::{condition, eventually, kubectl};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::{Duration, Instant};

const SPEC: &str = "{model: {source: {builtin: {name: diabetes}}}}";

fn container(state: &Value, ready: bool) -> Value {
    json!({"name": "server", "image": "acme/server:9", "imageID": "", "ready": ready, "restartCount": 1, "state": state})
}

fn answering() -> Value {
    json!({
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "True"}],
        "containerStatuses": [container(&json!({"running": {}}), true)],
    })
}

fn failing(state: &Value) -> Value {
    json!({
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "False"}],
        "containerStatuses": [container(state, false)],
    })
}

#[test]
#[ignore = "needs a control plane: make test-control-plane"]
fn a_modelservice_is_ready_once_its_pods_answer_and_no_longer_when_they_crash() {
    let cluster = Cluster::shared("ready");
    cluster.serve(SPEC).unwrap();
    cluster.wait_condition("Ready", "False", "Starting");
    cluster.wait("modelservice", "churn", |ms| ms["status"]["replicas"] == 1);
    cluster.pods_say(&answering());
    assert_eq!(
        cluster.wait_condition("Ready", "True", "Available"),
        "1 of 1 pods answer predictions"
    );
    cluster.wait_condition("ModelLoaded", "True", "Loaded");
    cluster.wait_condition("Progressing", "False", "Complete");
    cluster.pods_say(&failing(&json!({"terminated": {"exitCode": 139}})));
    let message = cluster.wait_condition("Ready", "False", "CrashLooping");
    assert_eq!(
        message,
        "the server stopped with exit code 139; 0 of 1 pods answer predictions"
    );
    let events = cluster
        .kubectl(&["events", "--for", "modelservice/churn"])
        .unwrap();
    assert!(
        events.contains("Available") && events.contains("Warning   CrashLooping"),
        "{events}"
    );
}

#[test]
#[ignore = "needs a control plane: make test-control-plane"]
fn the_servers_last_words_become_the_reason() {
    let cluster = Cluster::shared("last-words");
    cluster.serve(SPEC).unwrap();
    cluster.wait("modelservice", "churn", |ms| ms["status"]["replicas"] == 1);
    let said = "ChecksumMismatch: the file has sha256 ab, the configuration says cd";
    cluster.pods_say(&failing(
        &json!({"terminated": {"exitCode": 1, "message": said}}),
    ));
    let message = cluster.wait_condition("ModelLoaded", "False", "ChecksumMismatch");
    assert_eq!(message, "the file has sha256 ab, the configuration says cd");
    cluster.wait_condition("Ready", "False", "ChecksumMismatch");
    cluster.pods_say(&answering());
    cluster.wait_condition("Ready", "True", "Available");
}

#[test]
#[ignore = "needs a control plane: make test-control-plane"]
fn a_missing_config_map_is_named_and_found_once_it_is_there() {
    let cluster = Cluster::shared("late-model");
    cluster
        .serve("{model: {source: {configMap: {name: models, key: churn.json}}}}")
        .unwrap();
    let message = cluster.wait_condition("Ready", "False", "NotFound");
    assert_eq!(
        message,
        "spec.model.source.configMap: there is no ConfigMap 'models' in this namespace"
    );
    assert_eq!(cluster.get("deployment", "churn"), None);
    cluster
        .kubectl(&[
            "create",
            "configmap",
            "models",
            "--from-literal=other.json=x",
        ])
        .unwrap();
    let no_key = |ms: &Value| {
        condition(ms, "Ready").is_some_and(|c| {
            c["message"]
                .as_str()
                .unwrap()
                .contains("has no key 'churn.json'")
        })
    };
    cluster.wait("modelservice", "churn", no_key);
    cluster
        .kubectl(&[
            "patch",
            "configmap",
            "models",
            "-p",
            r#"{"data": {"churn.json": "{}"}}"#,
        ])
        .unwrap();
    cluster.wait("deployment", "churn", |_| true);
    let version = &cluster.wait("modelservice", "churn", |ms| {
        ms["status"]["model"].is_object()
    })["status"]["model"]["version"];
    assert_eq!(
        version, "44136fa3",
        "the first characters of the sha256 of {{}}"
    );
}

#[test]
#[ignore = "needs a control plane: make test-control-plane"]
fn a_wrong_checksum_never_reaches_the_running_pods_and_reverting_heals() {
    let cluster = Cluster::shared("checksum");
    cluster
        .kubectl(&[
            "create",
            "configmap",
            "models",
            "--from-literal=churn.json={}",
        ])
        .unwrap();
    let spec = |sha256: &str| {
        format!(
            "{{model: {{source: {{configMap: {{name: models, key: churn.json}}}}, sha256: {sha256}}}}}"
        )
    };
    let right = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    cluster.serve(&spec(right)).unwrap();
    cluster.wait("modelservice", "churn", |ms| ms["status"]["replicas"] == 1);
    cluster.pods_say(&answering());
    cluster.wait_condition("Ready", "True", "Available");
    let generation = cluster.get("deployment", "churn").unwrap()["metadata"]["generation"].clone();
    cluster
        .serve(&spec(&"0".repeat(64).replace('0', "a")))
        .unwrap();
    let message = cluster.wait_condition("Ready", "False", "ChecksumMismatch");
    assert!(
        message.contains(right)
            && message.ends_with("the 1 running pods keep serving the previous spec"),
        "{message}"
    );
    assert_eq!(
        cluster.get("deployment", "churn").unwrap()["metadata"]["generation"],
        generation
    );
    cluster.serve(&spec(right)).unwrap();
    cluster.wait_condition("Ready", "True", "Available");
}

/// Kinds and names of what belongs to configurations.
fn of_configurations(cluster: &Cluster) -> BTreeSet<String> {
    let list = cluster.kubectl(&["get", "configmaps,networkpolicies", "-o", "name"]);
    let all = list.unwrap();
    let ours = all.lines().filter(|name| name.contains("/churn-config-"));
    ours.map(str::to_owned).collect()
}

#[test]
#[ignore = "needs a control plane: make test-control-plane"]
fn what_pods_were_made_with_stays_until_all_pods_are_of_the_new_spec() {
    let cluster = Cluster::shared("earlier");
    let serve = |source: &str| {
        let model = format!("{{source: {source}, sha256: {}}}", "a".repeat(64));
        cluster.serve(&format!("{{model: {model}}}")).unwrap();
    };
    serve("{http: {url: 'http://models/a'}}");
    let configuration = |wanted: &dyn Fn(&Value) -> bool| {
        let deployment = cluster.wait("deployment", "churn", wanted);
        mounted(&deployment).unwrap().to_owned()
    };
    let first = configuration(&|_| true);
    cluster.wait("modelservice", "churn", |ms| ms["status"]["replicas"] == 1);
    cluster.pods_say(&answering());
    cluster.wait_condition("Ready", "True", "Available");
    assert_eq!(of_configurations(&cluster), belonging(&[&first]));
    let old = bind_only_pod(&cluster);
    // Two that do not get anywhere.
    serve("{http: {url: 'http://elsewhere/a'}}");
    let second = configuration(&|deployment| mounted(deployment) != Some(&first));
    serve("{persistentVolumeClaim: {claimName: models, path: a}}");
    let third = configuration(&|deployment| {
        ![Some(&*first), Some(&*second)].contains(&mounted(deployment))
    });
    cluster.wait("deployment", "churn", |deployment| {
        deployment["status"]["updatedReplicas"] == 1
    });
    stays(&cluster, &belonging(&[&first, &second, &third]));
    cluster.pods_say(&answering());
    cluster.wait_condition("Ready", "True", "Available");
    becomes(&cluster, &belonging(&[&first, &third]));
    stays(&cluster, &belonging(&[&first, &third]));
    let at_last = ["delete", "pod", &old, "--force", "--grace-period=0"];
    cluster.kubectl(&at_last).unwrap();
    becomes(&cluster, &belonging(&[&third]));
}

/// Gives the only pod to a node that does not exist: it goes no sooner than it is told to by force. Its name.
fn bind_only_pod(cluster: &Cluster) -> String {
    let name = ["get", "pods", "-o", "jsonpath={.items[0].metadata.name}"];
    let name = cluster.kubectl(&name).unwrap();
    let binding = json!({
        "apiVersion": "v1", "kind": "Binding", "metadata": {"name": name},
        "target": {"apiVersion": "v1", "kind": "Node", "name": "nowhere"},
    });
    let url = format!(
        "/api/v1/namespaces/{}/pods/{name}/binding",
        cluster.namespace
    );
    let bind = ["create", "--raw", &url, "-f", "-"];
    kubectl(&bind, Some(&binding.to_string())).unwrap();
    name
}

/// What belongs to these configurations.
fn belonging(configurations: &[&str]) -> BTreeSet<String> {
    let kinds = ["configmap", "networkpolicy.networking.k8s.io"];
    let all = kinds.iter().flat_map(|kind| {
        let names = configurations.iter();
        names.map(move |name| format!("{kind}/{name}"))
    });
    all.collect()
}

/// Whatever has the operator look again.
fn stays(cluster: &Cluster, wanted: &BTreeSet<String>) {
    let touch = ["annotate", "modelservice", "churn", "--overwrite"];
    let now = format!("touched={:?}", Instant::now());
    cluster.kubectl(&[&touch[..], &[&now]].concat()).unwrap();
    sleep(Duration::from_secs(3));
    assert_eq!(of_configurations(cluster), *wanted);
}

fn becomes(cluster: &Cluster, wanted: &BTreeSet<String>) {
    eventually("what no pod needs to go", PATIENCE, || {
        let there = of_configurations(cluster);
        if there == *wanted {
            Ok(())
        } else {
            Err(Some(json!(there)))
        }
    });
}

#[test]
#[ignore = "needs a control plane: make test-control-plane"]
fn a_changed_model_rolls_the_pods() {
    let cluster = Cluster::shared("new-model");
    cluster
        .kubectl(&[
            "create",
            "configmap",
            "models",
            "--from-literal=churn.json={}",
        ])
        .unwrap();
    cluster
        .serve("{model: {source: {configMap: {name: models, key: churn.json}}}}")
        .unwrap();
    let hash = |d: &Value| {
        d["spec"]["template"]["metadata"]["labels"]["modelservice.dev/config-hash"].clone()
    };
    let before = hash(&cluster.wait("deployment", "churn", |_| true));
    cluster
        .kubectl(&[
            "patch",
            "configmap",
            "models",
            "-p",
            r#"{"data": {"churn.json": "[]"}}"#,
        ])
        .unwrap();
    // Any touch makes the operator look; without one it looks every few minutes.
    cluster
        .kubectl(&["annotate", "modelservice", "churn", "touched=1"])
        .unwrap();
    cluster.wait("deployment", "churn", |deployment| {
        hash(deployment) != before
    });
}
