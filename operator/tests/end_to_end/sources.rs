//! Models that users trained, from a ConfigMap, from a volume, from an image and from a bucket.

use crate::cluster::{
    Cluster, PATIENCE, copy_to_node, inference, node, node_address, on_node, repository,
};
use crate::kubectl::eventually;
use crate::served::{assert_predicts, rows, truth};
use serde_json::json;
use std::path::Path;

/// Trains a model file from an example's data; its path.
pub(crate) fn train(
    directory: &tempfile::TempDir,
    file: &str,
    target: &str,
    algorithm: &str,
) -> String {
    let data = repository("examples/data").join(file);
    let out = directory
        .path()
        .join("model.json.gz")
        .to_string_lossy()
        .into_owned();
    inference(&[
        "train",
        "--data",
        data.to_str().unwrap(),
        "--target",
        target,
        "--algorithm",
        algorithm,
        "--out",
        &out,
    ]);
    out
}

#[test]
#[ignore = "needs a cluster: make test-end-to-end"]
fn a_model_in_a_config_map_is_served() {
    let cluster = Cluster::shared("e2e-config-map");
    let directory = tempfile::tempdir().unwrap();
    let model = train(&directory, "wine.csv", "target", "random-forest");
    let from = format!("--from-file=wine.json.gz={model}");
    cluster
        .kubectl(&["create", "configmap", "wine-model", &from])
        .unwrap();
    cluster.apply(&std::fs::read_to_string(repository("examples/configmap.yaml")).unwrap());
    cluster.wait_ready("wine");
    assert_predicts(
        &cluster,
        "wine",
        &rows("wine.csv", "target"),
        &truth(&model, "wine.csv"),
    );
    let version =
        cluster.get("modelservice", "wine").unwrap()["status"]["model"]["version"].clone();
    let answer = cluster
        .post("wine", "/predict", &rows("wine.csv", "target")[0])
        .unwrap();
    assert_eq!(answer["model_version"], version);
}

const CLAIM: &str = "
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: models}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 64Mi}}}
";

#[test]
#[ignore = "needs a cluster: make test-end-to-end"]
fn a_model_on_a_volume_is_served_once_it_is_there() {
    let cluster = Cluster::shared("e2e-volume");
    let directory = tempfile::tempdir().unwrap();
    let model = train(&directory, "diabetes-progression.csv", "target", "ridge");
    cluster.apply(CLAIM);
    cluster.serve("progression", "{model: {source: {persistentVolumeClaim: {claimName: models, path: progression/model.json.gz}}}}");
    let message = cluster.wait_condition("progression", "ModelLoaded", "False", "NotFound");
    assert!(
        message.contains("/models/progression/model.json.gz"),
        "{message}"
    );
    put_on_volume(&cluster, &model);
    cluster.kubectl(&["delete", "pods", "--all"]).unwrap();
    cluster.wait_ready("progression");
    let sha256 = crate::cluster::run("sha256sum", &[&model]).1;
    eventually("the version that pods say", PATIENCE, || {
        let ms = cluster.get("modelservice", "progression").unwrap();
        match ms["status"]["model"]["version"] == sha256[..8] {
            true => Ok(()),
            false => Err(Some(ms)),
        }
    });
    let file = "diabetes-progression.csv";
    assert_predicts(
        &cluster,
        "progression",
        &rows(file, "target"),
        &truth(&model, file),
    );
}

/// Puts the file where the node keeps the volume.
fn put_on_volume(cluster: &Cluster, model: &str) {
    let claim = cluster.get("persistentvolumeclaim", "models").unwrap();
    let volume = cluster
        .get(
            "persistentvolume",
            claim["spec"]["volumeName"].as_str().unwrap(),
        )
        .unwrap();
    let paths = [
        &volume["spec"]["hostPath"]["path"],
        &volume["spec"]["local"]["path"],
    ];
    let path = paths.iter().find_map(|path| path.as_str()).unwrap();
    on_node(&["mkdir", "-p", &format!("{path}/progression")]);
    copy_to_node(model, &format!("{path}/progression/model.json.gz"));
    on_node(&["chmod", "-R", "a+rX", path]);
}

/// An image on the node that holds nothing but the file, as `key`; its name.
fn image_on_node(file: &str, key: &str) -> String {
    let image = "models.example.com/wine:e2e";
    let (folder, node) = (Path::new(file).parent().unwrap(), node());
    std::fs::rename(file, folder.join(key)).unwrap();
    let script = "set -o pipefail; tar -C \"$1\" -c \"$2\" | docker import - \"$3\" && \
        docker save \"$3\" | docker exec -i \"$4\" ctr --namespace k8s.io images import -";
    let folder = folder.to_str().unwrap();
    let command = ["-c", script, "bash", folder, key, image, &node];
    let (success, said) = crate::cluster::run("bash", &command);
    assert!(success, "{said}");
    image.to_owned()
}

#[test]
#[ignore = "needs a cluster: make test-end-to-end"]
fn a_model_in_an_image_is_served_and_an_image_that_is_not_there_is_named() {
    let cluster = Cluster::shared("e2e-model-image");
    let directory = tempfile::tempdir().unwrap();
    let model = train(&directory, "wine.csv", "target", "random-forest");
    let truth = truth(&model, "wine.csv");
    let image = image_on_node(&model, "wine.json.gz");
    let spec = |reference: &str, path: &str| {
        format!("{{model: {{source: {{image: {{reference: '{reference}', path: {path}}}}}}}}}")
    };
    cluster.serve("wine", &spec(&image, "wine.json.gz"));
    cluster.wait_ready("wine");
    let all = rows("wine.csv", "target");
    assert_predicts(&cluster, "wine", &all, &truth);

    // The old pods go on, and turning back heals.
    cluster.serve("wine", &spec(&image, "none.json.gz"));
    let message = cluster.wait_condition("wine", "ModelLoaded", "False", "NotFound");
    assert!(message.contains("/models/none.json.gz"), "{message}");
    let nowhere = "127.0.0.1:1/nowhere:1";
    cluster.serve("wine", &spec(nowhere, "wine.json.gz"));
    let message = cluster.wait_condition("wine", "Ready", "False", "ImagePullFailed");
    let expected = format!("the model's image {nowhere} cannot be pulled: ");
    assert!(message.starts_with(&expected), "{message}");
    assert_predicts(&cluster, "wine", &all, &truth);
    cluster.serve("wine", &spec(&image, "wine.json.gz"));
    cluster.wait_ready("wine");
}

/// An S3 server on the node with one file in the bucket `models`; its address.
fn bucket_on_node(file: &str, key: &str) -> String {
    let program = std::env::var("VERSITYGW").expect("run the tests with `make test-end-to-end`");
    on_node(&["mkdir", "-p", "/var/s3/models"]);
    copy_to_node(&program, "/usr/local/bin/versitygw");
    copy_to_node(file, &format!("/var/s3/models/{key}"));
    // One of an earlier run would still have the port.
    let start = "pkill versitygw; sleep 0.2; \
        versitygw --port :7070 --access key-of-the-test --secret secret-of-the-test posix --nometa /var/s3 \
        >/var/log/versitygw.log 2>&1 &";
    on_node(&["bash", "-c", start]);
    format!("http://{}:7070", node_address())
}

#[test]
#[ignore = "needs a cluster: make test-end-to-end"]
fn a_model_in_a_bucket_is_served_and_what_keeps_it_away_is_said() {
    let cluster = Cluster::shared("e2e-bucket");
    let directory = tempfile::tempdir().unwrap();
    let model = train(&directory, "wine.csv", "target", "random-forest");
    let endpoint = bucket_on_node(&model, "wine.json.gz");
    let sha256 = crate::cluster::run("sha256sum", &[&model]).1;
    let sha256 = &sha256[..64];
    let spec = |key: &str| {
        format!(
            "{{model: {{source: {{s3: {{bucket: models, key: {key}, endpoint: '{endpoint}', secretRef: {{name: keys}}}}}}, sha256: {sha256}}}}}"
        )
    };
    cluster.serve("wine", &spec("wine.json.gz"));
    let message = cluster.wait_condition("wine", "ModelLoaded", "False", "Forbidden");
    assert!(
        message.contains("there is no Secret in /etc/modelservice-source/keys"),
        "{message}"
    );
    let secret = ["create", "secret", "generic", "keys"];
    let host = endpoint.trim_start_matches("http://");
    let hosts = format!(
        "--from-literal=allowed-hosts={}",
        host.trim_end_matches(":7070")
    );
    let keys = [
        hosts.as_str(),
        "--from-literal=AWS_ACCESS_KEY_ID=key-of-the-test",
        "--from-literal=AWS_SECRET_ACCESS_KEY=secret-of-the-test",
    ];
    cluster.kubectl(&[&secret[..], &keys].concat()).unwrap();
    cluster.kubectl(&["delete", "pods", "--all"]).unwrap();
    cluster.wait_ready("wine");
    let all = rows("wine.csv", "target");
    assert_predicts(&cluster, "wine", &all, &truth(&model, "wine.csv"));

    // The old pods go on, and turning back heals.
    cluster.serve("wine", &spec("none.json.gz"));
    let message = cluster.wait_condition("wine", "ModelLoaded", "False", "NotFound");
    let expected = format!("GET {endpoint}/models/none.json.gz: 404 Not Found (NoSuchKey)");
    assert_eq!(message, expected);
    assert_predicts(&cluster, "wine", &all, &truth(&model, "wine.csv"));
    cluster.serve("wine", &spec("wine.json.gz"));
    cluster.wait_ready("wine");
}

#[test]
#[ignore = "needs a cluster: make test-end-to-end"]
fn ground_truth_is_scored_by_any_pod() {
    let cluster = Cluster::shared("e2e-feedback");
    cluster.serve(
        "diabetes",
        "{model: {source: {builtin: {name: diabetes}}}, replicas: 2}",
    );
    cluster.wait_ready("diabetes");
    let rows = rows("diabetes.csv", "Outcome");
    for row in rows.iter().take(6) {
        let id = cluster.post("diabetes", "/predict", row).unwrap()["prediction_id"].clone();
        cluster
            .post(
                "diabetes",
                "/feedback",
                &json!({"prediction_id": id, "actual": 1}),
            )
            .unwrap();
    }
    let total = format!(
        "sum(model_feedback_total{{namespace=\"{}\"}})",
        cluster.namespace
    );
    crate::prometheus::wait_query(&total, |samples| {
        samples.iter().any(|s| crate::prometheus::value(s) == 6.0)
    });
}
