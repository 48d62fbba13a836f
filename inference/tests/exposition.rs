//! The metrics: complete, declared, well formed, and counting what they say.
// Clippy takes what is no test itself for production code.
#![allow(clippy::unwrap_used)]

mod support;

use contract::business::{MOST_METRICS, MOST_SERIES, MOST_SERIES_IN_ALL};
use contract::compatibility::Compatibility;
use contract::config::{ModelConfig, SecretFile, ServerConfig, Tracing};
use contract::labels::{Endpoint, ErrorType, Method};
use contract::limits::{
    LABEL_VALUE_LENGTH_LIMIT, LONGEST_NAME, MOST_BINS, MOST_CLASSES, MOST_FEATURES, SAMPLE_LIMIT,
};
use contract::metrics::{Kind, METRICS};
use inference::load::{self, LoadedModel};
use inference::serve::business::Caller;
use inference::serve::metrics::{HttpMetrics, STATUSES};
use rstest::rstest;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use support::exposition::exposition;
use support::{Behaviour, ROW, Server, diabetes, made, request};

/// Some families exist only where API keys, metrics of the user's own or traces are configured.
fn with_all(model: LoadedModel) -> Server {
    let file = tempfile::NamedTempFile::new().unwrap();
    let line = inference::serve::access::key_file::line("alice", "key");
    std::fs::write(file.path(), line).unwrap();
    let keys = SecretFile {
        file: file.path().to_str().unwrap().to_owned(),
    };
    let own =
        json!([{"name": "own", "type": "counter", "labels": [{"name": "a", "source": "outcome"}]}]);
    let config = ServerConfig {
        api_keys: Some(keys),
        business_metrics: serde_json::from_value(own).unwrap(),
        tracing: Some(Tracing::to("http://127.0.0.1:9".to_owned())),
        ..ServerConfig::default()
    };
    Server::guarded(model, &config)
}

/// Families of the contract that `model` does not have from the start.
fn missing(model: LoadedModel) -> Vec<&'static str> {
    let found = exposition(&with_all(model));
    let standard = |name: &str| name.starts_with("process_");
    let own = |name: &str| name == "own";
    let declared: Vec<_> = METRICS.iter().map(|metric| metric.name).collect();
    let known = |name: &String| standard(name) || own(name) || declared.contains(&name.as_str());
    assert!(found.keys().all(known), "{:?}", found.keys());
    assert!(found.keys().any(|name| standard(name)));
    let names = declared.into_iter();
    names.filter(|name| !found.contains_key(*name)).collect()
}

#[test]
fn every_family_that_a_task_has_is_there_from_the_start_and_no_other() {
    let regression = [
        "model_feedback_rows_total",
        "model_feedback_absolute_error_total",
        "model_feedback_squared_error_total",
    ];
    let never_missing = "model_feature_reference_missing_ratio";
    let mut classifier = vec![never_missing];
    classifier.extend(regression);
    assert_eq!(missing(diabetes()), classifier);
    let add = made(Behaviour::Add, &[]);
    assert_eq!(missing(add), [never_missing, "model_feedback_total"]);
    let words = made(Behaviour::Classify, &["no", "yes"]);
    let rest = missing(words);
    assert_eq!(rest[..4], classifier);
    assert_eq!(rest[4..], ["validation_rmse"]);
}

#[test]
fn families_have_the_type_help_and_labels_of_the_contract() {
    let found = exposition(&with_all(diabetes()));
    for (metric, family) in METRICS
        .iter()
        .filter_map(|metric| Some((metric, found.get(metric.name)?)))
    {
        assert_eq!(
            (family.kind.as_str(), family.help.as_str()),
            (metric.kind.as_str(), metric.help)
        );
        for (name, labels, _) in &family.samples {
            let names = labels
                .keys()
                .map(String::as_str)
                .filter(|name| *name != "le");
            let names: BTreeSet<_> = names.collect();
            assert_eq!(names, metric.labels.iter().copied().collect(), "{name}");
        }
    }
}

#[test]
fn histograms_are_cumulative_and_end_with_their_count() {
    let server = Server::new(diabetes());
    let found = exposition(&server);
    for metric in METRICS
        .iter()
        .filter(|metric| matches!(metric.kind, Kind::Histogram(_)))
    {
        let mut buckets = BTreeMap::<_, Vec<(f64, f64)>>::new();
        let mut counts = BTreeMap::new();
        for (name, labels, value) in &found[metric.name].samples {
            let mut labels = labels.clone();
            if let Some(edge) = labels.remove("le") {
                let edge = edge.replace("+Inf", "inf").parse().unwrap();
                buckets.entry(labels).or_default().push((edge, *value));
            } else if name.ends_with("_count") {
                counts.insert(labels, *value);
            }
        }
        assert_eq!(buckets.len(), counts.len());
        for (labels, buckets) in buckets {
            let rising = |pair: &[(f64, f64)]| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1;
            assert!(buckets.windows(2).all(rising), "{} {labels:?}", metric.name);
            assert_eq!(buckets.last().unwrap(), &(f64::INFINITY, counts[&labels]));
        }
    }
}

#[test]
fn bins_cover_every_feature_and_the_prediction() {
    let found = exposition(&Server::new(diabetes()));
    let mut shares = BTreeMap::<_, f64>::new();
    for (_, labels, share) in &found["model_feature_reference_ratio"].samples {
        *shares.entry(labels["feature"].clone()).or_default() += share;
        assert_eq!(labels["bin"].len(), 2);
    }
    assert_eq!(shares.len(), 9);
    assert!(shares.contains_key("@prediction"));
    assert!(shares.values().all(|sum| (sum - 1.0).abs() < 1e-9));
    let series = |name: &str| found[name].samples.len();
    assert_eq!(
        series("model_feature_bin_total"),
        series("model_feature_reference_ratio")
    );
    let ages = found["model_feature_reference_ratio"].samples.iter();
    let mut ages = ages.filter(|(_, labels, _)| labels["feature"] == "Age");
    assert_eq!(ages.next().unwrap().1["range"], "(-Inf, 22]");
}

#[tokio::test]
async fn a_prediction_counts_in_its_class_bins_and_sizes() {
    let server = Server::new(diabetes());
    let answer = server.post("/predict", ROW).await;
    let v = r#"model_version="1""#;
    for (series, expected) in [
        (
            r#"api_requests_total{endpoint="/predict",method="POST",status="200"}"#.to_owned(),
            1.0,
        ),
        (
            r#"api_request_duration_seconds_count{endpoint="/predict",method="POST"}"#.to_owned(),
            1.0,
        ),
        (
            r#"api_request_size_bytes_sum{endpoint="/predict"}"#.to_owned(),
            ROW.len() as f64,
        ),
        (
            r#"api_response_size_bytes_sum{endpoint="/predict"}"#.to_owned(),
            answer.text.len() as f64,
        ),
        (format!(r#"predictions_total{{{v},outcome="1"}}"#), 1.0),
        (format!(r#"predictions_total{{{v},outcome="0"}}"#), 0.0),
        (format!("prediction_distribution_count{{{v}}}"), 1.0),
        (format!("model_batch_rows_sum{{{v}}}"), 1.0),
        (
            format!("model_inference_duration_seconds_count{{{v}}}"),
            1.0,
        ),
        (
            format!(r#"model_feature_bin_total{{bin="08",feature="Age",{v}}}"#),
            1.0,
        ),
        (
            format!(r#"model_feature_bin_total{{bin="01",feature="Age",{v}}}"#),
            0.0,
        ),
        ("api_active_requests".to_owned(), 0.0),
        ("model_loaded".to_owned(), 1.0),
    ] {
        assert_eq!(server.metric(&series), expected, "{series}");
    }
    assert!(server.metric(r#"app_memory_usage_bytes{type="rss"}"#) > 1e6);
}

#[rstest]
#[case(r#"{"a": 11, "b": -1}"#, "a", "range")]
#[case(r#"{"a": 11, "b": -1}"#, "b", "range")]
#[case(r#"{"a": 1}"#, "b", "missing")]
#[case(r#"{"b": 1}"#, "a", "missing")]
#[case(r#"{"a": "x"}"#, "a", "type")]
#[case(r#"{"a": 1e999}"#, "a", "type")]
#[tokio::test]
async fn values_that_the_model_was_not_trained_for_are_counted(
    #[case] body: &'static str,
    #[case] feature: &str,
    #[case] reason: &str,
) {
    let server = Server::made(Behaviour::Add);
    server.post("/predict", body).await;
    let refused = reason != "range" && (feature, reason) != ("b", "missing");
    let labels =
        format!(r#"feature="{feature}",model_version="v7",reason="{reason}",refused="{refused}""#);
    assert_eq!(
        server.metric(&format!("model_feature_invalid_total{{{labels}}}")),
        1.0
    );
}

#[test]
fn what_was_missing_in_training_is_shown_of_those_features_alone() {
    let mut model = made(Behaviour::Add, &[]);
    model.manifest.features[1].missing = 0.25;
    let found = exposition(&Server::new(model));
    let [(_, labels, share)] = &found["model_feature_reference_missing_ratio"].samples[..] else {
        panic!("more than one");
    };
    assert_eq!((labels["feature"].as_str(), *share), ("b", 0.25));
}

#[tokio::test]
async fn labels_never_come_from_a_request() {
    let server = Server::new(made(Behaviour::Add, &[]));
    for (method, path) in [
        ("GET", "/a"),
        ("PATCH", "/predict"),
        ("BREW", "/v2/models/x/infer"),
    ] {
        let request = http::Request::builder().method(method).uri(path);
        server.send(request.body("".into()).unwrap()).await;
    }
    let before = samples(&server);
    for at in 0..50 {
        let request = http::Request::builder().method(format!("M{at}").as_str());
        let request = request.uri(format!("/v2/models/m{at}/infer"));
        server.send(request.body("".into()).unwrap()).await;
        server.get(&format!("/path{at}")).await;
    }
    assert_eq!(samples(&server), before);
    let errors = &exposition(&server)["api_errors_total"].samples;
    for (_, labels, _) in errors {
        assert!(Endpoint::parse(&labels["endpoint"]).is_some(), "{labels:?}");
        assert!(
            ErrorType::parse(&labels["error_type"]).is_some(),
            "{labels:?}"
        );
    }
}

/// Samples that a scrape of eight features and three busy routes may cost.
const MOST_SAMPLES: usize = 400;

fn samples(server: &Server) -> usize {
    let found = exposition(server);
    found.values().map(|family| family.samples.len()).sum()
}

#[tokio::test]
async fn a_scrape_stays_small_before_and_after_all_kinds_of_requests() {
    const INFER: &str = r#"{"inputs":[{"name":"x","datatype":"FP64","shape":[1,8],"data":[6,148,72,35,0,33,1,50]}]}"#;
    let server = Server::new(diabetes());
    let fresh = samples(&server);
    assert!(fresh <= MOST_SAMPLES, "{fresh} before the first request");
    let id = server.post("/predict", ROW).await.json()["prediction_id"].clone();
    let truth = json!({"prediction_id": id, "actual": 1}).to_string();
    for (path, body) in [
        ("/predict", "nonsense"),
        ("/predict", "{}"),
        ("/feedback", &truth),
        ("/feedback", "[]"),
        ("/v2/models/diabetes/infer", INFER),
        ("/v2/models/other/infer", INFER),
        ("/v2/models/diabetes/infer", "{}"),
    ] {
        server.post(path, body.to_owned()).await;
    }
    let busy = samples(&server);
    assert!(busy <= MOST_SAMPLES, "{busy} after requests");
    assert_eq!(
        server.metric(r#"api_requests_total{endpoint="/predict",method="POST",status="400"}"#),
        2.0
    );
}

#[test]
fn what_alerts_look_at_is_there_before_it_first_happens() {
    let server = Server::new(diabetes());
    for endpoint in ["/predict", "/feedback", "/v2/models/{model}/infer"] {
        for kind in [
            "validation",
            "too_large",
            "overload",
            "timeout",
            "internal",
            "cancelled",
        ] {
            let labels = format!(r#"endpoint="{endpoint}",error_type="{kind}""#);
            assert_eq!(server.metric(&format!("api_errors_total{{{labels}}}")), 0.0);
        }
        for status in [200, 400, 500, 503, 504] {
            let labels = format!(r#"endpoint="{endpoint}",method="POST",status="{status}""#);
            assert_eq!(
                server.metric(&format!("api_requests_total{{{labels}}}")),
                0.0
            );
        }
    }
}

#[test]
fn the_scores_of_training_are_there_to_compare_with() {
    let server = Server::new(diabetes());
    let accuracy = server.metric(r#"model_reference_score{model_version="1",score="accuracy"}"#);
    assert!((0.7..1.0).contains(&accuracy), "{accuracy}");
    let server = Server::made(Behaviour::Add);
    for score in ["rmse", "mae"] {
        let series = format!(r#"model_reference_score{{model_version="v7",score="{score}"}}"#);
        assert_eq!(server.metric(&series), 0.0);
    }
}

/// Numbers whose digits are the most that an edge may have.
fn longest_profile() -> Value {
    let edges = (1..MOST_BINS).rev();
    let edges: Vec<f64> = edges
        .map(|at| -1.2345678901234567e-100 * at as f64)
        .collect();
    json!({"edges": edges, "shares": vec![1.0 / MOST_BINS as f64; MOST_BINS]})
}

/// The largest model that is loaded: a tree of one leaf, with as much around it as is admitted.
fn largest() -> LoadedModel {
    let name = |at: usize| format!("{at:x>LONGEST_NAME$}");
    let feature =
        |at| json!({"name": name(at), "kind": "float", "min": 0.0, "max": 1.0, "missing": 0.0});
    let mut shares = [0.0; MOST_CLASSES];
    shares[0] = 1.0;
    let report = json!({
        "accuracy": 1.0, "precision": shares.to_vec(), "recall": shares.to_vec(),
        "confusion": vec![vec![0; MOST_CLASSES]; MOST_CLASSES],
    });
    let file = json!({
        "format": 1,
        "manifest": {
            "name": name(0), "version": name(1), "target": name(2),
            "task": "classification", "algorithm": "decision-tree",
            "features": (0..MOST_FEATURES).map(feature).collect::<Value>(),
            "classes": (0..MOST_CLASSES).map(name).collect::<Value>(),
            "training": {"rows": 10, "test_rows": 2, "seed": 1, "report": {"classification": report}},
            "reference": {
                "features": vec![longest_profile(); MOST_FEATURES],
                "prediction": longest_profile(),
            },
        },
        "golden": [{
            "input": vec![0.0; MOST_FEATURES],
            "output": {"class": {"label": 0, "probabilities": shares.to_vec()}},
        }],
        "estimator": {
            "nodes": [{"output": 0, "split_feature": 0}],
            "classes": (0..MOST_CLASSES).collect::<Value>(),
        },
    });
    load::from_bytes(file.to_string().as_bytes(), &ModelConfig::default()).unwrap()
}

/// Makes every series that requests could ever make.
fn exhaust(http: &HttpMetrics) {
    for endpoint in Endpoint::ALL.iter().copied() {
        http.received(endpoint, 1);
        http.sent(endpoint, 1);
        for kind in ErrorType::ALL {
            http.failed(endpoint, *kind);
        }
        for method in Method::ALL.iter().copied() {
            http.took(method, endpoint, 1.0);
            for (status, _) in STATUSES {
                http.answered(method, endpoint, status);
            }
        }
    }
}

/// Makes every series that parameters could ever make.
fn exhaust_own(server: &Server) {
    let business = server.0.metrics.business.as_ref().unwrap();
    for at in 0..2 * MOST_SERIES {
        let mut request = request(http::Method::POST, &format!("/predict?p={at}"), "");
        let visit = business.begin(Endpoint::Predict, &mut request, Caller::Anyone);
        visit.unwrap().answered(true, 0.0);
    }
}

#[test]
fn prometheus_takes_all_that_the_largest_model_exports() {
    let label = json!({"name": "p", "source": {"parameter": "p"}, "maxValues": 998});
    let own = |at| json!({"name": format!("own_{at}"), "type": "counter", "labels": [label]});
    let config = ServerConfig {
        business_metrics: serde_json::from_value((0..MOST_METRICS).map(own).collect()).unwrap(),
        compatibility: Compatibility::ALL.to_vec(),
        ..ServerConfig::default()
    };
    let server = Server::guarded(largest(), &config);
    exhaust(&server.0.metrics.http);
    exhaust_own(&server);
    let found = exposition(&server);
    let own = found.iter().filter(|(name, _)| name.starts_with("own_"));
    let own: usize = own.map(|(_, family)| family.samples.len()).sum();
    assert_eq!(own, MOST_SERIES_IN_ALL);
    let samples = samples(&server);
    assert!((samples as u64) < SAMPLE_LIMIT, "{samples} samples");
    let all = found.values().flat_map(|family| &family.samples);
    let values = all.flat_map(|(_, labels, _)| labels.values());
    let longest = values.max_by_key(|value| value.len()).unwrap();
    assert!(
        longest.len() as u64 <= LABEL_VALUE_LENGTH_LIMIT,
        "{longest}"
    );
    assert!(longest.starts_with("(-0.000"), "{longest}");
}
