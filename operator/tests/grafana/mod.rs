//! The Grafana dashboards, judged without Grafana.

#[path = "../support/dashboards.rs"]
mod dashboards;
mod queries;
mod schema;
#[path = "../support/settings.rs"]
mod settings;
mod structure;

use crate::support::{assert_golden, repository};
use dashboards::{DASHBOARDS, dashboard, expressions, items};
use schema::Schemas;
use serde_json::{Value, json};
use settings::settings_of;
use std::collections::BTreeSet;
use std::fs;

fn problems(schemas: &Schemas, dashboard: &Value) -> Vec<String> {
    let mut found = schemas.problems(dashboard);
    found.extend(structure::problems(dashboard));
    found
}

#[test]
fn grafana_understands_every_word_of_the_dashboards() {
    let schemas = Schemas::load();
    for file in DASHBOARDS {
        let found = problems(&schemas, &dashboard(file));
        assert!(found.is_empty(), "{file}:\n{}", found.join("\n"));
    }
}

/// Where something is put, and what: each must be noticed.
fn mistakes() -> [(&'static str, Value); 18] {
    [
        ("/refresh", json!(9)),
        ("/grafTooltip", json!(1)),
        ("/links/0/type", json!("lnk")),
        ("/templating/list/1/refresh", json!("often")),
        ("/annotations/list/0/colour", json!("red")),
        ("/panels/1/gridpos", json!({})),
        ("/panels/1/id", json!(1)),
        ("/panels/1/gridPos/x", json!(2)),
        ("/panels/1/type", json!("gauge")),
        ("/panels/1/options/graphMode", json!("foo")),
        ("/panels/1/targets/0/exprr", json!("up")),
        ("/panels/1/fieldConfig/defaults/unit", json!("percentunits")),
        (
            "/panels/1/fieldConfig/defaults/thresholds/steps/1/value",
            json!("0.01"),
        ),
        (
            "/panels/1/fieldConfig/defaults/thresholds/steps/1/value",
            json!(7),
        ),
        (
            "/panels/1/transformations",
            json!([{"id": "orgnize", "options": {}}]),
        ),
        (
            "/panels/1/fieldConfig/overrides",
            json!([{"matcher": {"id": "byName", "options": "Nobody"}, "properties": []}]),
        ),
        (
            "/panels/1/fieldConfig/overrides",
            json!([{"matcher": {"id": "byFrameRefID", "options": "A"},
                "properties": [{"id": "decimal", "value": 1}]}]),
        ),
        (
            "/panels/1/fieldConfig/defaults/links",
            json!([{"title": "Away", "url": "/d/elsewhere?x=y"}]),
        ),
    ]
}

#[test]
fn mistakes_in_dashboards_are_noticed() {
    let schemas = Schemas::load();
    for (place, value) in mistakes() {
        let mut broken = dashboard("model-service.json");
        let (parent, key) = place.rsplit_once('/').unwrap();
        broken.pointer_mut(parent).unwrap()[key] = value;
        assert!(!problems(&schemas, &broken).is_empty(), "{place}");
    }
    let mut broken = dashboard("model-service.json");
    let lines = broken["panels"].as_array_mut().unwrap().iter_mut();
    let line = lines
        .into_iter()
        .find(|panel| panel["type"] == "timeseries");
    line.unwrap()["fieldConfig"]["defaults"]["custom"]["lineWidht"] = json!(2);
    assert!(!problems(&schemas, &broken).is_empty());
}

#[test]
fn the_chart_brings_the_same_dashboards() {
    for file in DASHBOARDS {
        let text = fs::read_to_string(repository("dashboards").join(file)).unwrap();
        let chart = repository("charts/modelservice-operator").join(file);
        assert_golden(&chart, &text);
    }
}

#[test]
fn every_modelservice_gets_the_generic_dashboard() {
    let generic: Value = serde_json::from_str(operator::render::MODEL_SERVICE_DASHBOARD).unwrap();
    assert_eq!(generic, dashboard("model-service.json"));
}

fn titles(dashboard: &Value) -> Vec<&str> {
    let panels = items(&dashboard["panels"]);
    panels
        .map(|panel| panel["title"].as_str().unwrap())
        .collect()
}

#[test]
fn the_dashboard_has_the_panels_that_tutorials_taught_people_to_look_for() {
    let dashboard = dashboard("model-service.json");
    let titles = titles(&dashboard);
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
        assert!(titles.contains(&title), "no '{title}' among {titles:?}");
    }
}

/// The thresholds of the spec are drawn in panels that are found by title.
#[test]
fn no_two_panels_of_a_modelservice_have_one_title() {
    let dashboard = dashboard("model-service.json");
    let titles = titles(&dashboard);
    assert_eq!(titles.iter().collect::<BTreeSet<_>>().len(), titles.len());
}

#[test]
fn the_dashboards_can_be_provisioned_from_a_file() {
    for file in DASHBOARDS {
        let dashboard = dashboard(file);
        assert_eq!(dashboard["schemaVersion"], 42);
        assert!(dashboard.get("__inputs").is_none() && dashboard.get("id").is_none());
    }
    let dashboard = dashboard("model-service.json");
    let variables = items(&dashboard["templating"]["list"]);
    let names: Vec<_> = variables.map(|v| v["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "datasource",
            "namespace",
            "modelservice",
            "feature",
            "runbooks"
        ]
    );
}
