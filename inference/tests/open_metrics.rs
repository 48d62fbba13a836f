//! The metrics in the format of OpenMetrics: the same series as in that of Prometheus, well formed,
//! with exemplars.
// Clippy takes what is no test itself for production code.
#![allow(clippy::unwrap_used)]

mod support;

use contract::compatibility::Compatibility;
use contract::config::{ServerConfig, Tracing};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method};
use inference::artifact::Profile;
use inference::load::LoadedModel;
use inference::serve::metrics::Format;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use support::exposition::parse;
use support::{Behaviour, ROW, Server, diabetes, made, request};

const PROMETHEUS: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
    text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// A server with every family that there can be.
fn with_all(model: LoadedModel) -> Server {
    let own = json!([
        {"name": "own_total", "type": "counter"},
        {"name": "own", "type": "histogram", "value": {"parameter": "p"}, "buckets": [-1, 1]},
        {"name": "other", "type": "average", "value": {"parameter": "p"}},
    ]);
    let config = ServerConfig {
        business_metrics: serde_json::from_value(own).unwrap(),
        compatibility: Compatibility::ALL.to_vec(),
        tracing: Some(Tracing::to("http://127.0.0.1:9".to_owned())),
        ..ServerConfig::default()
    };
    Server::guarded(model, &config)
}

/// One sample: its series, and what follows.
fn sample(line: &str) -> (&str, &str) {
    let end = line.find("\"} ").map(|at| at + 2);
    let end = end.unwrap_or_else(|| line.find(' ').unwrap());
    let (series, rest) = line.split_at(end);
    (series, rest.trim_start())
}

/// Reads the format as strictly as it is specified: the series, by name and with the bounds of
/// buckets as numbers.
fn series(text: &str) -> BTreeSet<String> {
    let lines = text.strip_suffix("# EOF\n").unwrap().lines();
    let (mut families, mut found) = (BTreeMap::new(), BTreeSet::new());
    let mut current = ("", "");
    for line in lines {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            current = rest.split_once(' ').unwrap();
            let before = families.insert(current.0, current.1);
            assert_eq!(before, None, "{} comes twice", current.0);
        } else if !line.starts_with("# HELP ") {
            let (series, _) = sample(line);
            let name = series.split('{').next().unwrap();
            check_name(name, current);
            assert!(found.insert(normal(series)), "{series} comes twice");
        }
    }
    found
}

fn check_name(name: &str, (family, kind): (&str, &str)) {
    let suffixes: &[&str] = match kind {
        "counter" => &["_total"],
        "histogram" => &["_bucket", "_count", "_sum"],
        "summary" => &["_count", "_sum"],
        "gauge" | "unknown" => &[""],
        other => panic!("no such type: {other}"),
    };
    let suffix = name.strip_prefix(family);
    assert!(
        suffix.is_some_and(|suffix| suffixes.contains(&suffix)),
        "{name} in the {kind} {family}"
    );
}

fn normal(series: &str) -> String {
    let Some((start, bound)) = series.split_once("le=\"") else {
        return series.to_owned();
    };
    let bound = bound.trim_end_matches("\"}");
    format!("{start}le={}", bound.parse::<f64>().unwrap())
}

/// The series in the format of Prometheus.
fn expected(server: &Server) -> BTreeSet<String> {
    let text = server.exposition();
    assert!(!parse(&text).is_empty());
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples.map(|line| normal(sample(line).0)).collect()
}

fn with_negative_values() -> LoadedModel {
    let mut model = made(Behaviour::Add, &[]);
    model.manifest.reference.prediction = Profile {
        edges: vec![-2.5, 0.5],
        shares: vec![0.5, 0.25, 0.25],
    };
    model
}

#[tokio::test]
async fn both_formats_have_the_same_series() {
    for (model, body) in [
        (diabetes(), ROW),
        (with_negative_values(), r#"{"a":-9,"b":1}"#),
    ] {
        let server = with_all(model);
        let name = server.0.served().model.name.clone();
        for path in ["/predict", "/invocations", "/feedback", "/no/such"] {
            server.post(path, body).await;
        }
        server
            .post(
                &format!("/v1/models/{name}:predict?p=-3"),
                r#"{"instances":[[1,2]]}"#,
            )
            .await;
        assert_eq!(
            series(&server.exposition_in(Format::OpenMetrics)),
            expected(&server)
        );
    }
}

#[tokio::test]
async fn who_likes_open_metrics_better_gets_it_and_nobody_else() {
    let server = Server::new(diabetes());
    for (accepted, expected) in [
        (
            PROMETHEUS,
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
        ("text/plain;version=0.0.4", "text/plain; version=0.0.4"),
        ("*/*", "text/plain; version=0.0.4"),
    ] {
        let mut request = request(Method::GET, "/metrics", "");
        request
            .headers_mut()
            .insert(ACCEPT, HeaderValue::from_static(accepted));
        let answer = server.send(request).await;
        assert_eq!(answer.headers[CONTENT_TYPE], expected);
        let open = expected.contains("openmetrics");
        assert_eq!(answer.text.ends_with("# EOF\n"), open);
    }
}

/// What follows `# ` after the sample in the bucket of each of `family`'s histograms.
fn exemplars<'a>(text: &'a str, family: &str) -> Vec<&'a str> {
    let lines = text.lines().filter(|line| line.starts_with(family));
    lines
        .filter_map(|line| Some(line.split_once(" # ")?.1))
        .collect()
}

#[tokio::test]
async fn recorded_requests_are_exemplars_of_their_buckets() {
    let config = ServerConfig {
        tracing: Some(Tracing {
            sample_ratio: 0.0,
            ..Tracing::to("http://127.0.0.1:9".to_owned())
        }),
        ..ServerConfig::default()
    };
    let server = Server::guarded(diabetes(), &config);
    for recorded in [0, 1] {
        let text = server.exposition_in(Format::OpenMetrics);
        assert!(exemplars(&text, "").is_empty(), "{text}");
        let mut request = request(Method::POST, "/predict", ROW);
        let parent = format!("00-{TRACE}-b7ad6b7169203331-0{recorded}");
        request
            .headers_mut()
            .insert("traceparent", parent.parse().unwrap());
        assert_eq!(server.send(request).await.status, 200);
    }
    let text = server.exposition_in(Format::OpenMetrics);
    for family in [
        "api_request_duration_seconds_bucket{",
        "model_inference_duration_seconds_bucket{",
    ] {
        let [exemplar] = exemplars(&text, family)[..] else {
            panic!("one exemplar is expected in\n{text}");
        };
        let (labels, numbers) = exemplar.split_once(' ').unwrap();
        assert_eq!(labels, format!("{{trace_id=\"{TRACE}\"}}"));
        let (value, at) = numbers.split_once(' ').unwrap();
        assert!((0.0..5.0).contains(&value.parse::<f64>().unwrap()));
        assert!(at.parse::<f64>().unwrap() > 1.7e9);
    }
    assert!(!server.exposition().contains(" # "));
}
