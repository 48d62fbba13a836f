//! Which metrics of the user's own are refused, and what is said about it.
// Clippy takes what is no test itself for production code.
#![allow(clippy::unwrap_used)]

use contract::business::{
    BusinessKind, BusinessMetric, BusinessValue, MOST_METRICS, MOST_SERIES, check,
};
use contract::compatibility::{ALIASES, AliasKind};
use contract::metrics::METRICS;
use serde_json::{Value, json};
use std::collections::HashSet;

fn metrics(all: Value) -> Vec<BusinessMetric> {
    serde_json::from_value(all).unwrap()
}

fn counter(name: &str) -> Value {
    json!({"name": name, "type": "counter"})
}

fn labelled(labels: &Value) -> Value {
    json!({"name": "m", "type": "counter", "labels": labels})
}

fn label(name: &str) -> Value {
    json!({"name": name, "source": "outcome"})
}

fn listed(count: usize) -> Value {
    let values: Vec<String> = (0..count).map(|at| at.to_string()).collect();
    json!({"name": "l", "source": {"parameter": "p"}, "values": values})
}

fn most(max_values: u32) -> Value {
    json!({"name": "l", "source": {"parameter": "p"}, "maxValues": max_values})
}

fn histogram(buckets: &Value, labels: &Value) -> Value {
    json!({"name": "m", "type": "histogram", "buckets": buckets, "labels": labels})
}

#[test]
fn the_examples_of_the_page_are_admitted() {
    let page = contract::metrics::markdown();
    let (_, json) = page.split_once("```json").unwrap();
    let json: Value = serde_json::from_str(json.split_once("```").unwrap().0).unwrap();
    let all = metrics(json["businessMetrics"].clone());
    assert_eq!(check(&all), Ok(()));
    let series: Vec<_> = all.iter().flat_map(BusinessMetric::series).collect();
    let latency = ["bucket", "sum", "count"].map(|part| format!("llm_latency_seconds_{part}"));
    let rate = ["sum", "count"].map(|part| format!("api_key_success_rate_{part}"));
    assert_eq!(
        series,
        [&["detection_total".to_owned()][..], &latency, &rate].concat()
    );
    assert_eq!(all[0].value, BusinessValue::One);
    assert_eq!(all[2].kind, BusinessKind::Average);
}

#[test]
fn what_just_fits_is_admitted() {
    for all in [
        json!([]),
        (0..MOST_METRICS)
            .map(|at| counter(&format!("m{at}")))
            .collect(),
        json!([labelled(&json!([listed(999)]))]),
        json!([labelled(&json!([most(998)]))]),
        json!([histogram(
            &json!((1..=30).collect::<Vec<_>>()),
            &json!([most(28)])
        )]),
        json!([histogram(&json!([]), &json!([most(50)]))]),
        json!([histogram(&json!([-1.5, 0, 1e300]), &json!([]))]),
        json!([labelled(&json!(["a", "B_2", "_c"].map(|name| {
            json!({"name": name, "source": {"constant": "x"}})
        })))]),
    ] {
        assert_eq!(check(&metrics(all.clone())), Ok(()), "{all}");
    }
}

#[test]
fn no_metric_takes_more_series_than_there_may_be() {
    let edges = |count: i32| histogram(&json!((1..=count).collect::<Vec<_>>()), &json!([]));
    for metric in metrics(json!([
        counter("m"),
        edges(1),
        edges(30),
        histogram(&json!([]), &json!([]))
    ])) {
        let all = metric.series_per_set() * metric.most_sets();
        assert!((MOST_SERIES - metric.series_per_set()..=MOST_SERIES).contains(&all));
    }
}

const WORD: &str = "expected 1 to 128 letters, digits or '_' that do not begin with a digit";

/// Each of `cases` is refused, with the words beside it.
fn assert_refused<const CASES: usize>(cases: [(Value, &str); CASES]) {
    for (all, expected) in cases {
        let said = check(&metrics(all)).unwrap_err().to_string();
        assert!(said.starts_with("businessMetrics"), "{said}");
        assert!(said.contains(expected), "{said} lacks {expected}");
    }
}

#[test]
fn too_many_metrics_and_series_are_refused() {
    let many = (0..=MOST_METRICS).map(|at| counter(&format!("m{at}")));
    let full = |at| json!({"name": format!("m{at}"), "type": "counter", "labels": [listed(900)]});
    let six = json!(["a", "b", "c", "d", "e", "f"].map(label));
    assert_refused([
        (
            many.collect(),
            "businessMetrics: 21 metrics, expected at most 20",
        ),
        (
            (0..6).map(full).collect(),
            "businessMetrics: 5406 time series from the start, expected at most 5000",
        ),
        (
            json!([labelled(&six)]),
            r#"metric "m": 6 labels, expected at most 5"#,
        ),
        (
            json!([labelled(&json!([listed(1000)]))]),
            r#"metric "m": the listed values make 1000 sets of labels, expected at most 999: each takes 1 of at most 1000 time series"#,
        ),
        (
            json!([labelled(&json!([most(0)]))]),
            "maxValues is 0, expected 1 to 998: each value takes 1 of at most 1000 time series",
        ),
        (
            json!([labelled(&json!([most(999)]))]),
            "maxValues is 999, expected 1 to 998: each value takes 1 of",
        ),
        (
            json!([histogram(&json!([]), &json!([most(57)]))]),
            "maxValues is 57, expected 1 to 56: each value takes 17 of at most 1000 time series",
        ),
    ]);
}

#[test]
fn names_that_are_none_are_refused() {
    let long = "x".repeat(129);
    let cut = format!("{:?}…", "x".repeat(128));
    for (name, shown) in [
        ("", r#""""#),
        ("1a", r#""1a""#),
        ("a:b", r#""a:b""#),
        ("a b", r#""a b""#),
        ("ä", r#""ä""#),
        (&long, &cut),
    ] {
        let metric = format!("metric {shown}: {shown} is no name for a metric, {WORD}");
        let a_label =
            format!(r#"metric "m", label {shown}: {shown} is no name for a label, {WORD}"#);
        assert_refused([
            (json!([counter(name)]), &metric),
            (json!([labelled(&json!([label(name)]))]), &a_label),
        ]);
    }
}

#[test]
fn names_that_others_have_are_refused() {
    for (name, owner) in [
        ("api_requests_total", "a metric of the server"),
        (
            "api_request_duration_seconds_count",
            "a metric of the server",
        ),
        ("api_request_duration_seconds", "a metric of the server"),
        ("business_label_overflow_total", "a metric of the server"),
        ("process_x", "a standard metric"),
        ("scrape_x", "a standard metric"),
        ("__name__", "a standard metric"),
        ("up", "a standard metric"),
        (
            "nv_inference_count",
            "a metric that the server shows for another system",
        ),
        (
            "model_infer_request_duration_sum",
            "a metric that the server shows for another system",
        ),
    ] {
        let expected =
            format!("metric {name:?}: the name {name:?} is that of {owner}, expected another");
        assert_refused([(json!([counter(name)]), &expected)]);
    }
    let average = |name| json!({"name": name, "type": "average"});
    assert_refused([
        (
            json!([average("model_batch_rows")]),
            r#"the name "model_batch_rows_sum" is that of a metric of the server"#,
        ),
        (
            json!([counter("a"), counter("a")]),
            r#"metric "a": the name "a" is that of a metric before, expected another"#,
        ),
        (
            json!([average("a"), counter("a_sum")]),
            r#"metric "a_sum": the name "a_sum" is that of a metric before"#,
        ),
        (
            json!([counter("a_count"), {"name": "a", "type": "histogram"}]),
            r#"metric "a": the name "a_count" is that of a metric before"#,
        ),
        (
            json!([labelled(&json!([label("l"), listed(1)]))]),
            r#"metric "m", label "l": the name is that of a label before, expected another"#,
        ),
    ]);
}

#[test]
fn buckets_that_are_none_are_refused() {
    assert_refused([
        (
            json!([{"name": "m", "type": "average", "buckets": [1]}]),
            r#"metric "m": buckets, expected none: only a histogram has any"#,
        ),
        (
            json!([{"name": "m", "type": "counter", "buckets": [1]}]),
            r#"metric "m": buckets, expected none: only a histogram has any"#,
        ),
        (
            json!([histogram(&json!(vec![1; 31]), &json!([]))]),
            "31 buckets, expected at most 30",
        ),
        (
            json!([histogram(&json!([1, 3, 2]), &json!([]))]),
            "the buckets [3.0, 2.0], expected rising ones",
        ),
        (
            json!([histogram(&json!([1, 1]), &json!([]))]),
            "the buckets [1.0, 1.0], expected rising ones",
        ),
    ]);
}

#[test]
fn sources_and_values_that_cannot_be_are_refused() {
    let value = json!([{"name": "a", "type": "counter", "value": {"parameter": ""}}]);
    assert_refused([(
        value,
        r#"metric "a": the parameter "", expected a name of 1 to 128 bytes"#,
    )]);
    for (a_label, expected) in [
        (
            json!({"source": {"parameter": ""}}),
            r#"the parameter "", expected a name of 1 to 128 bytes"#,
        ),
        (
            json!({"source": {"constant": ""}}),
            r#"the constant "", expected 1 to 128 bytes"#,
        ),
        (
            json!({"source": {"constant": "x"}, "maxValues": 2}),
            "values or maxValues beside a constant, expected neither",
        ),
        (
            json!({"source": {"constant": "x"}, "values": ["x"]}),
            "values or maxValues beside a constant, expected neither",
        ),
        (
            json!({"source": "outcome", "values": ["a", ""]}),
            r#"the value "", expected 1 to 128 bytes"#,
        ),
        (
            json!({"source": "outcome", "values": ["a", "b", "a"]}),
            r#"the value "a" is listed twice"#,
        ),
        (
            json!({"source": "apiKey", "values": ["a"], "maxValues": 2}),
            "maxValues beside values, expected one of them",
        ),
    ] {
        let mut a_label = a_label;
        a_label["name"] = json!("l");
        let expected = format!(r#"metric "m", label "l": {expected}"#);
        assert_refused([(json!([labelled(&json!([a_label]))]), &expected)]);
    }
    assert_refused([(
        json!([labelled(&json!([label("a"), label("b")]))]),
        r#"label "b": the source is that of a label before, expected another"#,
    )]);
}

#[test]
fn labels_of_prometheus_and_of_scraping_are_refused() {
    for name in [
        "le",
        "quantile",
        "__x",
        "namespace",
        "modelservice",
        "pod",
        "service",
        "container",
        "job",
        "instance",
        "without",
        "NaN",
    ] {
        let said = check(&metrics(json!([labelled(&json!([label(name)]))]))).unwrap_err();
        let expected = "the name is one that Prometheus gives itself, expected another";
        assert!(said.to_string().ends_with(expected), "{said}");
    }
}

#[test]
fn who_defines_metrics_cannot_make_up_those_of_the_operator_or_of_the_cluster() {
    for name in [
        "modelservice_leader",
        "kube_pod_info",
        "container_cpu",
        "inf",
    ] {
        let said = check(&metrics(json!([{"name": name, "type": "counter"}]))).unwrap_err();
        assert!(said.to_string().contains("a standard metric"), "{said}");
    }
}

#[test]
fn rows_are_not_counted_once_for_each_row() {
    let outcome = json!({"name": "outcome", "source": "outcome"});
    let rows = json!([{"name": "m", "type": "counter", "value": {"request": "rows"}, "labels": [outcome]}]);
    let said = check(&metrics(rows)).unwrap_err().to_string();
    assert!(said.contains("then each row is 1"), "{said}");
}

#[test]
fn a_bucket_that_is_not_finite_is_refused() {
    for edge in [f64::NAN, f64::INFINITY] {
        let mut all = metrics(json!([histogram(&json!([1]), &json!([]))]));
        all[0].buckets.push(edge);
        let said = check(&all).unwrap_err().to_string();
        assert!(said.ends_with("expected a finite number"), "{said}");
    }
}

#[test]
fn forms_that_the_configuration_has_not_are_refused() {
    for wrong in [
        json!({"name": "m", "type": "gauge"}),
        json!({"name": "m"}),
        json!({"name": "m", "type": "counter", "unit": "s"}),
        json!({"name": "m", "type": "counter", "value": {"request": "rate"}}),
        json!({"name": "m", "type": "counter", "labels": [{"name": "l"}]}),
        json!({"name": "m", "type": "counter", "labels": [{"name": "l", "source": "path"}]}),
    ] {
        let read = serde_json::from_value::<BusinessMetric>(wrong.clone());
        assert!(read.is_err(), "{wrong}");
    }
}

#[test]
fn names_of_other_systems_are_theirs_alone() {
    let own: HashSet<String> = METRICS.iter().flat_map(|metric| metric.series()).collect();
    let mut seen = HashSet::new();
    for alias in ALIASES {
        for series in alias.series() {
            assert!(!own.contains(&series), "{series} is ours");
            assert!(seen.insert(series.clone()), "{series} is declared twice");
        }
        assert!(
            alias.help.ends_with('.') && alias.help.len() > 10,
            "{}",
            alias.name
        );
        assert!(!alias.labels.is_empty(), "{}", alias.name);
        let counts = matches!(alias.kind, AliasKind::Counter);
        assert!(counts || !alias.name.ends_with("_total"), "{}", alias.name);
    }
}
