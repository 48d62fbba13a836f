//! Questions to the cluster's Prometheus.

use crate::cluster::PATIENCE;
use crate::kubectl::{eventually, kubectl};
use serde_json::Value;
use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

const PROMETHEUS: &str =
    "/api/v1/namespaces/monitoring/services/kube-prometheus-stack-prometheus:9090/proxy/api/v1";
const ALERTMANAGER: &str =
    "/api/v1/namespaces/monitoring/services/kube-prometheus-stack-alertmanager:9093/proxy/api/v2";

fn ask(path: &str) -> Value {
    let answer = kubectl(&["get", "--raw", &format!("{PROMETHEUS}/{path}")], None).unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["status"], "success", "{answer}");
    answer["data"].clone()
}

/// The result of an instant query: an array of samples.
pub(crate) fn query(expression: &str) -> Vec<Value> {
    ask(&format!("query?query={}", encoded(expression)))["result"]
        .as_array()
        .unwrap()
        .clone()
}

/// What is remembered of single requests among the samples of the last minutes.
pub(crate) fn exemplars(series: &str) -> Vec<Value> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let (start, end) = (now.as_secs() - 300, now.as_secs() + 60);
    let path = "query_exemplars?query=";
    let found = ask(&format!(
        "{path}{}&start={start}&end={end}",
        encoded(series)
    ));
    let found = found.as_array().into_iter().flatten();
    let exemplars = found.filter_map(|series| series["exemplars"].as_array());
    exemplars.flatten().cloned().collect()
}

fn encoded(expression: &str) -> String {
    let mut encoded = String::new();
    for byte in expression.bytes() {
        write!(encoded, "%{byte:02X}").unwrap();
    }
    encoded
}

/// The value of a sample.
pub(crate) fn value(sample: &Value) -> f64 {
    sample["value"][1].as_str().unwrap().parse().unwrap()
}

/// Waits until a query has a result whose samples are as wanted.
pub(crate) fn wait_query(expression: &str, wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    eventually(expression, PATIENCE, || {
        let samples = query(expression);
        if wanted(&samples) {
            Ok(samples)
        } else {
            Err(Some(Value::from(samples)))
        }
    })
}

/// The rule groups of a ModelService that Prometheus has loaded.
pub(crate) fn rule_groups(namespace: &str, name: &str) -> Vec<Value> {
    let group = format!("modelservice.{namespace}.{name}");
    let is_ours = |found: &Value| {
        let rest = found["name"].as_str().unwrap().strip_prefix(&group);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let groups = ask("rules")["groups"].as_array().unwrap().clone();
    groups.into_iter().filter(is_ours).collect()
}

/// The state of an alert of a ModelService: `inactive`, `pending` or `firing`.
pub(crate) fn alert_state(namespace: &str, name: &str, alert: &str) -> Option<String> {
    let groups = rule_groups(namespace, name);
    let mut rules = groups.iter().filter_map(|group| group["rules"].as_array());
    let rule = rules.find_map(|rules| rules.iter().find(|rule| rule["name"] == alert))?;
    rule["state"].as_str().map(str::to_owned)
}

/// Whether Alertmanager has an alert of a ModelService as one that goes on.
pub(crate) fn is_received(namespace: &str, alert: &str) -> bool {
    let filter = format!("filter=alertname%3D%22{alert}%22&filter=namespace%3D%22{namespace}%22");
    let path = format!("{ALERTMANAGER}/alerts?active=true&{filter}");
    let answer = kubectl(&["get", "--raw", &path], None).unwrap();
    let alerts: Value = serde_json::from_str(&answer).unwrap();
    alerts.as_array().is_some_and(|alerts| !alerts.is_empty())
}
