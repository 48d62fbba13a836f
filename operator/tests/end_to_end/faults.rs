//! What users read when a model or an image is wrong, while what ran keeps running.

use crate::cluster::{Cluster, PATIENCE, helm_upgrade};
use crate::kubectl::eventually;
use serde_json::{Value, json};

const SPEC: &str = "{model: {source: {builtin: {name: diabetes}}}}";

fn answers(cluster: &Cluster) {
    let row = &crate::served::rows("diabetes.csv", "Outcome")[0];
    cluster.post("diabetes", "/predict", row).unwrap();
}

#[test]
#[ignore = "needs a cluster: make test-end-to-end"]
fn a_wrong_checksum_is_named_while_the_old_pods_serve_and_reverting_heals() {
    let cluster = Cluster::shared("e2e-checksum");
    cluster.serve("diabetes", SPEC);
    cluster.wait_ready("diabetes");
    let wrong = "a".repeat(64);
    cluster.serve(
        "diabetes",
        &format!("{{model: {{source: {{builtin: {{name: diabetes}}}}, sha256: {wrong}}}}}"),
    );
    let message = cluster.wait_condition("diabetes", "ModelLoaded", "False", "ChecksumMismatch");
    assert!(message.contains(&wrong), "{message}");
    let message = cluster.wait_condition("diabetes", "Ready", "False", "ChecksumMismatch");
    assert!(
        message.ends_with("1 of 1 pods answer predictions"),
        "{message}"
    );
    answers(&cluster);
    // Without null, apply would leave the field to whoever set it.
    cluster
        .kubectl(&[
            "patch",
            "modelservice",
            "diabetes",
            "--type=merge",
            "-p",
            r#"{"spec": {"model": {"sha256": null}}}"#,
        ])
        .unwrap();
    cluster.wait_ready("diabetes");
}

/// Hash of the configuration that a pod was made with.
fn configuration(pod: &Value) -> &Value {
    &pod["metadata"]["labels"]["modelservice.dev/config-hash"]
}

#[test]
#[ignore = "needs a cluster: make test-end-to-end"]
fn an_old_pod_that_goes_while_a_new_spec_cannot_work_is_replaced_by_one_that_serves() {
    let cluster = Cluster::shared("e2e-earlier");
    let serve = |model: &str| {
        let model = format!("{{source: {{builtin: {{name: diabetes}}}}, {model}}}");
        cluster.serve("diabetes", &format!("{{model: {model}, replicas: 2}}"));
    };
    serve("version: good");
    cluster.wait_ready("diabetes");
    let old = cluster.pods("diabetes").remove(0);
    serve(&format!("version: bad, sha256: {}", "a".repeat(64)));
    cluster.wait_condition("diabetes", "Ready", "False", "ChecksumMismatch");
    let victim = old["metadata"]["name"].as_str().unwrap();
    cluster.kubectl(&["delete", "pod", victim]).unwrap();
    eventually("a pod in its place", PATIENCE, || {
        let pods = cluster.pods("diabetes");
        let is_old = |pod: &&Value| configuration(pod) == configuration(&old);
        let is_ready = |pod: &&Value| pod["status"]["containerStatuses"][0]["ready"] == true;
        match pods.iter().filter(is_old).filter(is_ready).count() {
            2 => Ok(()),
            _ => Err(Some(json!(pods))),
        }
    });
    answers(&cluster);
    serve("version: better, sha256: null");
    cluster.wait_ready("diabetes");
    let ours = "app.kubernetes.io/instance=diabetes";
    eventually("earlier configurations to go", PATIENCE, || {
        let list = ["get", "configmaps", "-l", ours, "-o", "name"];
        let there = cluster.kubectl(&list).unwrap();
        match there.matches("/diabetes-config-").count() {
            1 => Ok(()),
            _ => Err(Some(json!(there))),
        }
    });
}

#[test]
#[ignore = "needs a cluster: make test-end-to-end"]
fn an_image_that_cannot_be_pulled_is_named_while_the_old_pods_serve() {
    let cluster = Cluster::alone("e2e-image");
    cluster.serve("diabetes", SPEC);
    cluster.wait_ready("diabetes");
    helm_upgrade(&["--set", "inference.image.repository=127.0.0.1:1/nowhere"]);
    let message = cluster.wait_condition("diabetes", "Ready", "False", "ImagePullFailed");
    assert!(
        message.starts_with("image 127.0.0.1:1/nowhere:"),
        "{message}"
    );
    assert!(
        message.ends_with("1 of 1 pods answer predictions"),
        "{message}"
    );
    answers(&cluster);
    helm_upgrade(&[]);
    cluster.wait_ready("diabetes");
}

#[test]
#[ignore = "needs a cluster: make test-end-to-end"]
fn a_pod_that_fits_on_no_node_is_named() {
    let cluster = Cluster::shared("e2e-unschedulable");
    cluster.serve(
        "diabetes",
        "{model: {source: {builtin: {name: diabetes}}}, resources: {requests: {memory: 4Ti}}}",
    );
    let message = cluster.wait_condition("diabetes", "Ready", "False", "Unschedulable");
    assert!(message.contains("Insufficient memory"), "{message}");
}

#[test]
#[ignore = "needs a cluster: make test-end-to-end"]
fn a_quota_that_refuses_pods_is_named() {
    let cluster = Cluster::shared("e2e-quota");
    cluster
        .kubectl(&["create", "quota", "none", "--hard=pods=0"])
        .unwrap();
    cluster.serve("diabetes", SPEC);
    let message = cluster.wait_condition("diabetes", "Ready", "False", "PodsRefused");
    assert!(message.contains("exceeded quota: none"), "{message}");
}

#[test]
#[ignore = "needs a cluster: make test-end-to-end"]
fn a_limit_that_pods_exceed_is_named_while_the_old_pods_serve_and_raising_it_heals() {
    let limit = |memory: &str| {
        format!(
            "apiVersion: v1\nkind: LimitRange\nmetadata: {{name: small}}\n\
             spec: {{limits: [{{type: Container, max: {{memory: {memory}}}}}]}}\n"
        )
    };
    let cluster = Cluster::shared("e2e-limit-range");
    cluster.apply(&limit("64Mi"));
    cluster.serve("diabetes", SPEC);
    cluster.wait_ready("diabetes");
    let model = "model: {source: {builtin: {name: diabetes}}}";
    let resources = "resources: {requests: {cpu: 50m, memory: 128Mi}}";
    cluster.serve("diabetes", &format!("{{{model}, {resources}}}"));
    let message = cluster.wait_condition("diabetes", "Ready", "False", "PodsRefused");
    assert!(
        message.contains("maximum memory usage per Container is 64Mi"),
        "{message}"
    );
    answers(&cluster);
    // The cluster's own controller tries again by itself.
    cluster.apply(&limit("256Mi"));
    cluster.wait_ready("diabetes");
}

#[test]
#[ignore = "needs a cluster: make test-end-to-end"]
fn a_missing_secret_with_api_keys_is_named_and_with_it_only_clients_with_a_key_are_served() {
    let cluster = Cluster::shared("e2e-api-keys");
    let keys = "{apiKeys: {secretRef: {name: clients}}}";
    let model = "{source: {builtin: {name: diabetes}}}";
    cluster.serve("diabetes", &format!("{{model: {model}, server: {keys}}}"));
    let message = cluster.wait_condition("diabetes", "Ready", "False", "InvalidApiKeys");
    assert!(message.contains("clients/api-keys: No such"), "{message}");
    let line = format!("--from-literal=api-keys=alice:{}", "a".repeat(64));
    cluster
        .kubectl(&["create", "secret", "generic", "clients", &line])
        .unwrap();
    // A new pod finds the Secret at once, an old one within minutes.
    let pods = "app.kubernetes.io/instance=diabetes";
    cluster.kubectl(&["delete", "pods", "-l", pods]).unwrap();
    cluster.wait_ready("diabetes");
    let row = &crate::served::rows("diabetes.csv", "Outcome")[0];
    let error = cluster.post("diabetes", "/predict", row).unwrap_err();
    assert!(error.starts_with("401 "), "{error}");
}

#[test]
#[ignore = "needs a cluster: make test-end-to-end"]
fn a_wrong_request_is_answered_with_what_is_wrong() {
    let cluster = Cluster::shared("e2e-wrong-request");
    cluster.serve("diabetes", SPEC);
    cluster.wait_ready("diabetes");
    let mut row = crate::served::rows("diabetes.csv", "Outcome")[0].clone();
    row["BMI"] = json!("heavy");
    let error = cluster.post("diabetes", "/predict", &row).unwrap_err();
    assert!(error.contains("BMI"), "{error}");
}
