//! The smallest example, from apply to delete.

use crate::cluster::{Cluster, PATIENCE, inference, repository};
use crate::kubectl::eventually;
use crate::prometheus::{query, rule_groups, value, wait_query};
use operator::render::ALERTS;
use serde_json::{Value, json};
use std::time::Instant;

const KINDS: &str = "deployments,replicasets,pods,services,configmaps,servicemonitors,prometheusrules,endpointslices";

/// The rows of a CSV file as objects of named features, the target left out.
pub(crate) fn rows(file: &str, target: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(repository("examples/data").join(file)).unwrap();
    let mut lines = text.lines();
    let names: Vec<_> = lines.next().unwrap().split(',').collect();
    let row = |line: &str| {
        let cells = names
            .iter()
            .zip(line.split(','))
            .filter(|(name, _)| **name != target);
        cells
            .map(|(name, cell)| {
                (
                    (*name).to_owned(),
                    serde_json::from_str::<Value>(cell).unwrap(),
                )
            })
            .collect::<Value>()
    };
    lines.map(row).collect()
}

/// What the model itself answers for a CSV file.
pub(crate) fn truth(model: &str, file: &str) -> Vec<Value> {
    let data = repository("examples/data").join(file);
    let lines = inference(&[
        "predict",
        "--model",
        model,
        "--data",
        data.to_str().unwrap(),
    ]);
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Without what only the server can say.
pub(crate) fn prediction(answer: &Value) -> Value {
    let mut answer = answer.clone();
    let object = answer.as_object_mut().unwrap();
    assert!(
        object
            .remove("prediction_id")
            .is_some_and(|id| id.is_string()),
        "no prediction id"
    );
    object.remove("model_version");
    answer
}

/// Asks for every row at once and for some one by one; each answer must be the model's own.
pub(crate) fn assert_predicts(cluster: &Cluster, name: &str, rows: &[Value], truth: &[Value]) {
    assert_eq!(rows.len(), truth.len());
    let answer = cluster.post(name, "/predict", &json!(rows)).unwrap();
    let batch: Vec<_> = answer["predictions"]
        .as_array()
        .unwrap()
        .iter()
        .map(prediction)
        .collect();
    assert_eq!(batch, truth);
    for (row, truth) in rows.iter().zip(truth).step_by(rows.len() / 20) {
        assert_eq!(
            prediction(&cluster.post(name, "/predict", row).unwrap()),
            *truth
        );
    }
}

#[test]
#[ignore = "needs a cluster: make test-end-to-end"]
fn the_smallest_example_is_served_and_monitored_and_leaves_nothing_behind() {
    let cluster = Cluster::shared("e2e-served");
    let start = Instant::now();
    cluster.apply(&std::fs::read_to_string(repository("examples/diabetes.yaml")).unwrap());
    cluster.wait_ready("diabetes");
    println!(
        "ready {:.1} s after kubectl apply",
        start.elapsed().as_secs_f64()
    );
    assert_predicts(
        &cluster,
        "diabetes",
        &rows("diabetes.csv", "Outcome"),
        &truth(
            repository("inference/models/diabetes.json.gz")
                .to_str()
                .unwrap(),
            "diabetes.csv",
        ),
    );
    prometheus_sees_it(&cluster);
    a_killed_pod_is_replaced(&cluster);
    cluster.kubectl(&["delete", "service", "diabetes"]).unwrap();
    eventually("the Service to come back", PATIENCE, || {
        cluster.get("service", "diabetes").map(drop).ok_or(None)
    });
    nothing_is_left(&cluster);
}

fn prometheus_sees_it(cluster: &Cluster) {
    let of = |metric: &str| {
        format!(
            "{metric}{{namespace=\"{}\",modelservice=\"diabetes\"}}",
            cluster.namespace
        )
    };
    wait_query(&of("up"), |samples| {
        samples.len() == 2 && samples.iter().all(|s| value(s) == 1.0)
    });
    let total = |samples: &[Value]| samples.iter().map(value).sum::<f64>();
    wait_query(&of("predictions_total"), |samples| total(samples) >= 768.0);
    let rate = format!(
        "rate(api_requests_total{{endpoint=\"/predict\",namespace=\"{}\"}}[1m])",
        cluster.namespace
    );
    let row = rows("diabetes.csv", "Outcome")[0].clone();
    wait_query(&rate, |samples| {
        // Traffic goes on while the scrapes come in.
        cluster.post("diabetes", "/predict", &row).unwrap();
        total(samples) > 0.0
    });
    let rules = eventually("the rules to be evaluated", PATIENCE, || {
        let groups = rule_groups(&cluster.namespace, "diabetes");
        let rules = groups.iter().filter_map(|group| group["rules"].as_array());
        let rules: Vec<Value> = rules.flatten().cloned().collect();
        // Some look at days, and are evaluated every few minutes.
        let sound = rules.iter().all(|rule| rule["health"] != "err");
        if sound && rules.iter().any(|rule| rule["health"] == "ok") {
            Ok(rules)
        } else {
            Err(Some(json!(rules)))
        }
    });
    let alerts = rules.iter().filter(|rule| rule["type"] == "alerting");
    assert_eq!(alerts.count(), ALERTS.len());
}

fn a_killed_pod_is_replaced(cluster: &Cluster) {
    let names = || -> Vec<String> {
        let name = |pod: &Value| pod["metadata"]["name"].as_str().unwrap().to_owned();
        cluster.pods("diabetes").iter().map(name).collect()
    };
    let victim = names()[0].clone();
    cluster
        .kubectl(&["delete", "pod", &victim, "--grace-period=1"])
        .unwrap();
    eventually("another pod", PATIENCE, || {
        let left = names();
        if left.len() == 2 && !left.contains(&victim) {
            Ok(())
        } else {
            Err(Some(json!(left)))
        }
    });
    cluster.wait_ready("diabetes");
}

fn nothing_is_left(cluster: &Cluster) {
    cluster
        .kubectl(&["delete", "modelservice", "diabetes"])
        .unwrap();
    eventually("everything to go", PATIENCE, || {
        let found = cluster.kubectl(&["get", KINDS, "-o", "name"]).unwrap();
        let left: Vec<_> = found
            .lines()
            .filter(|line| *line != "configmap/kube-root-ca.crt")
            .collect();
        if left.is_empty() {
            Ok(())
        } else {
            Err(Some(json!(left)))
        }
    });
}

#[test]
#[ignore = "needs a cluster: make test-end-to-end"]
fn the_operators_own_metrics_are_scraped() {
    let cluster = Cluster::shared("e2e-operator-metrics");
    cluster.serve("diabetes", "{model: {source: {builtin: {name: diabetes}}}}");
    cluster.wait_ready("diabetes");
    wait_query("up{namespace=\"modelservice-system\"}", |samples| {
        samples.iter().any(|s| value(s) == 1.0)
    });
    wait_query(
        "modelservice_status_condition{condition=\"Ready\",status=\"True\"}",
        |samples| !samples.is_empty(),
    );
    assert!(!query("modelservice_reconcile_duration_seconds_count").is_empty());
}
