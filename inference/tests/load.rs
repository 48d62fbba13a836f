//! Files that must not load, each with the reason that the server gives for it.
#![allow(clippy::unwrap_used)] // Clippy does not take helpers outside of #[test] for tests.

mod common;

use common::{EXAMPLES, data, encode, load_bytes, options, train, train_example};
use contract::config::{Builtin, ModelConfig, ModelSource};
use contract::labels::LoadFailure;
use inference::artifact::Algorithm;
use inference::load::{LARGEST_PACKED, builtin, from_bytes, load};
use inference::model::Batch;
use inference::table::Table;
use inference::train::save;
use rstest::rstest;
use serde_json::{Value, json};
use std::sync::LazyLock;

const DIABETES: usize = 0;
const WINE: usize = 1;
const PROGRESSION: usize = 2;

fn document(example: usize, algorithm: Algorithm) -> Value {
    let (file, target, _) = EXAMPLES[example];
    let mut options = options(target, algorithm);
    if algorithm == Algorithm::RandomForest {
        options.parameters = vec![("trees".to_owned(), "3".to_owned())];
    }
    let table = Table::open(&data(file)).unwrap();
    serde_json::from_slice(&encode(&train(&table, &options).unwrap())).unwrap()
}

macro_rules! documents {
    ($($name:ident: $example:expr, $algorithm:ident;)+) => {
        $(static $name: LazyLock<Value> = LazyLock::new(|| document($example, Algorithm::$algorithm));)+
    };
}

documents! {
    LOGISTIC: DIABETES, LogisticRegression;
    TREE: DIABETES, DecisionTree;
    FOREST: WINE, RandomForest;
    REGRESSION_TREE: PROGRESSION, DecisionTree;
    LINEAR: PROGRESSION, LinearRegression;
    RIDGE: PROGRESSION, Ridge;
    NEIGHBOURS: WINE, Knn;
    MEAN_OF_NEIGHBOURS: PROGRESSION, Knn;
    BAYES: WINE, GaussianNb;
    MACHINES: WINE, Svm;
    MACHINE: PROGRESSION, Svm;
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

#[rstest]
#[case("/manifest/name", json!(""), "is no name")]
#[case("/manifest/name", json!("a/b"), "is no name")]
#[case("/manifest/name", json!("x".repeat(129)), "is no name")]
#[case("/manifest/version", json!("1 2"), "is no name")]
#[case("/manifest/target", json!("a\nb"), "no name for the target")]
#[case("/manifest/features", json!([]), "0 features")]
#[case("/manifest/features/0/name", json!("Glucose"), "two of the feature names are \"Glucose\"")]
#[case("/manifest/features/0/name", json!("x".repeat(129)), "is no name for a feature")]
#[case("/manifest/features/0/name", json!("a\u{7}"), "is no name for a feature")]
#[case("/manifest/features/0/name", json!("@prediction"), "that is the prediction itself")]
#[case("/manifest/features/0/min", json!(1e9), "is empty")]
#[case("/manifest/features/0/missing", json!(2), "a share of 2 is missing")]
#[case("/manifest/features/0/min", json!(null), "not a model file")]
#[case("/manifest/classes", json!(["0"]), "1 classes")]
#[case("/manifest/classes", json!(["0", "0"]), "two of the class names")]
#[case("/manifest/classes", json!(["0", "1", "2"]), "report does not fit")]
#[case("/manifest/task", json!("regression"), "logistic-regression\" for regression")]
#[case("/manifest/training/report", json!({"regression": {"rmse": 1.0, "mae": 1.0, "r2": 0.0}}), "report does not fit")]
#[case("/manifest/reference/features/0/shares", json!([1.0]), "shares for")]
#[case("/manifest/reference/features/0", json!({"edges": [2.0, 1.0], "shares": [0.3, 0.3, 0.4]}), "do not rise")]
#[case("/manifest/reference/features/0", json!({"edges": [1.0], "shares": [0.3, 0.3]}), "expected 1")]
#[case("/manifest/reference/features/0", json!({"edges": [1.0], "shares": [-1.0, 2.0]}), "expected 1")]
#[case("/manifest/reference/features", json!([]), "0 reference profiles")]
#[case("/golden", json!([]), "0 golden rows, expected 1 to 100")]
#[case("/golden/0/input", json!([1.0]), "golden row 0 has 1 values for 8 features")]
#[case("/golden/0/output", json!({"value": 1.0}), "does not fit the task")]
#[case("/golden/0/output", json!({"class": {"label": 2}}), "does not fit the task")]
#[case("/scaling/mean", json!([1.0]), "scaling means: 1 found, expected 8")]
#[case("/scaling/deviation/3", json!(0.0), "not above 0")]
#[case("/scaling/deviation/3", json!(null), "not a model file")]
#[case("/format", json!("one"), "not a model file")]
#[case("/estimator", json!({}), "is not a logistic-regression")]
#[case("/estimator/classes", json!([0, 1, 2]), "classes are not 0 to 1")]
#[case("/estimator/coefficients/nrows", json!(2), "coefficients are 2 × 8 with 8 values")]
#[case("/estimator/coefficients/values", json!([]), "with 0 values")]
#[case("/estimator/coefficients/ncols", json!(u64::MAX), "expected 1 × 8")]
#[case("/estimator/intercept/values/0", json!(null), "is not a logistic-regression")]
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
#[case(&TREE, "/estimator/nodes/0/true_child", json!(0), "its child 0 does not come after it")]
#[case(&TREE, "/estimator/nodes/1/true_child", json!(0), "its child 0 does not come after it")]
#[case(&TREE, "/estimator/nodes/0/true_child", json!(2), "node 2 has two parents")]
#[case(&TREE, "/estimator/nodes/0/true_child", json!(u32::MAX), "there is no node 4294967295")]
#[case(&TREE, "/estimator/nodes/0/true_child", json!(null), "it has one child")]
#[case(&TREE, "/estimator/nodes/0/true_child", json!(-1), "is not a decision-tree")]
#[case(&TREE, "/estimator/nodes/0/split_feature", json!(8), "there is no feature 8")]
#[case(&TREE, "/estimator/nodes/0/split_value", json!(null), "threshold is not a finite number")]
#[case(&TREE, "/estimator/nodes/0/output", json!(2), "the output is no class")]
#[case(&TREE, "/estimator/nodes", json!([]), "which has no nodes")]
#[case(&TREE, "/estimator/classes", json!([1, 0]), "classes are not 0 to 1")]
#[case(&FOREST, "/estimator/trees", json!([]), "a forest of no trees")]
#[case(&FOREST, "/estimator/trees/2/nodes/0/false_child", json!(0), "tree 2, node 0")]
#[case(&REGRESSION_TREE, "/estimator/tree_regressor/nodes/0/output", json!(null), "is not a decision-tree")]
#[case(&LINEAR, "/estimator/coefficients/values", json!([1.0]), "10 × 1 with 1 values")]
#[case(&RIDGE, "/estimator/intercept", json!(null), "is not a ridge")]
#[case(&NEIGHBOURS, "/estimator/k", json!(0), "k is 0, expected 1 to 142")]
#[case(&NEIGHBOURS, "/estimator/k", json!(143), "k is 143")]
#[case(&NEIGHBOURS, "/estimator/y/0", json!(3), "of no known class")]
#[case(&NEIGHBOURS, "/estimator/y", json!([]), "targets of the neighbours: 0 found")]
#[case(&NEIGHBOURS, "/estimator/weight", json!("Distance"), "is not a knn")]
#[case(&NEIGHBOURS, "/estimator/knn_algorithm", json!({"CoverTree": {}}), "is not a knn")]
#[case(&NEIGHBOURS, "/estimator/knn_algorithm/LinearSearch/data/0", json!([1.0]), "values of a neighbour: 1 found")]
#[case(&MEAN_OF_NEIGHBOURS, "/estimator/y/0", json!(null), "is not a knn")]
#[case(&BAYES, "/estimator/inner/distribution/var/0/0", json!(0.0), "a variance is not above 0")]
#[case(&BAYES, "/estimator/inner/distribution/theta/0", json!([1.0]), "means: 1 found, expected 13")]
#[case(&BAYES, "/estimator/inner/distribution/class_priors/0", json!(-0.5), "a class prior is -0.5")]
#[case(&MACHINES, "/estimator/machines", json!([]), "machines: 0 found, expected 3")]
#[case(&MACHINES, "/estimator/machines/1/instances/0", json!([]), "values of a support vector: 0 found")]
#[case(&MACHINES, "/estimator/machines/1/w", json!([1.0]), "support vector weights: 1 found")]
#[case(&MACHINES, "/estimator/kernel", json!({"rbf": {"gamma": 0.0}}), "gamma is not a finite number above 0")]
#[case(&MACHINES, "/estimator/kernel", json!("polynomial"), "is not a svm")]
#[case(&MACHINE, "/estimator/machines", json!([]), "exactly one machine")]
fn an_estimator_that_would_fail_later_is_refused(
    #[case] document: &Value,
    #[case] pointer: &str,
    #[case] value: Value,
    #[case] message: &str,
) {
    let (reason, said) = broken(document, pointer, value);
    assert_eq!(reason, LoadFailure::Corrupt, "{said}");
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

#[test]
fn every_truncation_is_corrupt() {
    let packed = builtin(Builtin::Diabetes);
    let plain = LOGISTIC.to_string().into_bytes();
    for bytes in [packed, &plain] {
        for length in (0..bytes.len()).step_by(bytes.len() / 150) {
            let error = load_bytes(&bytes[..length]).unwrap_err();
            assert_eq!(
                error.reason,
                LoadFailure::Corrupt,
                "{length} bytes: {error}"
            );
        }
    }
}

#[test]
fn a_flipped_bit_is_noticed_in_gzip_and_panics_nowhere() {
    let packed = builtin(Builtin::Diabetes);
    let whole = load_bytes(packed).unwrap();
    // Time, flags and operating system in the header say nothing about the contents, nor do the
    // bits that fill up the last byte of the stream.
    for at in 10..packed.len() {
        let mut bytes = packed.to_vec();
        bytes[at] ^= 0x10;
        let loaded = load_bytes(&bytes);
        assert!(
            loaded.is_err() || loaded.unwrap().manifest == whole.manifest,
            "byte {at}"
        );
    }
    let plain = TREE.to_string().into_bytes();
    for at in (0..plain.len()).step_by(37) {
        let mut bytes = plain.clone();
        bytes[at] ^= 0x01;
        let _ = load_bytes(&bytes);
    }
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
fn deep_nesting_is_corrupt_and_not_a_stack_overflow() {
    let deep = format!("{{\"format\": {}", "[".repeat(1_000_000));
    assert_eq!(
        load_bytes(deep.as_bytes()).unwrap_err().reason,
        LoadFailure::Corrupt
    );
    let mut inner = LOGISTIC.clone();
    inner["estimator"] = json!("HERE");
    let inner = inner
        .to_string()
        .replace("\"HERE\"", &format!("{{\"x\": {}", "[".repeat(100_000)));
    assert_eq!(
        load_bytes(inner.as_bytes()).unwrap_err().reason,
        LoadFailure::Corrupt
    );
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

/// Every number, text, list and null of a document, as JSON pointers.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            map.iter()
                .for_each(|(key, value)| places(value, &format!("{at}/{key}"), found));
        }
        Value::Array(list) => {
            found.push(at.to_owned());
            // The first ones stand for the rest.
            let few = list.iter().enumerate().take(2);
            few.for_each(|(index, value)| places(value, &format!("{at}/{index}"), found));
        }
        _ => found.push(at.to_owned()),
    }
}

#[test]
fn an_estimator_with_any_one_value_replaced_is_refused_or_predicts() {
    let documents: [&LazyLock<Value>; 11] = [
        &LOGISTIC,
        &TREE,
        &FOREST,
        &REGRESSION_TREE,
        &LINEAR,
        &RIDGE,
        &NEIGHBOURS,
        &MEAN_OF_NEIGHBOURS,
        &BAYES,
        &MACHINES,
        &MACHINE,
    ];
    let others = [
        json!(null),
        json!(0),
        json!(-1),
        json!(u64::MAX),
        json!(1e308),
        json!([]),
    ];
    for document in documents {
        let mut found = Vec::new();
        places(&document["estimator"], "/estimator", &mut found);
        for place in found {
            for other in &others {
                let mut document = Value::clone(document);
                *document.pointer_mut(&place).unwrap() = other.clone();
                let Ok(loaded) = load_bytes(document.to_string().as_bytes()) else {
                    continue;
                };
                let features = loaded.manifest.features.len();
                for value in [0.0, 1e300, f64::MIN] {
                    let batch = Batch::new(vec![value; features * 9], features).unwrap();
                    assert_eq!(loaded.model.predict(&batch).rows(), 9, "{place} = {other}");
                }
            }
        }
    }
}

fn load_file(path: &std::path::Path) -> LoadFailure {
    let config = ModelConfig {
        source: ModelSource::File(path.display().to_string()),
        ..ModelConfig::default()
    };
    load(&config).unwrap_err().reason
}

#[test]
fn only_a_regular_file_of_bounded_size_is_read() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(
        load_file(&folder.path().join("absent")),
        LoadFailure::NotFound
    );
    assert_eq!(load_file(folder.path()), LoadFailure::Unreadable);
    assert_eq!(load_file("/dev/zero".as_ref()), LoadFailure::Unreadable);

    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo")
        .arg(&pipe)
        .status()
        .unwrap();
    assert!(made.success());
    assert_eq!(load_file(&pipe), LoadFailure::Unreadable);

    let large = folder.path().join("large");
    std::fs::File::create(&large)
        .unwrap()
        .set_len(LARGEST_PACKED + 1)
        .unwrap();
    assert_eq!(load_file(&large), LoadFailure::TooLarge);
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
