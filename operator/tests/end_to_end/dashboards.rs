//! Every query of the dashboards, asked of the Prometheus that they are for.

use crate::alerts::{BUILTIN, CALM, MONITORING, tell_truth};
use crate::cluster::{Cluster, NodeProgram, node_address, repository};
use crate::kubectl::{eventually, kubectl};
use crate::load::Load;
use crate::prometheus::{query, value};
use crate::served::rows;
use crate::sources::train;
use serde_json::{Value, json};
use std::time::Duration;

/// A classifier that is well.
const DIABETES: &str = "diabetes";
/// A regression.
const PROGRESSION: &str = "progression";
/// One whose pods find no model, so that its alerts fire.
const BROKEN: &str = "broken";
/// One that is never served, since there is no such ConfigMap.
const MISTAKEN: &str = "mistaken";

/// What is in queries that not every ModelService has an answer to, and which has.
const SUBJECTS: [(&str, &str); 3] = [
    ("ALERTS", BROKEN),
    ("rmse", PROGRESSION),
    ("model_mae", PROGRESSION),
];

/// Rules of an objective look at units of minutes.
const PATIENCE: Duration = Duration::from_secs(240);

#[test]
#[ignore = "needs a cluster: make test-end-to-end"]
fn every_panel_has_data() {
    let cluster = Cluster::shared("e2e-dashboards");
    let _state_metrics = start_state_metrics(&cluster);
    serve_all(&cluster);
    let calm = Load::start(&cluster, DIABETES, &[CALM, &["--broken", "2%"]].concat());
    let map = cluster.get("configmap", "diabetes-dashboard").unwrap();
    let texts = map["data"].as_object().unwrap().values();
    let own = texts.map(|text| text.as_str().unwrap().to_owned());
    let fleet = std::fs::read_to_string(repository("dashboards/fleet.json")).unwrap();
    for text in own.chain([fleet]) {
        let dashboard: Value = serde_json::from_str(&text).unwrap();
        for panel in dashboard["panels"].as_array().unwrap() {
            has_data(&cluster, panel);
        }
    }
    drop(calm.stop());
}

/// kube-state-metrics on the node, which Prometheus asks as kube-prometheus-stack would have it do.
fn start_state_metrics(cluster: &Cluster) -> NodeProgram {
    let (name, port) = ("kube-state-metrics", 18_080);
    let port_argument = format!("--port={port}");
    let arguments = [
        "--kubeconfig=/etc/kubernetes/admin.conf",
        "--resources=pods",
        "--telemetry-port=18081",
        &port_argument,
    ];
    let program = NodeProgram::start(name, "KUBE_STATE_METRICS", &arguments);
    let ports = json!([{"name": "http", "port": port}]);
    let labels = json!({"app": name, "release": "kube-prometheus-stack"});
    let metadata = json!({"name": name, "namespace": cluster.namespace, "labels": labels});
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": ports},
    });
    let endpoints = json!({
        "apiVersion": "v1", "kind": "Endpoints", "metadata": metadata,
        "subsets": [{"addresses": [{"ip": node_address()}], "ports": ports}],
    });
    let monitor = json!({
        "apiVersion": "monitoring.coreos.com/v1", "kind": "ServiceMonitor", "metadata": metadata,
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "endpoints": [{"port": "http", "interval": "5s", "honorLabels": true}],
        },
    });
    let all = json!({"apiVersion": "v1", "kind": "List", "items": [service, endpoints, monitor]});
    kubectl(&["apply", "-f", "-"], Some(&all.to_string())).unwrap();
    program
}

fn serve_all(cluster: &Cluster) {
    let folder = tempfile::tempdir().unwrap();
    let model = train(&folder, "diabetes-progression.csv", "target", "ridge");
    let from = format!("--from-file=model.json.gz={model}");
    cluster
        .kubectl(&["create", "configmap", "model", &from])
        .unwrap();
    let of_config_map = |name: &str| {
        format!("model: {{source: {{configMap: {{name: {name}, key: model.json.gz}}}}}}")
    };
    let sha256 = "0".repeat(64);
    let nowhere = format!(
        "model: {{source: {{http: {{url: 'http://nowhere.invalid/a'}}}}, sha256: '{sha256}'}}"
    );
    for (name, model) in [
        (DIABETES, BUILTIN),
        (PROGRESSION, &of_config_map("model")),
        (BROKEN, &nowhere),
        (MISTAKEN, &of_config_map("none")),
    ] {
        cluster.serve(name, &format!("{{{model}, replicas: 2, {MONITORING}}}"));
    }
    cluster.wait_ready(DIABETES);
    cluster.wait_ready(PROGRESSION);
    cluster.wait_reachable(PROGRESSION);
}

/// Ground truth of all kinds: right, off by one, and about predictions that nobody made.
fn tell_all_truth(cluster: &Cluster) {
    tell_truth(cluster, true);
    let rows = json!(rows("diabetes-progression.csv", "target"));
    let answer = cluster.post(PROGRESSION, "/predict", &rows).unwrap();
    let predictions = answer["predictions"].as_array().unwrap().iter();
    let actual = |prediction: &Value| prediction["value"].as_f64().unwrap() + 1.0;
    let feedback: Value = predictions
        .map(|one| json!({"prediction_id": one["prediction_id"], "actual": actual(one)}))
        .collect();
    cluster.post(PROGRESSION, "/feedback", &feedback).unwrap();
    let forged = json!({"prediction_id": "forged", "actual": 1});
    cluster.post(DIABETES, "/feedback", &forged).unwrap_err();
}

fn has_data(cluster: &Cluster, panel: &Value) {
    for target in panel["targets"].as_array().into_iter().flatten() {
        let expression = target["expr"].as_str().unwrap();
        // These would be an answer even if nothing were scraped, or nothing found.
        let expression = expression.replace(" or vector(0)", "");
        let expression = expression.split(" or 0 * max").next().unwrap();
        let expression = filled_in(cluster, expression);
        eventually(&expression, PATIENCE, || {
            // Ground truth comes in bursts, and panels look at rates.
            tell_all_truth(cluster);
            let samples = query(&expression);
            match samples.iter().any(|sample| value(sample).is_finite()) {
                true => Ok(()),
                false => Err(Some(json!({"panel": panel["title"], "found": samples}))),
            }
        });
    }
}

/// With a value for each variable.
fn filled_in(cluster: &Cluster, expression: &str) -> String {
    let subject = SUBJECTS.iter().find(|(part, _)| expression.contains(part));
    let subject = subject.map_or(DIABETES, |(_, name)| name);
    let values = [
        ("$namespace", cluster.namespace.as_str()),
        ("$modelservice", subject),
        ("$__rate_interval", "1m"),
        ("$__range", "1h"),
        ("$feature", "Glucose"),
    ];
    let all = values.iter();
    all.fold(expression.to_owned(), |text, (name, value)| {
        text.replace(name, value)
    })
}
