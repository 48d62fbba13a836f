//! Files that are printed or that must agree with the tables in the code.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod grafana;
#[path = "support/golden.rs"]
mod support;

use operator::render::ALERTS;
use serde_json::Value;
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

/// One object that the API server admits and the operator cannot read would be lost on it: nulls where a default
/// is expected, and numbers beyond what is kept of them.
#[test]
fn the_definition_admits_nothing_that_cannot_be_read() {
    let crd: Value = operator::yaml::parse(&operator::cli::crd().unwrap()).unwrap();
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let mut faults = Vec::new();
    find_faults("spec", &schema["properties"]["spec"], &mut faults);
    assert!(faults.is_empty(), "{faults:?}");
}

fn find_faults(path: &str, schema: &Value, faults: &mut Vec<String>) {
    if schema["nullable"] == true && !schema["default"].is_null() {
        faults.push(format!("{path} may be null, and has a default"));
    }
    if schema["type"] == "integer" && (schema["maximum"].is_null() || schema["minimum"].is_null()) {
        faults.push(format!("{path} may be any number"));
    }
    let fields = schema["properties"].as_object().into_iter().flatten();
    for (name, field) in fields {
        find_faults(&format!("{path}.{name}"), field, faults);
    }
    for inner in ["items", "additionalProperties"] {
        if schema[inner].is_object() {
            find_faults(&format!("{path}.{inner}"), &schema[inner], faults);
        }
    }
}

#[test]
fn every_alert_has_a_runbook_that_says_what_it_means_and_what_to_do() {
    let ours = ALERTS.iter().map(|alert| alert.name.to_owned());
    for name in ours.chain(operator_alerts()) {
        let path = repository("docs/runbooks").join(format!("{name}.md"));
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|_| panic!("{} is missing", path.display()));
        for heading in [
            &format!("# {name}"),
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

/// Names of the alerts that the chart brings.
fn operator_alerts() -> Vec<String> {
    let text = std::fs::read_to_string(repository("charts/modelservice-operator/rules.yaml"));
    let rules: Value = operator::yaml::parse(&text.unwrap()).unwrap();
    let rules = rules["groups"][0]["rules"].as_array().unwrap();
    let names = rules.iter().map(|rule| rule["alert"].as_str().unwrap());
    names.map(str::to_owned).collect()
}
