//! JSON that is meant to hurt its reader.

use crate::judge::load;
use crate::models::{Sample, sample};
use contract::labels::LoadFailure;
use inference::artifact::{Algorithm, Task};
use inference::load::LoadError;
use rstest::rstest;
use serde_json::json;

fn tree() -> &'static Sample {
    sample(Task::Regression, Algorithm::DecisionTree)
}

/// The tree with the first occurrence of `old` replaced.
fn with(old: &str, new: &str) -> LoadError {
    let text = std::str::from_utf8(&tree().plain).unwrap();
    let (before, after) = text.split_once(old).unwrap();
    load([before, new, after].concat().as_bytes()).unwrap_err()
}

#[rstest]
#[case("{\"format\":1", "{\"format\":1,\"format\":1")]
#[case("\"task\":", "\"task\":\"regression\",\"task\":")]
#[case("\"name\":", "\"name\":\"other\",\"name\":")]
#[case("\"golden\":", "\"golden\":[],\"golden\":")]
#[case("\"estimator\":", "\"estimator\":{},\"estimator\":")]
#[case("\"nodes\":", "\"nodes\":[],\"nodes\":")]
#[case("\"split_feature\":", "\"split_feature\":0,\"split_feature\":")]
#[case("\"true_child\":", "\"true_child\":null,\"true_child\":")]
fn what_is_said_twice_is_corrupt(#[case] once: &str, #[case] twice: &str) {
    let error = with(once, twice);
    assert_eq!(error.reason, LoadFailure::Corrupt);
    assert!(error.message.contains("duplicate field"), "{error}");
}

#[rstest]
#[case("{\"format\":")]
#[case("\"manifest\":")]
#[case("\"parameters\":")]
#[case("\"golden\":")]
#[case("\"estimator\":")]
#[case("\"nodes\":")]
fn deep_nesting_is_corrupt_and_not_a_stack_overflow(#[case] place: &str) {
    for (open, close) in [("[", "]"), ("{\"x\":", "}")] {
        for closed in [0, 100_000] {
            let deep = format!("{}1{}", open.repeat(100_000), close.repeat(closed));
            let error = with(place, &format!("{place}{deep},\"rest\":"));
            assert_eq!(error.reason, LoadFailure::Corrupt, "{error}");
        }
    }
}

/// Digits beyond those that decide are read, but not calculated with.
#[rstest]
#[case("0.", "1")]
#[case("", "1")]
#[case("1e-", "1")]
#[case("0.", "0")]
fn a_number_of_ten_million_digits_is_corrupt_at_once(#[case] start: &str, #[case] digit: &str) {
    let digits = digit.repeat(10_000_000);
    let error = with(
        "\"output\":",
        &format!("\"output\":{start}{digits},\"output\":"),
    );
    assert_eq!(error.reason, LoadFailure::Corrupt);
}

#[rstest]
#[case("\"manifest\":{", "\"manifest\":{NAME:1,")]
#[case("\"regression\"", "NAME")]
#[case("\"decision-tree\"", "NAME")]
#[case("\"rows\":", "\"rows\":NAME,\"rows\":")]
#[case("{\"name\":\"a\"", "{\"name\":NAME")]
fn what_is_quoted_from_the_file_is_cut(#[case] old: &str, #[case] new: &str) {
    let long = json!("line\n\u{7}".repeat(100_000)).to_string();
    let error = with(old, &new.replace("NAME", &long));
    assert!([LoadFailure::Corrupt, LoadFailure::Unsupported].contains(&error.reason));
}

#[rstest]
#[case(b"\xef\xbb\xbf")]
#[case(b"\0")]
#[case(b"[")]
#[case(b"\xff")]
fn what_stands_before_the_document_is_corrupt(#[case] bytes: &[u8]) {
    let error = load(&[bytes, &tree().plain].concat()).unwrap_err();
    assert_eq!(error.reason, LoadFailure::Corrupt);
}

#[rstest]
#[case(b"{}")]
#[case(b"]")]
#[case(b"\0")]
#[case(b"\xff")]
fn what_stands_after_the_document_is_corrupt(#[case] bytes: &[u8]) {
    let error = load(&[&tree().plain, bytes].concat()).unwrap_err();
    assert_eq!(error.reason, LoadFailure::Corrupt);
}
