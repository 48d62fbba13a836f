//! Every query of the dashboards, asked of the Prometheus that they are for.

use crate::alerts::{BUILTIN, CALM, MONITORING, tell_truth};
use crate::cluster::{Cluster, repository};
use crate::kubectl::eventually;
use crate::load::Load;
use crate::prometheus::{query, value};
use serde_json::{Value, json};
use std::time::Duration;

/// What is in queries that a healthy classifier on this cluster has nothing to answer.
const UNANSWERED: [(&str, &str); 7] = [
    ("model_mae", "of regressions"),
    ("rmse", "of regressions"),
    ("kube_pod_", "kube-state-metrics is not installed"),
    (
        "model_feedback_rejected_total",
        "all ground truth is accepted",
    ),
    ("status=\"False\"} == 1", "every ModelService may be ready"),
    ("reconcile_errors_total", "no reconcile may have failed"),
    ("ALERTS", "nothing may be wrong"),
];

/// Rules of an objective look at units of minutes.
const PATIENCE: Duration = Duration::from_secs(240);

#[test]
#[ignore = "needs a cluster: make test-end-to-end"]
fn every_panel_has_data() {
    let cluster = Cluster::shared("e2e-dashboards");
    cluster.serve(
        "diabetes",
        &format!("{{{BUILTIN}, replicas: 2, {MONITORING}}}"),
    );
    cluster.wait_ready("diabetes");
    let calm = Load::start(&cluster, "diabetes", &[CALM, &["--broken", "2%"]].concat());
    tell_truth(&cluster, true);
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

fn has_data(cluster: &Cluster, panel: &Value) {
    for target in panel["targets"].as_array().into_iter().flatten() {
        let expression = target["expr"].as_str().unwrap();
        if UNANSWERED.iter().any(|(part, _)| expression.contains(part)) {
            continue;
        }
        // That would be an answer even if nothing were scraped.
        let expression = expression.replace(" or vector(0)", "");
        let expression = filled_in(cluster, &expression);
        eventually(&expression, PATIENCE, || {
            // Ground truth comes in bursts, and panels look at rates.
            tell_truth(cluster, true);
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
    let values = [
        ("$namespace", cluster.namespace.as_str()),
        ("$modelservice", "diabetes"),
        ("$__rate_interval", "1m"),
        ("$__range", "1h"),
        ("$feature", "Glucose"),
    ];
    let all = values.iter();
    all.fold(expression.to_owned(), |text, (name, value)| {
        text.replace(name, value)
    })
}
