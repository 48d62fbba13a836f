//! The metrics: complete, declared, well formed, and counting what they say.
// Clippy takes what is no test itself for production code.
#![allow(clippy::unwrap_used)]

mod support;

use contract::config::{ModelConfig, SecretFile, ServerConfig};
use contract::labels::{Endpoint, ErrorType, Method};
use contract::limits::{
    LABEL_VALUE_LENGTH_LIMIT, LONGEST_NAME, MOST_BINS, MOST_CLASSES, MOST_FEATURES, SAMPLE_LIMIT,
};
use contract::metrics::{Kind, METRICS};
use inference::load::{self, LoadedModel};
use inference::serve::metrics::{HttpMetrics, STATUSES};
use rstest::rstest;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use support::{Behaviour, ROW, Server, diabetes, made};

/// A family as read back from the text.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    help: String,
    /// Name, labels and value of each sample.
    samples: Vec<(String, BTreeMap<String, String>, f64)>,
}

/// Reads the text format strictly, by its specification and not by the crate that wrote it.
fn parse(text: &str) -> BTreeMap<String, Family> {
    assert!(text.ends_with('\n'), "the last line must end");
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            let fresh = families
                .insert(name.to_owned(), Family::default())
                .is_none();
            assert!(fresh, "{name} comes twice");
            families.get_mut(name).unwrap().help = help.to_owned();
            current = name.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(name, current, "the type follows the help");
            families.get_mut(name).unwrap().kind = kind.to_owned();
        } else {
            let (name, labels, value) = sample(line);
            let family = families.get_mut(&current).unwrap();
            let suffixes: &[&str] = match family.kind.as_str() {
                "histogram" => &["_bucket", "_sum", "_count"],
                _ => &[""],
            };
            let known = suffixes
                .iter()
                .any(|suffix| name == format!("{current}{suffix}"));
            assert!(known, "{name} under {current}");
            family.samples.push((name, labels, value));
        }
    }
    families
}

fn sample(line: &str) -> (String, BTreeMap<String, String>, f64) {
    let (series, value) = line.rsplit_once(' ').unwrap();
    let value = match value {
        "+Inf" => f64::INFINITY,
        number => number
            .parse()
            .unwrap_or_else(|_| panic!("no number in {line}")),
    };
    let Some((name, rest)) = series.split_once('{') else {
        return (series.to_owned(), BTreeMap::new(), value);
    };
    let mut rest = rest.strip_suffix('}').unwrap();
    let mut labels = BTreeMap::new();
    while !rest.is_empty() {
        let (key, quoted) = rest.split_once("=\"").unwrap();
        let end = closing_quote(quoted);
        assert!(
            labels
                .insert(key.to_owned(), quoted[..end].to_owned())
                .is_none()
        );
        rest = quoted[end + 1..].trim_start_matches(',');
    }
    (name.to_owned(), labels, value)
}

fn closing_quote(text: &str) -> usize {
    let mut escaped = false;
    let quote = text.char_indices().find(|(_, char)| {
        let ends = *char == '"' && !escaped;
        escaped = *char == '\\' && !escaped;
        ends
    });
    quote.unwrap().0
}

fn exposition(server: &Server) -> BTreeMap<String, Family> {
    parse(&server.exposition())
}

/// Some families exist only where API keys are configured.
fn with_keys(model: LoadedModel) -> Server {
    let file = tempfile::NamedTempFile::new().unwrap();
    let line = inference::serve::access::key_file::line("alice", "key");
    std::fs::write(file.path(), line).unwrap();
    let keys = SecretFile {
        file: file.path().to_str().unwrap().to_owned(),
    };
    let config = ServerConfig {
        api_keys: Some(keys),
        ..ServerConfig::default()
    };
    Server::guarded(model, &config)
}

#[test]
fn every_family_of_the_contract_is_there_from_the_start_and_no_other() {
    let found = exposition(&with_keys(diabetes()));
    let declared = METRICS.iter().map(|metric| metric.name.to_owned());
    let standard = |name: &String| name.starts_with("process_");
    let others = found.keys().filter(|name| !standard(name)).cloned();
    assert_eq!(
        others.collect::<BTreeSet<_>>(),
        declared.collect::<BTreeSet<_>>()
    );
    assert!(found.keys().any(standard));
}

#[test]
fn a_regression_lacks_nothing_but_the_confusion_matrix() {
    let found = exposition(&with_keys(made(Behaviour::Add, &[])));
    let names = METRICS.iter().map(|metric| metric.name);
    let missing: Vec<_> = names.filter(|name| !found.contains_key(*name)).collect();
    assert_eq!(missing, ["model_feedback_total"]);
}

#[test]
fn families_have_the_type_help_and_labels_of_the_contract() {
    let found = exposition(&with_keys(diabetes()));
    for metric in METRICS {
        let family = &found[metric.name];
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
    assert_eq!(
        series("model_feature_bin_info"),
        series("model_feature_reference_ratio")
    );
    let ages = found["model_feature_bin_info"].samples.iter();
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
    let labels = format!(r#"feature="{feature}",model_version="v7",reason="{reason}""#);
    assert_eq!(
        server.metric(&format!("model_feature_invalid_total{{{labels}}}")),
        1.0
    );
}

#[tokio::test]
async fn labels_never_come_from_a_request() {
    let server = Server::new(made(Behaviour::Add, &[]));
    let series = |server: &Server| -> usize {
        exposition(server)
            .values()
            .map(|family| family.samples.len())
            .sum()
    };
    for (method, path) in [
        ("GET", "/a"),
        ("PATCH", "/predict"),
        ("BREW", "/v2/models/x/infer"),
    ] {
        let request = http::Request::builder().method(method).uri(path);
        server.send(request.body("".into()).unwrap()).await;
    }
    let before = series(&server);
    for at in 0..50 {
        let request = http::Request::builder().method(format!("M{at}").as_str());
        let request = request.uri(format!("/v2/models/m{at}/infer"));
        server.send(request.body("".into()).unwrap()).await;
        server.get(&format!("/path{at}")).await;
    }
    assert_eq!(series(&server), before);
    let errors = &exposition(&server)["api_errors_total"].samples;
    for (_, labels, _) in errors {
        assert!(Endpoint::parse(&labels["endpoint"]).is_some(), "{labels:?}");
        assert!(
            ErrorType::parse(&labels["error_type"]).is_some(),
            "{labels:?}"
        );
    }
}

#[test]
fn a_fresh_server_has_no_more_series_than_eight_features_and_three_routes_need() {
    let found = exposition(&Server::new(diabetes()));
    let series: usize = found.values().map(|family| family.samples.len()).sum();
    assert!(series <= 620, "{series} series before the first request");
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

#[test]
fn prometheus_takes_all_that_the_largest_model_exports() {
    let server = Server::new(largest());
    exhaust(&server.0.metrics.http);
    let found = exposition(&server);
    let samples: usize = found.values().map(|family| family.samples.len()).sum();
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
