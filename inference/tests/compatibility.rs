//! Names of other systems: complete, well formed, and the same numbers as our own.
// Clippy takes what is no test itself for production code.
#![allow(clippy::unwrap_used)]

mod support;

use contract::compatibility::{ALIASES, Compatibility};
use contract::config::ServerConfig;
use contract::labels::Endpoint;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use support::exposition::{Family, exposition};
use support::rpc::Rpc;
use support::{Behaviour, Server, made, request};

type Families = BTreeMap<String, Family>;
type Labels = BTreeMap<String, String>;

fn speaking(systems: &[Compatibility]) -> Server {
    let config = ServerConfig {
        compatibility: systems.to_vec(),
        ..ServerConfig::default()
    };
    Server::guarded(made(Behaviour::Classify, &["no", "yes"]), &config)
}

/// Requests for predictions by every protocol, some of them wrong, and some for other things.
async fn mixed_traffic(server: &Server) {
    for body in ["[[1, 3], [3, 1]]", r#"{"a": 1}"#, "?", "{}"] {
        server.post("/predict", body).await;
    }
    let input =
        r#"{"inputs": [{"name": "x", "datatype": "FP64", "shape": [1, 2], "data": [1, 2]}]}"#;
    server.post("/v2/models/made/infer", input).await;
    server.post("/v2/models/other/infer", input).await;
    server
        .post("/v1/models/made:predict", r#"{"instances": [[1, 2]]}"#)
        .await;
    let mut mlflow = request(Method::POST, "/invocations", r#"{"inputs": [[1, 2]]}"#);
    let kind = HeaderValue::from_static("application/json");
    mlflow.headers_mut().insert(CONTENT_TYPE, kind);
    server.send(mlflow).await;
    for path in ["/health", "/docs", "/predict", "/nowhere"] {
        server.get(path).await;
    }
    let rpc = Rpc::start(server);
    rpc.call("ModelInfer", "1S", b"?").await;
    rpc.call("ModelInfer", "1S", b"").await;
    rpc.call("ServerLive", "1S", b"").await;
}

/// The sum of the samples called `name` whose labels are as wanted.
fn sum(families: &Families, name: &str, wanted: impl Fn(&Labels) -> bool) -> f64 {
    let all = families.values().flat_map(|family| &family.samples);
    let all = all.filter(|(series, labels, _)| series == name && wanted(labels));
    all.map(|(.., value)| value).sum()
}

fn predicting(labels: &Labels) -> bool {
    Endpoint::parse(&labels["endpoint"]).is_some_and(Endpoint::is_predicting)
}

fn posted(labels: &Labels) -> bool {
    predicting(labels) && labels["method"] == "POST"
}

fn everything(_: &Labels) -> bool {
    true
}

#[tokio::test]
async fn nothing_is_added_unless_it_is_wanted() {
    let server = speaking(&[]);
    mixed_traffic(&server).await;
    let found = exposition(&server);
    assert!(ALIASES.iter().all(|alias| !found.contains_key(alias.name)));
}

#[tokio::test]
async fn each_system_has_its_own_families_and_no_others() {
    for system in Compatibility::ALL.iter().copied() {
        let (plain, server) = (speaking(&[]), speaking(&[system, system]));
        let ours: BTreeSet<_> = exposition(&plain).into_keys().collect();
        let found: BTreeSet<_> = exposition(&server).into_keys().collect();
        let added: Vec<_> = found.difference(&ours).map(String::as_str).collect();
        let declared = ALIASES.iter().filter(|alias| alias.system == system);
        let mut declared: Vec<_> = declared.map(|alias| alias.name).collect();
        declared.sort_unstable();
        assert_eq!(added, declared, "{system:?}");
        assert!(ours.is_subset(&found));
    }
}

#[tokio::test]
async fn families_have_the_type_help_and_labels_of_the_table() {
    let server = speaking(Compatibility::ALL);
    mixed_traffic(&server).await;
    let found = exposition(&server);
    for alias in ALIASES {
        let family = &found[alias.name];
        let declared = (alias.kind.as_str(), alias.help);
        assert_eq!((family.kind.as_str(), family.help.as_str()), declared);
        let series = alias.series();
        for (name, labels, value) in &family.samples {
            assert!(series.contains(name), "{name}");
            let names = labels.keys().map(String::as_str);
            let names: BTreeSet<_> = names.filter(|name| *name != "le").collect();
            assert_eq!(names, alias.labels.iter().copied().collect(), "{name}");
            assert!(labels.get("model").is_none_or(|model| model == "made"));
            assert!(labels.get("version").is_none_or(|version| version == "v7"));
            assert!(
                !name.ends_with("_us") || value.fract() == 0.0,
                "{name} {value}"
            );
        }
    }
}

fn check(found: &Families) {
    let status = |labels: &Labels| posted(labels) && labels["status"] == "200";
    let successes = sum(found, "api_requests_total", status);
    let failures = sum(found, "api_errors_total", predicting);
    let seconds = sum(found, "api_request_duration_seconds_sum", posted);
    let requests = sum(found, "api_request_duration_seconds_count", posted);
    let rows = sum(found, "model_batch_rows_sum", everything);
    let batches = sum(found, "model_batch_rows_count", everything);
    let compute = sum(found, "model_inference_duration_seconds_sum", everything);
    let load = sum(found, "model_load_duration_seconds", everything);
    assert_eq!((successes, failures), (5.0, 6.0));
    for (name, expected) in [
        ("nv_inference_request_success", successes),
        ("nv_inference_request_failure", failures),
        ("nv_inference_count", rows),
        ("nv_inference_exec_count", batches),
        ("nv_model_load_duration_secs", load),
        ("model_infer_request_success_total", successes),
        ("model_infer_request_failure_total", failures),
        ("model_infer_request_duration_count", requests),
        ("request_predict_seconds_count", batches),
        ("request_predict_seconds_sum", compute),
    ] {
        assert_eq!(sum(found, name, everything), expected, "{name}");
    }
    for (name, expected) in [
        ("nv_inference_request_duration_us", seconds * 1e6),
        ("nv_inference_compute_infer_duration_us", compute * 1e6),
        ("model_infer_request_duration_sum", seconds),
    ] {
        let value = sum(found, name, everything);
        assert!(
            (value - expected).abs() <= 1.0,
            "{name} is {value}, not {expected}"
        );
    }
}

#[tokio::test]
async fn values_are_those_of_our_own_metrics() {
    let server = speaking(Compatibility::ALL);
    mixed_traffic(&server).await;
    let found = exposition(&server);
    check(&found);
    let failures = |reason: &str| {
        let of = |labels: &Labels| labels["reason"] == reason;
        sum(&found, "nv_inference_request_failure", of)
    };
    assert_eq!(
        ["OTHER", "BACKEND", "CANCELED", "REJECTED"].map(failures),
        [6.0, 0.0, 0.0, 0.0]
    );
}

/// Name and labels of each sample, as the tutorials have them.
fn renamed(family: &Family, from: &str, to: &str) -> Vec<(String, Labels, f64)> {
    let samples = family.samples.iter().map(|(name, labels, value)| {
        let mut labels = labels.clone();
        let path = labels.remove("endpoint").unwrap();
        labels.insert("path".to_owned(), path);
        (name.replace(from, to), labels, *value)
    });
    let mut samples: Vec<_> = samples.collect();
    samples.sort_by(|one, other| (&one.0, &one.1).cmp(&(&other.0, &other.1)));
    samples
}

#[tokio::test]
async fn the_tutorials_see_every_route_under_their_names() {
    let server = speaking(&[Compatibility::Tutorial]);
    mixed_traffic(&server).await;
    let found = exposition(&server);
    for (ours, theirs) in [
        ("api_requests_total", "app_responses_total"),
        (
            "api_request_duration_seconds",
            "app_requests_processing_time_seconds",
        ),
    ] {
        let mut shown = found[theirs].samples.clone();
        shown.sort_by(|one, other| (&one.0, &one.1).cmp(&(&other.0, &other.1)));
        assert_eq!(shown, renamed(&found[ours], ours, theirs));
    }
    let of_predict = |labels: &Labels| labels["path"] == "/predict" && labels["method"] == "POST";
    assert_eq!(sum(&found, "app_requests_total", of_predict), 4.0);
    let health = |labels: &Labels| labels["path"] == "/health";
    assert_eq!(sum(&found, "app_requests_total", health), 1.0);
}

#[tokio::test]
async fn another_model_keeps_what_requests_came_to() {
    let server = speaking(Compatibility::ALL);
    mixed_traffic(&server).await;
    let mut other = made(Behaviour::Classify, &["no", "yes"]);
    other.version = "v8".to_owned();
    server
        .0
        .replace(other, Duration::from_millis(1500))
        .unwrap();
    let found = exposition(&server);
    check(&found);
    let new = |labels: &Labels| labels["version"] == "v8";
    assert_eq!(sum(&found, "nv_inference_request_success", new), 5.0);
    assert_eq!(sum(&found, "nv_inference_count", new), 0.0);
    assert_eq!(sum(&found, "nv_model_load_duration_secs", new), 1.5);
}
