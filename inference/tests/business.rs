//! Metrics of the user's own: what is counted, when, and that no client makes more series than there
//! may be.
// Clippy takes what is no test itself for production code.
#![allow(clippy::unwrap_used)]

mod support;

use contract::config::ServerConfig;
use http::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;
use support::business::{
    PREDICT, ROW_OF_MADE, adding, ask, config, counter, knock, parameter, rejected, rows, seen,
    serving, total, with_keys,
};
use support::exposition::exposition;
use support::process::{Process, post};
use support::rpc::Rpc;
use support::{Behaviour, ROW, Server, diabetes, made};

fn classifying(metrics: Value) -> Server {
    serving(Behaviour::Classify, &["no", "yes"], metrics)
}

fn overflow(server: &Server, label: &str) -> f64 {
    let labels = format!(r#"label="{label}",metric="seen_total""#);
    server.metric(&format!("business_label_overflow_total{{{labels}}}"))
}

#[tokio::test]
async fn detections_are_counted_by_camera_and_model_type() {
    let labels = json!([parameter("camera_id"), parameter("model_type")]);
    let server = adding(json!([
        {"name": "detection_total", "type": "counter", "help": "Objects detected.", "labels": labels}
    ]));
    assert!(!exposition(&server).contains_key("detection_total"));
    for query in [
        "?camera_id=7&model_type=yolo",
        "?model_type=yolo&camera_id=7",
        "?camera_id=8",
        "",
    ] {
        let answer = ask(&server, PREDICT, query, Value::Null).await;
        assert_eq!(answer.status, StatusCode::OK);
    }
    for (camera, kind, expected) in [
        ("7", "yolo", 2.0),
        ("8", "none", 1.0),
        ("none", "none", 1.0),
    ] {
        let labels = format!(r#"camera_id="{camera}",model_type="{kind}""#);
        assert_eq!(
            server.metric(&format!("detection_total{{{labels}}}")),
            expected
        );
    }
    let family = &exposition(&server)["detection_total"];
    assert_eq!(
        (family.kind.as_str(), family.help.as_str()),
        ("counter", "Objects detected.")
    );
}

#[tokio::test]
async fn latencies_that_requests_report_are_a_histogram() {
    let server = adding(json!([{
        "name": "llm_latency_seconds", "type": "histogram",
        "value": {"parameter": "latency_seconds"}, "buckets": [0.5, 1, 2.5],
    }]));
    assert_eq!(server.metric("llm_latency_seconds_count"), 0.0);
    for latency in ["0.25", "1", "1e0", "7.5"] {
        let query = format!("?latency_seconds={latency}");
        ask(&server, PREDICT, &query, Value::Null).await;
    }
    for (series, expected) in [
        (r#"llm_latency_seconds_bucket{le="0.5"}"#, 1.0),
        (r#"llm_latency_seconds_bucket{le="1"}"#, 3.0),
        (r#"llm_latency_seconds_bucket{le="2.5"}"#, 3.0),
        (r#"llm_latency_seconds_bucket{le="+Inf"}"#, 4.0),
        ("llm_latency_seconds_sum", 9.75),
        ("llm_latency_seconds_count", 4.0),
    ] {
        assert_eq!(server.metric(series), expected, "{series}");
    }
}

#[tokio::test]
async fn the_success_rate_of_keys_is_a_summary_over_rest_and_grpc() {
    let (_file, server) = with_keys(json!([{
        "name": "api_key_success_rate", "type": "average", "value": {"request": "success"},
        "labels": [{"name": "key_id", "source": "apiKey"}],
    }]));
    for (key, body, status) in [
        ("one", ROW_OF_MADE, StatusCode::OK),
        ("one", "{}", StatusCode::BAD_REQUEST),
        ("two", ROW_OF_MADE, StatusCode::OK),
        ("three", ROW_OF_MADE, StatusCode::UNAUTHORIZED),
    ] {
        assert_eq!(knock(&server, key, "/predict", body).await, status);
    }
    let rpc = Rpc::start(&server);
    for (key, values) in [
        ("one", vec![1.0, 2.0]),
        ("one", vec![]),
        ("zero", vec![1.0, 2.0]),
    ] {
        let mut request = tonic::Request::new(rows(&values));
        request
            .metadata_mut()
            .insert("x-api-key", key.parse().unwrap());
        let _ = rpc.client().await.model_infer(request).await;
    }
    for (key, sum, count) in [
        ("alice", 2.0, 4.0),
        ("bob", 1.0, 1.0),
        ("unknown", 0.0, 2.0),
    ] {
        let series = |part| format!(r#"api_key_success_rate_{part}{{key_id="{key}"}}"#);
        assert_eq!(server.metric(&series("sum")), sum, "{key}");
        assert_eq!(server.metric(&series("count")), count, "{key}");
    }
    assert_eq!(exposition(&server)["api_key_success_rate"].kind, "summary");
    assert!(
        server
            .exposition()
            .contains("# TYPE api_key_success_rate summary\n")
    );
}

#[tokio::test]
async fn random_camera_ids_make_no_more_series_than_there_may_be() {
    let label = |name: &str, most: u32| {
        let source = json!({"parameter": name});
        json!({"name": name, "source": source, "maxValues": most})
    };
    let server = adding(counter(&json!([label("camera", 900), label("site", 900)])));
    let requests = 10_000;
    for at in 0..requests {
        let query = format!("?camera=c{at}&site=s{}", at % 200);
        let answer = ask(&server, PREDICT, &query, Value::Null).await;
        assert_eq!(answer.status, StatusCode::OK);
    }
    let found = exposition(&server);
    let samples = &found["seen_total"].samples;
    assert!(samples.len() <= 1_000, "{} series", samples.len());
    let seen_in_all = total(&server, "seen_total");
    assert_eq!(seen_in_all, f64::from(requests));
    let other = seen(&server, r#"camera="other",site="other""#);
    assert!(other > 4_000.0, "{other}");
    assert_eq!(overflow(&server, "camera"), 10_000.0 - 900.0);
    // As long as there is room, the site is still told.
    assert_eq!(overflow(&server, "site"), other);
    // Those that came first are still told apart.
    ask(&server, PREDICT, "?camera=c7&site=s7", Value::Null).await;
    assert_eq!(seen(&server, r#"camera="c7",site="s7""#), 2.0);
}

#[tokio::test]
async fn values_beyond_the_default_and_long_ones_are_other() {
    let server = adding(counter(&json!([parameter("c")])));
    let long = format!("?c={}", "x".repeat(129));
    ask(&server, PREDICT, &long, Value::Null).await;
    for at in 0..60 {
        ask(&server, PREDICT, &format!("?c={at}"), Value::Null).await;
    }
    ask(&server, PREDICT, "?c=other", Value::Null).await;
    assert_eq!(exposition(&server)["seen_total"].samples.len(), 51);
    assert_eq!(seen(&server, r#"c="other""#), 12.0);
    assert_eq!(overflow(&server, "c"), 11.0);
}

#[tokio::test]
async fn known_label_sets_are_there_from_the_start_and_others_are_not() {
    let listed = json!({"name": "c", "source": {"parameter": "c"}, "values": ["x", "y"]});
    let constant = json!({"name": "k", "source": {"constant": "always"}});
    let outcome = json!({"name": "o", "source": "outcome"});
    let server = classifying(counter(&json!([listed, constant, outcome])));
    let sets = |server: &Server| exposition(server)["seen_total"].samples.len();
    assert_eq!(sets(&server), 4);
    assert_eq!(seen(&server, r#"c="y",k="always",o="no""#), 0.0);
    ask(&server, PREDICT, "?c=z", Value::Null).await;
    ask(&server, PREDICT, "", Value::Null).await;
    assert_eq!(seen(&server, r#"c="other",k="always",o="no""#), 1.0);
    assert_eq!(seen(&server, r#"c="none",k="always",o="no""#), 1.0);
    assert_eq!(sets(&server), 6);
    assert_eq!(overflow(&server, "c"), 1.0);
    assert_eq!(overflow(&server, "o"), 0.0);
}

#[tokio::test]
async fn what_reads_the_answer_is_observed_for_each_row() {
    let outcome = json!([{"name": "o", "source": "outcome"}]);
    let server = classifying(json!([
        {"name": "seen_total", "type": "counter", "labels": outcome},
        {"name": "p", "type": "average", "value": {"output": "probability"}, "labels": outcome},
        {"name": "class", "type": "average", "value": {"output": "prediction"}},
        {"name": "rows", "type": "average", "value": {"request": "rows"}},
        {"name": "took", "type": "histogram", "value": {"request": "seconds"}},
        {"name": "once", "type": "counter"},
    ]));
    server.post("/predict", "[[1, 3], [3, 1], [2, 6]]").await;
    for (series, expected) in [
        (r#"seen_total{o="no"}"#, 2.0),
        (r#"seen_total{o="yes"}"#, 1.0),
        (r#"p_sum{o="no"}"#, 1.5),
        (r#"p_count{o="no"}"#, 2.0),
        (r#"p_sum{o="yes"}"#, 0.75),
        ("class_sum", 1.0),
        ("class_count", 3.0),
        ("rows_sum", 3.0),
        ("rows_count", 1.0),
        ("took_count", 1.0),
        ("once", 1.0),
    ] {
        assert_eq!(server.metric(series), expected, "{series}");
    }
    assert!(server.metric("took_sum") > 0.0);
}

#[tokio::test]
async fn a_regression_has_values_and_no_probabilities() {
    let server = adding(json!([
        {"name": "value", "type": "counter", "value": {"output": "prediction"},
         "labels": [{"name": "o", "source": "outcome"}]},
        {"name": "p", "type": "average", "value": {"output": "probability"}},
    ]));
    server.post("/predict", "[[1, 2], [3, 4.5], [1, -2]]").await;
    assert_eq!(server.metric(r#"value{o="value"}"#), 10.5);
    assert_eq!(rejected(&server, "value", "range"), 1.0);
    assert_eq!(rejected(&server, "p", "missing"), 3.0);
    assert_eq!(server.metric("p_count"), 0.0);
}

#[tokio::test]
async fn only_success_counts_requests_that_failed() {
    let success = json!({"request": "success"});
    let server = classifying(json!([
        {"name": "once", "type": "counter"},
        {"name": "m", "type": "counter", "value": {"parameter": "x"}},
        {"name": "seen_total", "type": "counter", "labels": [{"name": "o", "source": "outcome"}]},
        {"name": "ok", "type": "average", "value": success},
        {"name": "by", "type": "average", "value": success, "labels": [{"name": "o", "source": "outcome"}]},
    ]));
    for path in ["/predict?x=1", "/v2/models/other/infer", "/invocations"] {
        assert!(server.post(path, "?").await.status.is_client_error());
    }
    server.get("/predict").await;
    server.post("/feedback", "{}").await;
    server.post("/predict?x=1", "[[1, 3]]").await;
    for (series, expected) in [
        ("once", 1.0),
        ("m", 1.0),
        (r#"seen_total{o="no"}"#, 1.0),
        ("ok_sum", 1.0),
        ("ok_count", 4.0),
        (r#"by_count{o="none"}"#, 3.0),
        (r#"by_sum{o="none"}"#, 0.0),
        (r#"by_sum{o="no"}"#, 1.0),
    ] {
        assert_eq!(server.metric(series), expected, "{series}");
    }
    assert_eq!(total(&server, "business_observations_rejected_total"), 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_value_that_many_send_at_once_is_counted_each_time() {
    let server = adding(counter(&json!([parameter("c")])));
    let tasks = (0..8).map(|_| {
        let server = server.clone();
        tokio::spawn(async move {
            for at in 0..100 {
                let query = format!("?c={}", at % 2);
                ask(&server, PREDICT, &query, Value::Null).await;
            }
        })
    });
    futures::future::join_all(tasks).await;
    for value in ["0", "1"] {
        assert_eq!(seen(&server, &format!(r#"c="{value}""#)), 400.0);
    }
}

#[tokio::test]
async fn another_model_brings_its_classes_and_resets_nothing() {
    let server = classifying(json!([
        {"name": "once", "type": "counter"},
        {"name": "seen_total", "type": "counter", "labels": [{"name": "o", "source": "outcome"}]},
    ]));
    server.post("/predict", "[[1, 3]]").await;
    let other = made(Behaviour::Classify, &["no", "maybe"]);
    server.0.replace(other, Duration::ZERO).unwrap();
    assert_eq!(seen(&server, r#"o="maybe""#), 0.0);
    server.post("/predict", "[[1, 3]]").await;
    assert_eq!(server.metric("once"), 2.0);
    assert_eq!(seen(&server, r#"o="no""#), 2.0);
}

#[test]
fn without_own_metrics_the_server_shows_what_it_always_did() {
    let names = |config: &ServerConfig| {
        let found = exposition(&Server::guarded(diabetes(), config));
        found.into_keys().collect::<Vec<_>>()
    };
    let plain = names(&ServerConfig::default());
    assert!(!plain.iter().any(|name| name.contains("business")));
    let mut with = names(&config(counter(&json!([]))));
    with.retain(|name| name != "seen_total" && name != "business_observations_rejected_total");
    assert_eq!(with, plain);
}

#[test]
fn a_process_reads_them_from_its_configuration_and_stays_small() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    let label = |at| {
        let name = format!("c{at}");
        json!({"name": name, "source": {"parameter": name}, "maxValues": 998})
    };
    let labels: Value = (0..5).map(label).collect();
    let metric = |at| json!({"name": format!("own_{at}"), "type": "counter", "labels": labels});
    let metrics: Value = (0..20).map(metric).collect();
    std::fs::write(&path, json!({"businessMetrics": metrics}).to_string()).unwrap();
    let server = Process::start(&["--config", path.to_str().unwrap()]);
    for at in 0..1_500 {
        let values: Vec<String> = (0..5).map(|label| format!("c{label}={at:x>128}")).collect();
        let answer = server.talk(&post(&format!("/predict?{}", values.join("&")), ROW));
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    }
    server.assert_unharmed();
    let text = server.talk(&support::process::get("/metrics"));
    let own = text.lines().filter(|line| line.starts_with("own_")).count();
    assert_eq!(own, 5_000);
}
