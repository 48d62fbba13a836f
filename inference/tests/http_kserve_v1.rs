//! KServe v1: answers as its clients read them, and what each wrong request is told.
// Clippy takes what is no test itself for production code.
#![allow(clippy::unwrap_used)]

mod support;

use contract::config::Limits;
use http::header::ALLOW;
use http::{Method, StatusCode};
use rstest::rstest;
use serde_json::{Value, json};
use support::{Behaviour, Server, diabetes, made, request};

const PREDICT: &str = "/v1/models/made:predict";

/// The answer without what is only for feedback, having checked that.
fn bare(server: &Server, mut answer: Value, rows: usize) -> Value {
    let fields = answer.as_object_mut().unwrap();
    let version = fields.remove("model_version").unwrap();
    assert_eq!(version, server.0.served().model.version.as_str());
    let ids = fields.remove("prediction_ids").unwrap();
    let ids = ids.as_array().unwrap();
    assert_eq!(ids.len(), rows);
    assert!(ids.iter().all(|id| id.as_str().unwrap().len() == 40));
    answer
}

#[rstest]
#[case::lists(
    Behaviour::Classify,
    r#"{"instances": [[3, 1], [0, 5]]}"#,
    json!({"predictions": ["yes", "no"]})
)]
#[case::objects(
    Behaviour::Add,
    r#"{"instances": [{"b": 1, "a": 3}, {"a": 0.5}]}"#,
    json!({"predictions": [4.0, 4.5]})
)]
#[case::mixed(Behaviour::Add, r#"{"instances": [{"a": 1}, [1, null]]}"#, json!({"predictions": [5.0, 5.0]}))]
#[case::columns(
    Behaviour::Add,
    r#"{"inputs": {"b": [1, null, 3], "a": [10, 20, 30.5]}}"#,
    json!({"outputs": [11.0, 24.0, 33.5]})
)]
#[case::a_column_is_filled(Behaviour::Add, r#"{"inputs": {"a": [1, 2]}}"#, json!({"outputs": [5.0, 6.0]}))]
#[case::inputs_as_rows(Behaviour::Add, r#"{"inputs": [[1, 2]]}"#, json!({"outputs": [3.0]}))]
#[case::what_has_no_meaning_is_ignored(
    Behaviour::Add,
    r#"{"signature_name": "serving_default", "instances": [[1, 2]], "parameters": {"x": [1]}}"#,
    json!({"predictions": [3.0]})
)]
#[tokio::test]
async fn rows_are_answered_with_an_outcome_each(
    #[case] behaviour: Behaviour,
    #[case] body: &'static str,
    #[case] expected: Value,
) {
    let server = Server::made(behaviour);
    let answer = server.post(PREDICT, body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let (_, outcomes) = expected.as_object().unwrap().iter().next().unwrap();
    let rows = outcomes.as_array().unwrap().len();
    assert_eq!(bare(&server, answer.json(), rows), expected);
}

#[tokio::test]
async fn outcomes_and_counts_are_those_of_predict() {
    let server = Server::new(diabetes());
    let rows = [
        [6.0, 148.0, 72.0, 35.0, 0.0, 33.6, 0.627, 50.0],
        [1.0, 85.0, 66.0, 29.0, 0.0, 26.6, 0.351, 31.0],
    ];
    let body = json!({ "instances": rows }).to_string();
    let own = server.post("/predict", body.clone()).await.json();
    let expected = own["predictions"].as_array().unwrap().iter();
    let expected: Vec<_> = expected.map(|row| row["outcome"].clone()).collect();
    let answer = server
        .post("/v1/models/diabetes:predict", body)
        .await
        .json();
    assert_eq!(answer["predictions"], json!(expected));
    assert_eq!(
        server.metric(r#"model_batch_rows_count{model_version="1"}"#),
        2.0
    );
    let labels = r#"endpoint="/v1/models/{model}:predict",method="POST",status="200""#;
    assert_eq!(
        server.metric(&format!("api_requests_total{{{labels}}}")),
        1.0
    );
}

#[tokio::test]
async fn its_prediction_ids_are_accepted_as_feedback() {
    let server = Server::made(Behaviour::Classify);
    let answer = server.post(PREDICT, r#"{"instances": [[3, 1]]}"#).await;
    let id = &answer.json()["prediction_ids"][0];
    let truth = json!({ "prediction_id": id, "actual": "no" });
    let verdict = server.post("/feedback", truth.to_string()).await;
    assert_eq!(verdict.json()["accepted"], 1, "{}", verdict.text);
}

const BODY: &str = r#"expected an object with either "instances" or "inputs""#;
const ROW: &str = "expected an object of features or a list of numbers";

#[rstest]
#[case(
    "{",
    "the body is not JSON: EOF while parsing an object at line 1 column 1"
)]
#[case("[[1, 2]]", BODY)]
#[case("3", BODY)]
#[case("{}", BODY)]
#[case(r#"{"a": 1}"#, BODY)]
#[case(r#"{"instances": [[1, 2]], "inputs": [[1, 2]]}"#, BODY)]
#[case(r#"{"instances": [[1, 2]], "instances": [[1, 2]]}"#, BODY)]
#[case(
    r#"{"instances": [[1, 2]]} x"#,
    "the body is not JSON: trailing characters at line 1 column 25"
)]
#[case(r#"{"instances": []}"#, "no rows")]
#[case(r#"{"inputs": {}}"#, "no rows")]
#[case(r#"{"inputs": {"a": []}}"#, "no rows")]
#[case(r#"{"instances": {"a": [1]}}"#, "instances: expected a list of rows")]
#[case(
    r#"{"inputs": 3}"#,
    "inputs: expected a list of rows or an object of lists of values"
)]
#[case(r#"{"inputs": {"a": 3}}"#, r#"feature "a": expected a list of values"#)]
#[case(r#"{"instances": [[1, 2], 3]}"#, &format!("row 1: {ROW}"))]
#[case(r#"{"instances": [[1, 2], [1]]}"#, "row 1: 1 values, expected 2")]
#[case(r#"{"instances": [[1, 2, 3]]}"#, "row 0: more than 2 values")]
#[case(r#"{"instances": [{"c": 1}]}"#, r#"row 0: unknown feature "c""#)]
#[case(
    r#"{"instances": [{"a": "1"}]}"#,
    r#"row 0: feature "a" is a string, expected a number"#
)]
#[case(r#"{"inputs": {"c": [1]}}"#, r#"unknown feature "c""#)]
#[case(r#"{"inputs": {"a": [1], "a": [1]}}"#, r#"feature "a" is given twice"#)]
#[case(
    r#"{"inputs": {"a": [1, 2], "b": [1]}}"#,
    r#"feature "b" has 1 values, those before it 2"#
)]
#[case(
    r#"{"inputs": {"a": [1], "b": [1, 2]}}"#,
    r#"feature "b" has more values, those before it 1"#
)]
#[case(r#"{"inputs": {"b": [1, 2]}}"#, r#"row 0: feature "a" is missing"#)]
#[case(
    r#"{"inputs": {"a": [1, null]}}"#,
    r#"row 1: feature "a" is null, expected a number"#
)]
#[case(
    r#"{"inputs": {"a": [1, 2], "b": [1, true]}}"#,
    r#"row 1: feature "b" is a boolean, expected a number"#
)]
#[case(
    r#"{"inputs": {"a": [1, 1e400]}}"#,
    r#"row 1: feature "a" is not a finite 64-bit number"#
)]
#[case(
    r#"{"inputs": {"a": [[1]]}}"#,
    r#"row 0: feature "a" is a list, expected a number"#
)]
#[tokio::test]
async fn a_wrong_request_is_told_what_is_wrong(#[case] body: &str, #[case] expected: &str) {
    let server = Server::made(Behaviour::Add);
    let answer = server.post(PREDICT, body.to_owned()).await;
    assert_eq!(answer.error(), expected);
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let labels = r#"endpoint="/v1/models/{model}:predict",error_type="validation""#;
    assert_eq!(server.metric(&format!("api_errors_total{{{labels}}}")), 1.0);
}

#[rstest]
#[case(r#"{"inputs": {"b": [1]}}"#, "a", "missing")]
#[case(r#"{"inputs": {"a": [1, "x"]}}"#, "a", "type")]
#[case(r#"{"inputs": {"a": [1], "b": [null]}}"#, "b", "missing")]
#[case(r#"{"instances": [[1, {}]]}"#, "b", "type")]
#[tokio::test]
async fn a_value_that_is_to_blame_is_counted(
    #[case] body: &'static str,
    #[case] feature: &str,
    #[case] reason: &str,
) {
    let server = Server::made(Behaviour::Add);
    server.post(PREDICT, body).await;
    let refused = (feature, reason) != ("b", "missing");
    let labels =
        format!(r#"feature="{feature}",model_version="v7",reason="{reason}",refused="{refused}""#);
    let series = format!("model_feature_invalid_total{{{labels}}}");
    assert_eq!(server.metric(&series), 1.0);
}

#[rstest]
#[case(r#"{"instances": [[1, 1], [1, 1], [1, 1]]}"#)]
#[case(r#"{"inputs": [[1, 1], [1, 1], [1, 1]]}"#)]
#[case(r#"{"inputs": {"a": [1, 1, 1]}}"#)]
#[tokio::test]
async fn more_rows_than_the_limit_are_refused(#[case] body: &'static str) {
    let limits = Limits {
        max_batch_rows: 2,
        ..Limits::default()
    };
    let server = Server::with(made(Behaviour::Add, &[]), limits);
    let answer = server.post(PREDICT, body).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(answer.error(), "more than 2 rows in one request");
}

#[tokio::test]
async fn models_are_listed_and_ready_or_not() {
    let server = Server::made(Behaviour::Add);
    let models = server.get("/v1/models").await;
    assert_eq!(models.json(), json!({"models": ["made"]}));
    let model = server.get("/v1/models/made").await;
    assert_eq!(model.json(), json!({"name": "made", "ready": true}));
    server.0.health.drain();
    let model = server.get("/v1/models/made").await;
    assert_eq!(model.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(model.error(), "Model with name made is not ready.");
    assert_eq!(model.json()["ready"], false);
}

#[rstest]
#[case(
    Method::GET,
    "/v1/models/other",
    404,
    "Model with name other does not exist."
)]
#[case(
    Method::GET,
    "/v1/models/made:predict",
    404,
    "Model with name made:predict does not exist."
)]
#[case(
    Method::POST,
    "/v1/models/other:predict",
    404,
    "Model with name other does not exist."
)]
#[case(
    Method::POST,
    "/v1/models/made:explain",
    501,
    "explanations are not offered"
)]
#[case(
    Method::POST,
    "/v1/models/made:classify",
    404,
    r#"no such route: "/v1/models/made:classify""#
)]
#[case(
    Method::POST,
    "/v1/models/made",
    404,
    r#"no such route: "/v1/models/made""#
)]
#[case(
    Method::GET,
    "/v1/models/%ff",
    404,
    r#"no such route: "/v1/models/%ff""#
)]
#[case(Method::PUT, "/v1/models/made", 405, r#""PUT" is not allowed here"#)]
#[tokio::test]
async fn what_is_not_served_is_refused(
    #[case] method: Method,
    #[case] path: &str,
    #[case] status: u16,
    #[case] expected: &str,
) {
    let server = Server::made(Behaviour::Add);
    let answer = server.send(request(method, path, "{}")).await;
    assert_eq!(answer.error(), expected);
    assert_eq!(answer.status, status);
    if status == 405 {
        assert_eq!(answer.headers[ALLOW], "GET,HEAD,POST");
    }
}

#[tokio::test]
async fn a_long_name_is_not_repeated_whole() {
    let server = Server::made(Behaviour::Add);
    let answer = server.get(&format!("/v1/models/{}", "x".repeat(500))).await;
    let expected = format!("Model with name {}… does not exist.", "x".repeat(128));
    assert_eq!(answer.error(), expected);
}

#[tokio::test]
async fn the_colon_may_be_escaped_and_names_may_have_dots() {
    let mut model = made(Behaviour::Add, &[]);
    model.name = "my.model-1_x".to_owned();
    let server = Server::new(model);
    for path in ["my.model-1_x:predict", "my.model-1_x%3Apredict"] {
        let path = format!("/v1/models/{path}");
        let answer = server.post(&path, r#"{"instances": [[1, 2]]}"#).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
    }
}
