//! Files that must not load, each with the reason that the server gives for it.
#![allow(clippy::unwrap_used)] // Clippy does not take helpers outside of #[test] for tests.

mod common;

use common::{encode, load_bytes, train_example};
use contract::config::{Builtin, ModelConfig, ModelSource};
use contract::labels::LoadFailure;
use inference::artifact::Algorithm;
use inference::load::{builtin, from_bytes, load};
use inference::train::save;
use rstest::rstest;
use serde_json::{Value, json};
use std::sync::LazyLock;

const DIABETES: usize = 0;
const WINE: usize = 1;
const PROGRESSION: usize = 2;

fn document(example: usize, algorithm: Algorithm) -> Value {
    serde_json::from_slice(&encode(&train_example(example, algorithm))).unwrap()
}

macro_rules! documents {
    ($($name:ident: $example:expr, $algorithm:ident;)+) => {
        $(static $name: LazyLock<Value> = LazyLock::new(|| document($example, Algorithm::$algorithm));)+
    };
}

documents! {
    LOGISTIC: DIABETES, LogisticRegression;
    TREE: DIABETES, DecisionTree;
    LINEAR: PROGRESSION, LinearRegression;
}

/// Loads `document` with the value at `pointer` replaced or added; returns what the error says.
fn broken(document: &Value, pointer: &str, value: Value) -> (LoadFailure, String) {
    let mut document = document.clone();
    match document.pointer_mut(pointer) {
        Some(place) => *place = value,
        None => {
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            document.pointer_mut(parent).unwrap()[key] = value;
        }
    }
    let error = load_bytes(document.to_string().as_bytes()).unwrap_err();
    (error.reason, error.message)
}

fn features(number: usize) -> Value {
    let feature = |at| json!({"name": format!("f{at}"), "kind": "float", "min": 0.0, "max": 1.0, "missing": 0.0});
    (0..number).map(feature).collect()
}

#[rstest]
#[case("/manifest/name", json!(""), "is no name")]
#[case("/manifest/name", json!("a/b"), "is no name")]
#[case("/manifest/name", json!("x".repeat(129)), "is no name")]
#[case("/manifest/version", json!("1 2"), "is no name")]
#[case("/manifest/target", json!("a\nb"), "is no name for a target")]
#[case("/manifest/features", json!([]), "0 features")]
#[case("/manifest/features", features(301), "301 features, expected 1 to 300")]
#[case("/manifest/features/0/name", json!("Glucose"), "two of the feature names are \"Glucose\"")]
#[case("/manifest/features/0/name", json!("x".repeat(129)), "is no name for a feature")]
#[case("/manifest/features/0/name", json!("ü".repeat(65)), "is no name for a feature")]
#[case("/manifest/features/0/name", json!("a\u{7}"), "is no name for a feature")]
#[case("/manifest/features/0/name", json!("@prediction"), "that is the prediction itself")]
#[case("/manifest/features/0/min", json!(1e9), "is empty")]
#[case("/manifest/features/0/missing", json!(2), "a share of 2 is missing")]
#[case("/manifest/features/0/min", json!(null), "not a model file")]
#[case("/manifest/classes", json!(["0"]), "1 classes")]
#[case("/manifest/classes", json!((0..81).map(|class| class.to_string()).collect::<Vec<_>>()), "81 classes")]
#[case("/manifest/classes", json!(["0", "0"]), "two of the class names")]
#[case("/manifest/classes", json!(["0", "1", "2"]), "report does not fit")]
#[case("/manifest/task", json!("regression"), "logistic-regression\" for regression")]
#[case("/manifest/training/report", json!({"regression": {"rmse": 1.0, "mae": 1.0, "r2": 0.0}}), "report does not fit")]
#[case("/manifest/reference/features/0/shares", json!([1.0]), "shares for")]
#[case("/manifest/reference/features/0", json!({"edges": [2.0, 1.0], "shares": [0.3, 0.3, 0.4]}), "do not rise")]
#[case("/manifest/reference/features/0", json!({"edges": [1.0], "shares": [0.3, 0.3]}), "expected 1")]
#[case("/manifest/reference/features/0", json!({"edges": [1.0], "shares": [-1.0, 2.0]}), "expected 1")]
#[case("/manifest/reference/features/0", json!({"edges": [1e-101], "shares": [0.5, 0.5]}), "of a size from 1e-100")]
#[case("/manifest/reference/features/0", json!({"edges": [0.0, 1e101], "shares": [0.5, 0.5, 0.0]}), "to 1e100")]
#[case("/manifest/reference/features/0", json!({"edges": (0..10).collect::<Vec<_>>(), "shares": vec![1.0 / 11.0; 11]}), "11 bins")]
#[case("/manifest/reference/features", json!([]), "0 reference profiles")]
#[case("/golden", json!([]), "0 golden rows, expected 1 to 100")]
#[case("/golden/0/input", json!([1.0]), "golden row 0 has 1 values for 8 features")]
#[case("/golden/0/output", json!({"value": 1.0}), "does not fit the task")]
#[case("/golden/0/output", json!({"class": {"label": 2}}), "does not fit the task")]
#[case("/scaling/mean", json!([1.0]), "scaling means: 1 found, expected 8")]
#[case("/scaling/deviation/3", json!(0.0), "not above 0")]
#[case("/scaling/deviation/3", json!(null), "not a model file")]
#[case("/format", json!("one"), "not a model file")]
#[case("/estimator", json!({}), "is not a logistic-regression: missing field")]
#[case("/estimator/classes", json!([0, 1, 2]), "classes are not 0 to 1")]
#[case("/estimator/coefficients/nrows", json!(2), "coefficients are 2 × 8 with 8 values")]
#[case("/estimator/coefficients/values", json!([]), "with 0 values")]
#[case("/estimator/coefficients/ncols", json!(u64::MAX), "expected 1 × 8")]
#[case("/estimator/intercept/values/0", json!(null), "is not a logistic-regression: invalid type: null")]
fn a_logistic_regression_that_contradicts_itself_is_refused(
    #[case] pointer: &str,
    #[case] value: Value,
    #[case] message: &str,
) {
    let (reason, said) = broken(&LOGISTIC, pointer, value);
    let expected = match pointer {
        "/manifest/task" => LoadFailure::Unsupported,
        _ => LoadFailure::Corrupt,
    };
    assert_eq!(reason, expected, "{said}");
    assert!(said.contains(message), "{said}");
}

#[rstest]
#[case("/format", json!(2), "the file has format 2, this build reads format 1")]
#[case("/manifest/algorithm", json!("oracle"), "this build has no algorithm \"oracle\" for classification")]
#[case("/manifest/algorithm", json!("lasso"), "no algorithm \"lasso\" for classification")]
fn what_a_later_version_might_write_is_unsupported(
    #[case] pointer: &str,
    #[case] value: Value,
    #[case] message: &str,
) {
    let (reason, said) = broken(&LOGISTIC, pointer, value);
    assert_eq!(reason, LoadFailure::Unsupported, "{said}");
    assert!(said.contains(message), "{said}");
}

#[test]
fn another_format_is_unsupported_even_if_nothing_else_is_known() {
    let error = load_bytes(br#"{"format": 7, "weights": "elsewhere"}"#).unwrap_err();
    assert_eq!(error.reason, LoadFailure::Unsupported);
}

#[rstest]
#[case(&LOGISTIC, "/golden/3/output/class/label", json!(0), json!(1))]
#[case(&LOGISTIC, "/estimator/intercept/values/0", json!(0.25), json!(-0.25))]
#[case(&TREE, "/golden/3/output/class/probabilities", json!(null), json!(null))]
#[case(&LINEAR, "/golden/3/output/value", json!(151.0), json!(151.0))]
fn a_model_that_answers_otherwise_than_recorded_fails_its_self_test(
    #[case] document: &Value,
    #[case] pointer: &str,
    #[case] value: Value,
    #[case] or: Value,
) {
    let before = document.pointer(pointer).unwrap();
    let value = if *before == value { or } else { value };
    let (reason, said) = broken(document, pointer, value);
    assert_eq!(reason, LoadFailure::SelfTestFailed, "{said}");
    assert!(said.contains("golden row"), "{said}");
}

#[test]
fn the_last_bit_of_a_recorded_value_matters() {
    let recorded = LINEAR["golden"][3]["output"]["value"].as_f64().unwrap();
    let (reason, _) = broken(&LINEAR, "/golden/3/output/value", json!(recorded.next_up()));
    assert_eq!(reason, LoadFailure::SelfTestFailed);
}

#[rstest]
#[case(b"")]
#[case(b"[]")]
#[case(b"null")]
#[case(b"\x1f\x8b")]
#[case(b"\x80\x04pickle")]
#[case(b"{\"format\": 1}")]
fn anything_else_is_corrupt(#[case] bytes: &[u8]) {
    assert_eq!(load_bytes(bytes).unwrap_err().reason, LoadFailure::Corrupt);
}

#[test]
fn an_unknown_field_is_corrupt() {
    let mut document = LOGISTIC.clone();
    document["manifest"]["nmae"] = json!("typo");
    let error = load_bytes(document.to_string().as_bytes()).unwrap_err();
    assert_eq!(error.reason, LoadFailure::Corrupt);
    assert!(error.message.contains("nmae"));
}

#[test]
fn another_sha256_is_refused_before_the_file_is_parsed_and_both_are_named() {
    let config = ModelConfig {
        sha256: Some("0".repeat(64)),
        ..ModelConfig::default()
    };
    let error = from_bytes(b"not even JSON", &config).unwrap_err();
    assert_eq!(error.reason, LoadFailure::ChecksumMismatch);
    assert!(error.message.contains(&save::sha256(b"not even JSON")));
    assert!(error.message.contains(&"0".repeat(64)));

    let bytes = builtin(Builtin::Diabetes);
    let config = ModelConfig {
        sha256: Some(save::sha256(bytes).to_uppercase()),
        ..ModelConfig::default()
    };
    assert!(from_bytes(bytes, &config).is_ok());
}

#[test]
fn name_and_version_come_from_the_configuration_the_file_or_the_sha256() {
    let file = train_example(WINE, Algorithm::GaussianNb);
    let bytes = encode(&file);
    let model = load_bytes(&bytes).unwrap();
    assert_eq!(model.name, "test");
    assert_eq!(model.sha256, save::sha256(&bytes));
    assert_eq!(model.version, model.sha256[..8]);
    let config = ModelConfig {
        name: Some("wine".to_owned()),
        version: Some("v7".to_owned()),
        ..ModelConfig::default()
    };
    let model = from_bytes(&bytes, &config).unwrap();
    assert_eq!((&*model.name, &*model.version), ("wine", "v7"));
}

#[test]
fn a_file_is_loaded_through_a_symbolic_link_as_kubernetes_mounts_it() {
    let folder = tempfile::tempdir().unwrap();
    let (file, link) = (
        folder.path().join("data"),
        folder.path().join("model.json.gz"),
    );
    std::fs::write(&file, builtin(Builtin::Diabetes)).unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let config = ModelConfig {
        source: ModelSource::File(link.display().to_string()),
        ..ModelConfig::default()
    };
    assert!(load(&config).is_ok());
}
