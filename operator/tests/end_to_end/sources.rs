//! Models that users trained, from a ConfigMap and from a volume.

use crate::cluster::{Cluster, inference, node, on_node, repository};
use crate::served::{assert_predicts, rows, truth};
use serde_json::json;

fn train(directory: &tempfile::TempDir, file: &str, target: &str, algorithm: &str) -> String {
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
    let target = format!("{}:{path}/progression/model.json.gz", node());
    assert!(
        crate::cluster::run("docker", &["cp", model, &target]).0,
        "docker cp to {target}"
    );
    on_node(&["chmod", "-R", "a+rX", path]);
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
