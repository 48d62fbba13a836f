//! Walks the tables: what Prometheus' conventions ask of every metric and label.

use contract::config::ServerConfig;
use contract::labels::{
    Endpoint, ErrorType, FeedbackRejection, InvalidFeature, KeyOutcome, LoadFailure, Method,
    ObservationRejection, Score, StartFailure, TritonFailure,
};
use contract::metrics::{Buckets, Kind, METRICS, Metric};
use std::collections::HashSet;

fn is_snake_case(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn assert_all(what: &str, holds: impl Fn(&Metric) -> bool) {
    let offenders: Vec<_> = METRICS
        .iter()
        .filter(|m| !holds(m))
        .map(|m| m.name)
        .collect();
    assert!(offenders.is_empty(), "{what}: {offenders:?}");
}

#[test]
fn names_are_unique_even_as_series() {
    let mut seen = HashSet::new();
    for series in METRICS.iter().flat_map(Metric::series) {
        assert!(seen.insert(series.clone()), "{series} is declared twice");
    }
}

#[test]
fn names_and_labels_are_snake_case() {
    assert_all("not snake_case", |m| {
        is_snake_case(m.name) && m.labels.iter().all(|l| is_snake_case(l))
    });
}

#[test]
fn counters_and_only_counters_end_in_total() {
    assert_all("_total belongs to counters", |m| {
        m.name.ends_with("_total") == matches!(m.kind, Kind::Counter)
    });
}

#[test]
fn measured_things_name_their_base_unit() {
    // Names that the tutorials fixed, and gauges and counters of things without a unit.
    let unitless = [
        "api_active_requests",
        "model_loaded",
        "model_batch_rows",
        "model_reference_score",
        "prediction_distribution",
        "validation_rmse",
    ];
    let units = ["_seconds", "_bytes", "_ratio", "_info", "_total"];
    assert_all("no base unit", |m| {
        unitless.contains(&m.name) || units.iter().any(|unit| m.name.ends_with(unit))
    });
    assert_all("not a base unit", |m| {
        !["_ms", "_milliseconds", "_minutes", "_kilobytes", "_percent"]
            .iter()
            .any(|u| m.name.contains(u))
    });
}

#[test]
fn reserved_suffixes_and_labels_are_free() {
    assert_all("suffix reserved for histograms", |m| {
        !["_bucket", "_sum", "_count"]
            .iter()
            .any(|suffix| m.name.ends_with(suffix))
    });
    assert_all("label reserved by Prometheus or by scraping", |m| {
        !m.labels.iter().any(|l| {
            [
                "le",
                "quantile",
                "job",
                "instance",
                "namespace",
                "pod",
                "modelservice",
            ]
            .contains(l)
        })
    });
}

#[test]
fn help_is_a_sentence() {
    assert_all("help", |m| {
        m.help.len() > 10 && m.help.ends_with('.') && !m.help.contains('\n')
    });
}

#[test]
fn buckets_rise_and_are_finite() {
    for metric in METRICS {
        if let Kind::Histogram(Buckets::Fixed(edges)) = metric.kind {
            assert!(edges.len() >= 5, "{} has too few buckets", metric.name);
            assert!(
                edges.windows(2).all(|pair| pair[0] < pair[1]),
                "{} does not rise",
                metric.name
            );
            assert!(
                edges.iter().all(|edge| edge.is_finite()),
                "{} ends in +Inf",
                metric.name
            );
        }
    }
}

#[test]
fn label_values_are_unique_and_parse_back() {
    fn check(values: &[&str], parses: impl Fn(&str) -> bool) {
        let distinct: HashSet<_> = values.iter().collect();
        assert_eq!(distinct.len(), values.len(), "{values:?}");
        assert!(values.iter().all(|value| parses(value)), "{values:?}");
        assert!(!parses("no such value"));
    }
    macro_rules! check_sets {
        ($($set:ident),+) => {
            $(check(
                &$set::ALL.iter().map(|value| value.as_str()).collect::<Vec<_>>(),
                |text| $set::parse(text).is_some_and(|value| value.as_str() == text),
            );)+
        };
    }
    check_sets!(
        Method,
        Endpoint,
        ErrorType,
        LoadFailure,
        StartFailure,
        KeyOutcome,
        InvalidFeature,
        FeedbackRejection,
        Score,
        ObservationRejection,
        TritonFailure
    );
}

#[test]
fn a_configuration_survives_the_trip_and_unknown_fields_do_not() {
    let config = ServerConfig::default();
    let text = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<ServerConfig>(&text).unwrap(), config);
    assert_eq!(serde_json::from_str::<ServerConfig>("{}").unwrap(), config);
    let secrets = r#"{"apiKeys":{"file":"a"},"tls":{"certificate":"b","key":"c"},"metricsToken":{"file":"d"}}"#;
    let config: ServerConfig = serde_json::from_str(secrets).unwrap();
    let text = serde_json::to_string(&config).unwrap();
    assert!(text.ends_with(&secrets[1..]), "{text}");
    assert!(serde_json::from_str::<ServerConfig>(r#"{"tls":{"key":"c"}}"#).is_err());
    let error = serde_json::from_str::<ServerConfig>(r#"{"limit": {}}"#)
        .unwrap_err()
        .to_string();
    assert!(error.contains("unknown field `limit`"), "{error}");
}

#[test]
fn the_metrics_page_is_fresh() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
    let page = contract::metrics::markdown();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    assert!(
        std::fs::read_to_string(path).is_ok_and(|text| text == page),
        "docs/metrics.md is stale: run `make gen`"
    );
}

#[test]
fn the_list_of_predicting_routes_is_complete() {
    for endpoint in Endpoint::ALL.iter().copied() {
        let listed = Endpoint::PREDICTING.contains(&endpoint);
        assert_eq!(endpoint.is_predicting(), listed, "{endpoint}");
    }
}
