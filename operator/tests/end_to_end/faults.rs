//! What users read when a model or an image is wrong, while what ran keeps running.

use crate::cluster::{Cluster, helm_upgrade};
use serde_json::json;

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
