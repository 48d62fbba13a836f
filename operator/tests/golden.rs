//! What the examples become, word for word, and whether Prometheus takes it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

#[path = "support/golden.rs"]
mod support;

use clap::Parser;
use operator::plan::Settings;
use operator::prometheus_operator::PrometheusRule;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::{assert_golden, repository};

#[derive(Parser)]
struct Defaults {
    #[command(flatten)]
    settings: Settings,
}

/// The settings of an operator that is told nothing but the usual release label.
fn settings() -> Settings {
    Defaults::parse_from([
        "operator",
        "--monitor-label",
        "release=kube-prometheus-stack",
    ])
    .settings
}

/// Names and texts of the examples.
fn examples() -> Vec<(String, String)> {
    let mut all: Vec<_> = fs::read_dir(repository("examples"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect();
    all.sort();
    assert!(all.len() >= 3, "the examples are gone");
    all
}

fn golden(name: &str) -> PathBuf {
    repository("operator/tests/golden").join(format!("{name}.yaml"))
}

fn documents(text: &str) -> Vec<Value> {
    text.split("---\n")
        .filter(|part| !part.is_empty())
        .map(|part| operator::yaml::parse(part).unwrap())
        .collect()
}

fn rules(name: &str, text: &str) -> PrometheusRule {
    let rendered = operator::cli::rendered(text, &settings()).unwrap();
    let rule = documents(&rendered)
        .into_iter()
        .find(|object| object["kind"] == "PrometheusRule");
    serde_json::from_value(rule.unwrap_or_else(|| panic!("{name} has no PrometheusRule"))).unwrap()
}

#[test]
fn examples_render_to_the_committed_objects() {
    for (name, text) in examples() {
        assert_golden(
            &golden(&name),
            &operator::cli::rendered(&text, &settings()).unwrap(),
        );
    }
}

#[test]
fn without_monitoring_only_the_serving_objects_are_left() {
    let (_, text) = examples()
        .into_iter()
        .find(|(name, _)| name == "diabetes")
        .unwrap();
    let text = text + "  monitoring: {enabled: false}\n";
    let kinds: Vec<_> = documents(&operator::cli::rendered(&text, &settings()).unwrap())
        .iter()
        .map(|object| object["kind"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kinds, ["ConfigMap", "Service", "Deployment"]);
}

/// Runs promtool, which `make test` puts on the PATH.
fn promtool(arguments: &[&str], directory: &Path) {
    let output = Command::new("promtool")
        .args(arguments)
        .current_dir(directory)
        .output()
        .expect("promtool is not on the PATH: run the tests with `make test`");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "promtool {arguments:?}:\n{text}");
}

#[test]
#[ignore = "needs promtool: make test"]
fn prometheus_finds_every_rule_correct() {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in examples() {
        let file = format!("{name}.rules.json");
        let groups = serde_json::to_string(&rules(&name, &text).spec).unwrap();
        fs::write(directory.path().join(&file), groups).unwrap();
        promtool(
            &["check", "rules", "--lint=all", "--lint-fatal", &file],
            directory.path(),
        );
    }
}

#[test]
#[ignore = "needs promtool: make test"]
fn alerts_fire_when_they_should_and_are_silent_when_not() {
    let directory = tempfile::tempdir().unwrap();
    let (name, text) = examples()
        .into_iter()
        .find(|(name, _)| name == "diabetes")
        .unwrap();
    let groups = serde_json::to_string(&rules(&name, &text).spec).unwrap();
    fs::write(directory.path().join("diabetes.rules.json"), groups).unwrap();
    let tests = fs::read_to_string(repository("operator/tests/rules/alerts.test.yml")).unwrap();
    fs::write(directory.path().join("alerts.test.yml"), tests).unwrap();
    promtool(&["test", "rules", "alerts.test.yml"], directory.path());
}
