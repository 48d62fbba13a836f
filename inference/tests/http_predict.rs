//! `/predict`: golden pairs, and what each wrong request is told.
// Clippy takes what is no test itself for production code.
#![allow(clippy::unwrap_used)]

mod support;

use contract::config::Limits;
use http::StatusCode;
use inference::model::{Batch, Predictions};
use rstest::rstest;
use serde_json::{Value, json};
use support::{Behaviour, ROW, Server, diabetes, made};

/// The answer without its ids, which differ each time.
fn without_ids(mut answer: Value) -> Value {
    let strip = |row: &mut Value| {
        if let Some(row) = row.as_object_mut() {
            let id = row.remove("prediction_id");
            assert_eq!(id.unwrap().as_str().unwrap().len(), 40);
        }
    };
    match answer.get_mut("predictions") {
        Some(rows) => rows.as_array_mut().unwrap().iter_mut().for_each(strip),
        None => strip(&mut answer),
    }
    answer
}

#[rstest]
#[case::one_row(
    Behaviour::Classify,
    r#"{"b": 1, "a": 3}"#,
    json!({"outcome": "yes", "probabilities": {"no": 0.25, "yes": 0.75}, "model_version": "v7"})
)]
#[case::a_list(
    Behaviour::Classify,
    r#"[{"a": 3, "b": 1}, [0, 5]]"#,
    json!({"model_version": "v7", "predictions": [
        {"outcome": "yes", "probabilities": {"no": 0.25, "yes": 0.75}},
        {"outcome": "no", "probabilities": {"no": 1.0, "yes": 0.0}},
    ]})
)]
#[case::instances(
    Behaviour::Add,
    r#"{"instances": [[1.5, 2], {"a": -0.0}]}"#,
    json!({"model_version": "v7", "predictions": [{"value": 3.5}, {"value": 4.0}]})
)]
#[case::null_is_filled(
    Behaviour::Add,
    r#"{"a": 1, "b": null}"#,
    json!({"value": 5.0, "model_version": "v7"})
)]
#[case::without_probabilities(
    Behaviour::ClassifyWithoutProbabilities,
    r#"{"a": 1, "b": 2}"#,
    json!({"outcome": "no", "model_version": "v7"})
)]
#[case::escaped_names(
    Behaviour::Add,
    r#"{"\u0061": 1, "b": 1}"#,
    json!({"value": 2.0, "model_version": "v7"})
)]
#[tokio::test]
async fn rows_are_answered_in_the_form_of_the_request(
    #[case] behaviour: Behaviour,
    #[case] body: &'static str,
    #[case] expected: Value,
) {
    let answer = Server::made(behaviour).post("/predict", body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(without_ids(answer.json()), expected);
}

#[tokio::test]
async fn classes_that_are_whole_numbers_are_numbers() {
    let server = Server::new(made(Behaviour::Classify, &["0", "01"]));
    let one = server.post("/predict", r#"{"a": 1, "b": 3}"#).await;
    assert_eq!(one.json()["outcome"], 0);
    let other = server.post("/predict", r#"{"a": 3, "b": 1}"#).await;
    assert_eq!(other.json()["outcome"], "01");
    assert_eq!(
        other.json()["probabilities"],
        json!({"0": 0.25, "01": 0.75})
    );
}

#[tokio::test]
async fn the_builtin_model_answers_bit_for_bit_what_its_engine_says() {
    let model = diabetes();
    let row = vec![6.0, 148.0, 72.0, 35.0, 0.0, 33.6, 0.627, 50.0];
    let Predictions::Classes {
        labels,
        probabilities,
    } = model.model.predict(&Batch::new(row, 8).unwrap())
    else {
        panic!("a classifier");
    };
    let answer = Server::new(model).post("/predict", ROW).await.json();
    assert_eq!(answer["outcome"], labels[0]);
    for (class, expected) in probabilities.unwrap().iter().enumerate() {
        let found = answer["probabilities"][class.to_string()].as_f64().unwrap();
        assert_eq!(found.to_bits(), expected.to_bits());
    }
}

const SHAPES: &str = r#"expected an object of features, a list of them, or {"instances": [rows]}"#;
const ROW_SHAPES: &str = "expected an object of features or a list of numbers";

#[rstest]
#[case(
    "",
    "the body is not JSON: EOF while parsing a value at line 1 column 0"
)]
#[case(
    "{",
    "the body is not JSON: EOF while parsing an object at line 1 column 1"
)]
#[case(
    r#"{"a": NaN}"#,
    "the body is not JSON: expected value at line 1 column 7"
)]
#[case(
    r#"{"a": 1} x"#,
    "the body is not JSON: trailing characters at line 1 column 10"
)]
#[case("3", SHAPES)]
#[case("null", SHAPES)]
#[case(r#""text""#, SHAPES)]
#[case(r#"{"instances": 3}"#, SHAPES)]
#[case(r#"{"instances": [], "a": 1}"#, r#""instances" must be alone"#)]
#[case("[]", "no rows")]
#[case("[[1, 2], 3]", &format!("row 1: {ROW_SHAPES}"))]
#[case("[[1, 2], [1]]", "row 1: 1 values, expected 2")]
#[case("[[1, 2, 3]]", "row 0: more than 2 values")]
#[case("{}", r#"row 0: feature "a" is missing"#)]
#[case(r#"[{"a": 1}, {"b": 1}]"#, r#"row 1: feature "a" is missing"#)]
#[case(r#"{"a": null}"#, r#"row 0: feature "a" is null, expected a number"#)]
#[case(
    r#"{"a": "1"}"#,
    r#"row 0: feature "a" is a string, expected a number"#
)]
#[case(
    r#"{"a": true}"#,
    r#"row 0: feature "a" is a boolean, expected a number"#
)]
#[case(r#"{"a": [1]}"#, r#"row 0: feature "a" is a list, expected a number"#)]
#[case(
    "[[1, 2], [1, {}]]",
    r#"row 1: feature "b" is an object, expected a number"#
)]
#[case(
    r#"{"a": 1e400}"#,
    r#"row 0: feature "a" is not a finite 64-bit number"#
)]
#[case(r#"{"a": 1, "a": 1}"#, r#"row 0: feature "a" is given twice"#)]
#[case(r#"{"a": 1, "c": 1}"#, r#"row 0: unknown feature "c""#)]
#[case(
    r#"{"a": 1, "instances": []}"#,
    r#"row 0: unknown feature "instances""#
)]
#[case(
    "[[1e308, 1e308]]",
    "row 0: the model has no finite answer for these values"
)]
#[tokio::test]
async fn a_wrong_request_is_told_what_is_wrong(#[case] body: &str, #[case] expected: &str) {
    let server = Server::made(Behaviour::Add);
    let answer = server.post("/predict", body.to_owned()).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.error(), expected);
    let counted = r#"api_errors_total{endpoint="/predict",error_type="validation"}"#;
    assert_eq!(server.metric(counted), 1.0);
}

#[tokio::test]
async fn an_error_repeats_at_most_128_bytes_of_the_request() {
    let server = Server::made(Behaviour::Add);
    let body = json!({ "é".repeat(1000): 1 }).to_string();
    let error = server.post("/predict", body).await.error();
    assert_eq!(
        error,
        format!("row 0: unknown feature {:?}…", "é".repeat(64))
    );
}

#[tokio::test]
async fn more_rows_than_the_limit_are_refused() {
    let limits = Limits {
        max_batch_rows: 2,
        ..Limits::default()
    };
    let server = Server::with(made(Behaviour::Add, &[]), limits);
    let answer = server.post("/predict", "[[1,1],[1,1],[1,1]]").await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(answer.error(), "more than 2 rows in one request");
}

#[tokio::test]
async fn deep_nesting_is_refused_without_recursion() {
    let server = Server::made(Behaviour::Add);
    for body in ["[".repeat(1_000_000), "{\"a\":".repeat(1_000_000)] {
        let answer = server.post("/predict", body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    }
}
