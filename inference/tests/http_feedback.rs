//! `/feedback`: what is scored, and what is refused for which reason.
// Clippy takes what is no test itself for production code.
#![allow(clippy::unwrap_used)]

mod support;

use http::StatusCode;
use inference::serve::prediction_id::{EXPIRY, PredictionIds, Text};
use rstest::rstest;
use serde_json::{Value, json};
use std::time::SystemTime;
use support::{Behaviour, Server, made};

async fn predict(server: &Server, body: &'static str) -> String {
    let answer = server.post("/predict", body).await.json();
    answer["prediction_id"].as_str().unwrap().to_owned()
}

async fn feedback(server: &Server, body: Value) -> (StatusCode, Value) {
    let answer = server.post("/feedback", body.to_string()).await;
    (answer.status, answer.json())
}

#[tokio::test]
async fn classes_fill_the_confusion_matrix() {
    let server = Server::new(made(Behaviour::Classify, &["0", "1"]));
    let one = predict(&server, r#"{"a": 3, "b": 1}"#).await;
    for actual in [json!(1), json!("1"), json!(1.0), json!(0)] {
        let (status, verdict) =
            feedback(&server, json!({"prediction_id": one, "actual": actual})).await;
        let accepted = json!({"accepted": 1, "rejected": []});
        assert_eq!((status, verdict), (StatusCode::OK, accepted));
    }
    let cell = |actual, correct| {
        let labels =
            format!(r#"actual="{actual}",correct="{correct}",model_version="v7",predicted="1""#);
        server.metric(&format!("model_feedback_total{{{labels}}}"))
    };
    assert_eq!((cell(1, true), cell(0, false)), (3.0, 1.0));
    assert_eq!(
        server.metric(r#"validation_rmse_count{model_version="v7"}"#),
        4.0
    );
    assert_eq!(
        server.metric(r#"validation_rmse_sum{model_version="v7"}"#),
        1.0
    );
    assert_eq!(
        server.metric(r#"model_feedback_delay_seconds_count{model_version="v7"}"#),
        4.0
    );
    assert!(server.metric(r#"model_feedback_last_timestamp_seconds{model_version="v7"}"#) > 1e9);
}

#[tokio::test]
async fn values_add_up_to_errors() {
    let server = Server::made(Behaviour::Add);
    let three = predict(&server, "{\"a\": 1, \"b\": 2}").await;
    let rows = json!([
        {"prediction_id": three, "actual": 0}, {"prediction_id": three, "actual": 7.0},
    ]);
    assert_eq!(feedback(&server, rows).await.0, StatusCode::OK);
    let metric = |name| server.metric(&format!("{name}{{model_version=\"v7\"}}"));
    assert_eq!(metric("model_feedback_rows_total"), 2.0);
    assert_eq!(metric("model_feedback_absolute_error_total"), 7.0);
    assert_eq!(metric("model_feedback_squared_error_total"), 25.0);
    assert_eq!(metric("validation_rmse_sum"), 12.5f64.sqrt());
}

#[rstest]
#[case::malformed("malformed", "no id".to_owned(), json!(1))]
#[case::tampered("checksum", issue("v7", SystemTime::now()).replace('A', "B"), json!(1))]
#[case::other_version("unknown_version", issue("v8", SystemTime::now()), json!(1))]
#[case::expired("expired", issue("v7", SystemTime::now() - EXPIRY), json!(1))]
#[case::text("actual", issue("v7", SystemTime::now()), json!("1"))]
#[case::null("actual", issue("v7", SystemTime::now()), json!(null))]
#[case::other_model("unknown_version", text(PredictionIds::new("other", "v7").issue(0, SystemTime::now())), json!(1))]
#[case::sentinel("actual", issue("v7", SystemTime::now()), json!(9_999_999_999u64))]
#[case::overflow("actual", issue("v7", SystemTime::now()), json!(1e300))]
#[case::overflow_of_the_sum("actual", issue("v7", SystemTime::now()), json!(1.2e154))]
#[tokio::test]
async fn a_refused_row_says_why_and_is_counted(
    #[case] reason: &str,
    #[case] id: String,
    #[case] actual: Value,
) {
    let server = Server::made(Behaviour::Add);
    let good = predict(&server, "{\"a\": 1, \"b\": 2}").await;
    let bad = json!({"prediction_id": id, "actual": actual});
    let (status, verdict) = feedback(&server, bad.clone()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let error = verdict["error"].as_str().unwrap();
    assert!(error.starts_with("no row was accepted; row 0: "), "{error}");

    let rows = json!([{"prediction_id": good, "actual": 3}, bad]);
    let (status, verdict) = feedback(&server, rows).await;
    assert_eq!((status, &verdict["accepted"]), (StatusCode::OK, &json!(1)));
    let rejected = &verdict["rejected"][0];
    assert_eq!(
        (&rejected["row"], &rejected["reason"]),
        (&json!(1), &json!(reason))
    );
    let counter = format!("model_feedback_rejected_total{{reason=\"{reason}\"}}");
    assert_eq!(server.metric(&counter), 2.0);
    assert_eq!(
        server.metric(r#"model_feedback_rows_total{model_version="v7"}"#),
        1.0
    );
}

#[tokio::test]
async fn a_row_is_no_list_of_fields() {
    let server = Server::made(Behaviour::Add);
    let id = predict(&server, r#"{"a": 1, "b": 2}"#).await;
    let (_, verdict) = feedback(&server, json!([[id, 3]])).await;
    assert_eq!(verdict["rejected"][0]["reason"], "malformed");
}

fn issue(version: &str, time: SystemTime) -> String {
    text(PredictionIds::new("made", version).issue(3.0f64.to_bits(), time))
}

fn text(id: Text) -> String {
    String::from_utf8(id.to_vec()).unwrap()
}

#[tokio::test]
async fn a_class_that_the_model_does_not_know_is_refused() {
    let server = Server::made(Behaviour::Classify);
    let id = predict(&server, r#"{"a": 3, "b": 1}"#).await;
    for actual in [json!("maybe"), json!(1), json!(true)] {
        let (_, verdict) = feedback(&server, json!({"prediction_id": id, "actual": actual})).await;
        let rejected = &verdict["rejected"][0];
        assert_eq!(rejected["reason"], "actual", "{actual}");
        let expected = "actual is no class of the model, expected one of no, yes";
        assert_eq!(rejected["message"], expected);
    }
}

const SHAPE: &str = "expected {\"prediction_id\": …, \"actual\": …} or a list of them";
const ROW: &str = "no row was accepted; row 0: expected {\"prediction_id\": …, \"actual\": …}";

#[rstest]
#[case("nope", "the body is not JSON: expected ident at line 1 column 2")]
#[case("3", SHAPE)]
#[case("{}", ROW)]
#[case("[3]", ROW)]
#[case(r#"{"prediction_id": "x"}"#, ROW)]
#[case(r#"{"prediction_id": "x", "actual": 1, "more": 1}"#, ROW)]
#[case("[]", "no rows")]
#[tokio::test]
async fn a_wrong_request_is_told_what_is_wrong(#[case] body: &'static str, #[case] error: &str) {
    let answer = Server::made(Behaviour::Add).post("/feedback", body).await;
    assert_eq!(
        (answer.status, answer.error().as_str()),
        (StatusCode::BAD_REQUEST, error)
    );
}
