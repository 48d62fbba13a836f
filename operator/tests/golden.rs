//! What the examples become, word for word, and whether Prometheus takes it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

#[path = "support/dashboards.rs"]
mod dashboards;
#[path = "support/promtool.rs"]
mod promtool;
#[path = "support/settings.rs"]
mod settings;
#[path = "support/golden.rs"]
mod support;

use dashboards::{DASHBOARDS, dashboard, expressions};
use operator::definition::Definition;
use operator::export::{self, System};
use operator::plan::Settings;
use operator::prometheus_operator::PrometheusRule;
use operator::render::ALERTS;
use operator::validate::validate;
use operator::world::World;
use promtool::promtool;
use serde_json::{Value, json};
use settings::settings_of;
use std::fs;
use std::path::PathBuf;
use support::{assert_golden, repository};

/// Unit tests of rules, for promtool.
const RULE_TESTS: [&str; 3] = ["alerts.test.yml", "model.test.yml", "objectives.test.yml"];

/// The settings of an operator that is told nothing but the usual release label.
fn settings() -> Settings {
    settings_of(&["--monitor-label", "release=kube-prometheus-stack"])
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
    assert_eq!(
        kinds,
        [
            "ConfigMap",
            "Service",
            "Deployment",
            "PodDisruptionBudget",
            "NetworkPolicy"
        ]
    );
}

#[test]
fn pods_may_send_traces_where_they_are_told_to() {
    let (_, text) = examples()
        .into_iter()
        .find(|(name, _)| name == "http")
        .unwrap();
    let tracing = "{endpoint: 'http://collector.observability.svc:4318', sampleRatio: 0.5}";
    let text = format!("{text}  monitoring: {{tracing: {tracing}}}\n");
    let objects = documents(&operator::cli::rendered(&text, &settings()).unwrap());
    let of_kind = |kind| {
        objects
            .iter()
            .find(|object| object["kind"] == kind)
            .unwrap()
    };
    let config = of_kind("ConfigMap")["data"]["server.json"]
        .as_str()
        .unwrap();
    let config: Value = serde_json::from_str(config).unwrap();
    let endpoint = "http://collector.observability.svc:4318";
    let expected = json!({"endpoint": endpoint, "sampleRatio": 0.5, "namespace": "default"});
    assert_eq!(config["tracing"], expected);
    let egress = &of_kind("NetworkPolicy")["spec"]["egress"];
    let [dns, _model, traces] = &egress.as_array().unwrap()[..] else {
        panic!("{egress}");
    };
    assert_eq!(dns["ports"][0]["port"], 53);
    let namespace = &traces["to"][0]["namespaceSelector"]["matchLabels"];
    assert_eq!(namespace["kubernetes.io/metadata.name"], "observability");
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

/// The files of an example, in a folder of their own.
fn exported(name: &str, system: System) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let (_, text) = examples().into_iter().find(|(one, _)| one == name).unwrap();
    let document = operator::yaml::documents(&text).unwrap().remove(0);
    let ms = Definition::new().unwrap().read(&document).unwrap();
    let plan = validate(&ms, &World::default(), &settings()).unwrap();
    let targets = ["127.0.0.1:8080".to_owned(), "127.0.0.1:8081".to_owned()];
    for file in export::files(&plan, system, &targets).unwrap() {
        fs::write(directory.path().join(file.name), file.text).unwrap();
    }
    directory
}

#[test]
fn files_for_grafana_are_the_dashboard_of_the_config_map() {
    let directory = exported("diabetes", System::Grafana);
    let text = fs::read_to_string(directory.path().join("default.diabetes.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(dashboard["title"], "ModelService / default / diabetes");
}

#[test]
#[ignore = "needs promtool: make test"]
fn prometheus_takes_the_files_that_are_written_for_it() {
    let directory = exported("diabetes", System::Prometheus);
    let config = "rule_files: ['*.rules.yml']\nscrape_config_files: ['*.scrape.yml']\n";
    fs::write(directory.path().join("prometheus.yml"), config).unwrap();
    promtool(&["check", "config", "prometheus.yml"], directory.path());
    let scrape = fs::read_to_string(directory.path().join("default.diabetes.scrape.yml")).unwrap();
    let scrape: Value = operator::yaml::parse(&scrape).unwrap();
    let labels = &scrape["scrape_configs"][0]["static_configs"][0]["labels"];
    assert_eq!(
        *labels,
        json!({"namespace": "default", "modelservice": "diabetes"})
    );
}

#[test]
#[ignore = "needs promtool: make test"]
fn alerts_fire_when_they_should_and_are_silent_when_not() {
    let (name, text) = examples()
        .into_iter()
        .find(|(name, _)| name == "diabetes")
        .unwrap();
    test_rules(&name, &text, &RULE_TESTS);
}

/// Runs the unit tests `files` on the rules of the ModelService `text`, which they know by `name`.
fn test_rules(name: &str, text: &str, files: &[&str]) {
    let directory = tempfile::tempdir().unwrap();
    let groups = serde_json::to_string(&rules(name, text).spec).unwrap();
    fs::write(directory.path().join(format!("{name}.rules.json")), groups).unwrap();
    for file in files {
        let tests = repository("operator/tests/rules").join(file);
        fs::copy(tests, directory.path().join(file)).unwrap();
        promtool(&["test", "rules", file], directory.path());
    }
}

/// A sum that falls is not that of a counter which began anew.
#[test]
#[ignore = "needs promtool: make test"]
fn averages_of_negative_numbers_are_averages() {
    let spec = json!({
        "model": {"source": {"builtin": {"name": "diabetes"}}},
        "monitoring": {"businessMetrics": [
            {"name": "cold", "type": "average", "value": {"parameter": "celsius"}},
        ]},
    });
    let text = json!({
        "apiVersion": "modelservice.dev/v1alpha1", "kind": "ModelService", "metadata": {"name": "diabetes"}, "spec": spec,
    });
    test_rules("cold", &text.to_string(), &["business.test.yml"]);
}

#[test]
fn every_alert_is_tested_to_fire_and_to_resolve() {
    let text = RULE_TESTS.map(|file| {
        let path = repository("operator/tests/rules").join(file);
        fs::read_to_string(path).unwrap()
    });
    let tests = text.concat();
    for alert in ALERTS {
        let (fires, silent) = (
            format!("alertname: {}\n", alert.name),
            format!("alertname: {}, exp_alerts: []", alert.name),
        );
        assert!(
            tests.contains(&fires),
            "{} is never seen to fire",
            alert.name
        );
        assert!(
            tests.contains(&silent),
            "{} is never seen silent",
            alert.name
        );
    }
}

#[test]
#[ignore = "needs promtool: make test"]
fn alerts_about_the_operator_fire_when_they_should_and_are_silent_when_not() {
    let directory = tempfile::tempdir().unwrap();
    let rules = fs::read_to_string(repository("charts/modelservice-operator/rules.yaml")).unwrap();
    let rules = rules.replace("RUNBOOK_BASE_URL", &settings().runbook_base_url);
    fs::write(directory.path().join("operator.rules.yml"), rules).unwrap();
    let file = "operator.rules.yml";
    let check = ["check", "rules", "--lint=all", "--lint-fatal", file];
    promtool(&check, directory.path());
    let tests = repository("operator/tests/rules/operator.test.yml");
    fs::copy(tests, directory.path().join("operator.test.yml")).unwrap();
    promtool(&["test", "rules", "operator.test.yml"], directory.path());
}

/// What stands for Grafana's variables; longer names come first, as they contain others.
const VARIABLES: [(&str, &str); 5] = [
    ("$__rate_interval", "5m"),
    ("$__range", "1h"),
    ("$namespace", "default"),
    ("$modelservice", "diabetes"),
    ("$feature", "Glucose|BMI"),
];

#[test]
#[ignore = "needs promtool: make test"]
fn prometheus_understands_every_query_of_the_dashboards() {
    let all = DASHBOARDS
        .map(|file| expressions(&dashboard(file)))
        .concat();
    let rules = all.iter().enumerate().map(|(at, expression)| {
        let replace = |text: String, (name, value): &(&str, &str)| text.replace(name, value);
        let expr = VARIABLES.iter().fold(expression.clone(), replace);
        assert!(!expr.replace("\"$1\"", "").contains('$'), "{expr}");
        json!({"record": format!("dashboards:query_{at}"), "expr": expr})
    });
    let rules: Vec<_> = rules.collect();
    assert!(rules.len() > 80, "the queries are gone");
    let directory = tempfile::tempdir().unwrap();
    let text = json!({"groups": [{"name": "dashboards", "rules": rules}]}).to_string();
    fs::write(directory.path().join("queries.json"), text).unwrap();
    let check = ["check", "rules", "--lint=none", "queries.json"];
    promtool(&check, directory.path());
}
