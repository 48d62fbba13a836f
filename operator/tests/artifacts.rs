//! Files that are printed or that must agree with the tables in the code.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

#[path = "support/golden.rs"]
mod support;

use contract::metrics::{METRICS, Metric};
use operator::render::{ALERTS, MODEL_SERVICE_DASHBOARD};
use serde_json::Value;
use std::collections::BTreeSet;
use support::{assert_golden, repository};

#[test]
fn the_definition_in_crds_and_in_the_chart_is_the_one_in_the_code() {
    let crd = operator::cli::crd().unwrap();
    assert_golden(
        &repository("crds/modelservices.modelservice.dev.yaml"),
        &crd,
    );
    assert_golden(&repository("charts/modelservice-operator/crd.yaml"), &crd);
    assert!(
        crd.len() < 200_000,
        "too large for the annotation of a client-side apply"
    );
}

#[test]
fn every_alert_has_a_runbook_that_says_what_it_means_and_what_to_do() {
    for alert in &ALERTS {
        let path = repository("docs/runbooks").join(format!("{}.md", alert.name));
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|_| panic!("{} is missing", path.display()));
        for heading in [
            &format!("# {}", alert.name),
            "## What it means",
            "## What to check",
            "## What to do",
        ] {
            assert!(
                text.contains(heading),
                "{} lacks '{heading}'",
                path.display()
            );
        }
    }
}

/// Metrics of others that the dashboard may use: cAdvisor's, and Prometheus' own.
const FOREIGN: [&str; 6] = [
    "ALERTS",
    "up",
    "container_cpu_usage_seconds_total",
    "container_memory_working_set_bytes",
    "container_network_receive_bytes_total",
    "container_network_transmit_bytes_total",
];

fn dashboard() -> Value {
    serde_json::from_str(MODEL_SERVICE_DASHBOARD).unwrap()
}

fn panels(dashboard: &Value) -> Vec<&Value> {
    dashboard["panels"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|panel| panel["type"] != "row")
        .collect()
}

/// Names of the metrics in a PromQL expression: words before `{`.
fn metrics_in(expression: &str) -> BTreeSet<String> {
    let before_braces = expression.split('{').rev().skip(1);
    before_braces
        .filter_map(|part| {
            let word = part
                .rsplit(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))
                .next()?;
            (!word.is_empty()).then(|| word.to_owned())
        })
        .collect()
}

#[test]
fn the_dashboard_names_only_metrics_that_exist() {
    let known: BTreeSet<String> = METRICS
        .iter()
        .flat_map(Metric::series)
        .chain(FOREIGN.map(str::to_owned))
        .collect();
    let dashboard = dashboard();
    for panel in panels(&dashboard) {
        for target in panel["targets"].as_array().unwrap() {
            let names = metrics_in(target["expr"].as_str().unwrap());
            assert!(
                !names.is_empty() && names.is_subset(&known),
                "panel {}: {names:?}",
                panel["title"]
            );
        }
    }
}

#[test]
fn the_dashboard_has_the_panels_that_tutorials_taught_people_to_look_for() {
    let dashboard = dashboard();
    let titles: BTreeSet<_> = panels(&dashboard)
        .iter()
        .map(|p| p["title"].as_str().unwrap())
        .collect();
    for title in [
        "API status",
        "Model status",
        "Request rate",
        "Request latency",
        "Inference time",
        "Predictions per outcome",
        "Errors by endpoint and type",
        "Active requests",
        "CPU",
        "Memory",
        "Network",
    ] {
        assert!(
            titles.contains(title),
            "no panel '{title}' among {titles:?}"
        );
    }
}

#[test]
fn panels_have_a_unit_a_description_and_a_place_of_their_own() {
    let dashboard = dashboard();
    let (mut ids, mut cells) = (BTreeSet::new(), BTreeSet::new());
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(
            ids.insert(panel["id"].as_u64().unwrap()),
            "two panels have id {}",
            panel["id"]
        );
        let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert!(
                    x < 24 && cells.insert((x, y)),
                    "{} overlaps at {x},{y}",
                    panel["title"]
                );
            }
        }
    }
    for panel in panels(&dashboard) {
        assert!(
            panel["fieldConfig"]["defaults"]["unit"].is_string(),
            "{} has no unit",
            panel["title"]
        );
        assert!(
            panel["description"]
                .as_str()
                .is_some_and(|d| d.ends_with('.')),
            "{}",
            panel["title"]
        );
        assert_eq!(panel["datasource"]["uid"], "${datasource}");
    }
}

#[test]
fn the_dashboard_can_be_provisioned_from_a_file() {
    let dashboard = dashboard();
    assert_eq!(dashboard["schemaVersion"], 42);
    assert!(dashboard.get("__inputs").is_none() && dashboard.get("id").is_none());
    let variables: Vec<_> = dashboard["templating"]["list"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v["name"].as_str().unwrap())
        .collect();
    assert_eq!(variables, ["datasource", "namespace", "modelservice"]);
}
