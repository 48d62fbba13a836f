//! What the dashboards ask Prometheus for.

use super::{dashboard, expressions, items, settings_of};
use crate::support::repository;
use contract::metrics::{METRICS, Metric};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;

/// Metrics of others: Prometheus' own, what every process says of itself, cAdvisor's, and those of
/// kube-state-metrics.
const FOREIGN: [&str; 9] = [
    "ALERTS",
    "up",
    "process_cpu_seconds_total",
    "process_start_time_seconds",
    "container_cpu_usage_seconds_total",
    "container_memory_working_set_bytes",
    "container_network_receive_bytes_total",
    "container_network_transmit_bytes_total",
    "kube_pod_container_resource_limits",
];

/// Names of the metrics in a PromQL expression: words before `{`, or the whole of it.
fn metrics_in(expression: &str) -> BTreeSet<String> {
    let parts: Vec<_> = expression.split('{').collect();
    let before_braces = &parts[..(parts.len() - 1).max(1)];
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let words = before_braces
        .iter()
        .filter_map(|part| part.rsplit(|c| !is_part(c)).next());
    words
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Series that the operator exports.
fn operator_series() -> Vec<String> {
    let metrics = operator::metrics::Metrics::new().unwrap();
    let text = String::from_utf8(metrics.text().unwrap()).unwrap();
    let names = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let kinds = names.filter_map(|line| line.split_once(' '));
    let series = kinds.flat_map(|(name, kind)| match kind {
        "histogram" => ["_bucket", "_count", "_sum"]
            .map(|end| format!("{name}{end}"))
            .to_vec(),
        _ => vec![name.to_owned()],
    });
    // It exists from the first call on.
    series
        .chain(["modelservice_api_requests_total".to_owned()])
        .collect()
}

/// What is recorded of the example with further monitoring settings.
fn recorded(monitoring: &str) -> BTreeSet<String> {
    let example = fs::read_to_string(repository("examples/diabetes.yaml")).unwrap();
    let text = format!("{example}  monitoring: {monitoring}\n");
    let rendered = operator::cli::rendered(&text, &settings_of(&[])).unwrap();
    let names = rendered
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- record: "));
    names.map(str::to_owned).collect()
}

/// Recorded series that have the same name whatever windows the user asks for.
fn lasting_records() -> BTreeSet<String> {
    let usual = recorded("{}");
    let other = "{alerts: {window: 7m}, objectives: {period: 1440h}, drift: {window: 7h}, quality: {window: 7h}, performance: {window: 7h}}";
    let lasting: BTreeSet<_> = usual.intersection(&recorded(other)).cloned().collect();
    assert!(!lasting.is_empty() && lasting.len() < usual.len());
    lasting
}

#[test]
fn the_dashboards_name_only_metrics_that_exist() {
    let known: BTreeSet<String> = METRICS
        .iter()
        .flat_map(Metric::series)
        .chain(FOREIGN.map(str::to_owned))
        .chain(operator_series())
        .chain(lasting_records())
        .collect();
    for file in super::DASHBOARDS {
        for expression in expressions(&dashboard(file)) {
            let names = metrics_in(&expression);
            let unknown: Vec<_> = names.difference(&known).collect();
            assert!(
                !names.is_empty() && unknown.is_empty(),
                "{file}: {unknown:?} in {expression}"
            );
        }
    }
}

#[test]
fn every_query_of_a_modelservice_is_about_that_one_only() {
    let model_service = dashboard("model-service.json");
    let variables = items(&model_service["templating"]["list"]).filter(|v| v["type"] == "query");
    let choosing = variables.count();
    let all = expressions(&model_service);
    // But for those that offer namespaces and ModelServices.
    let (asked, offered) = all.split_at(all.len() - choosing);
    for expression in asked.iter().chain(offered.last()) {
        for selector in expression.split('{').skip(1) {
            let (selector, _) = selector.split_once('}').unwrap();
            let is_one = [r#"modelservice="$modelservice""#, r#"pod=~"$modelservice-"#]
                .iter()
                .any(|matcher| selector.contains(matcher));
            assert!(
                is_one && selector.contains(r#"namespace="$namespace""#),
                "{expression}"
            );
        }
    }
}

/// The matchers of requests that carry work, as they begin in an expression.
fn matchers_of_work(expression: &str) -> Option<&str> {
    let begin = expression.find("method=")?;
    let end = expression[begin..].find("endpoint")? + begin;
    let closing = expression[end..].match_indices('"').nth(1)?.0;
    Some(&expression[begin..=end + closing])
}

#[test]
fn dashboards_and_alerts_count_the_same_requests_as_work() {
    let example = fs::read_to_string(repository("examples/diabetes.yaml")).unwrap();
    let rendered = operator::cli::rendered(&example, &settings_of(&[])).unwrap();
    let mut documents = rendered.split("---\n");
    let rules = documents.find(|document| document.contains("kind: PrometheusRule"));
    let work = matchers_of_work(rules.unwrap()).unwrap();
    assert!(work.contains("endpoint!~"), "{work}");
    for file in super::DASHBOARDS {
        let expressions = expressions(&dashboard(file));
        let of_work = expressions.iter().filter(|it| it.contains("method="));
        let of_work: Vec<_> = of_work.collect();
        assert!(!of_work.is_empty(), "{file}");
        for expression in of_work {
            let selectors = expression.split('{').skip(1);
            for selector in selectors.filter(|it| it.contains("method=")) {
                assert!(selector.contains(work), "{file}: {expression}");
            }
        }
    }
}

#[test]
fn rates_look_as_far_back_as_the_scrapes_need() {
    for file in super::DASHBOARDS {
        for expression in expressions(&dashboard(file)) {
            for after in expression.split("rate(").skip(1) {
                let (_, window) = after.split_once("}[").unwrap();
                assert!(window.starts_with("$__rate_interval]"), "{expression}");
            }
        }
    }
}

#[test]
fn features_are_offered_without_the_prediction() {
    let model_service = dashboard("model-service.json");
    let mut variables = items(&model_service["templating"]["list"]);
    let feature: &Value = variables.find(|v| v["name"] == "feature").unwrap();
    let query = feature["definition"].as_str().unwrap();
    assert!(query.contains(r#"feature!="@prediction""#));
    assert_eq!(feature["query"]["query"], query);
}
