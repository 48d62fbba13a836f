//! Parameters of requests in metrics of the user's own: where each protocol has them, what they may be,
//! and who may send them.
// Clippy takes what is no test itself for production code.
#![allow(clippy::unwrap_used)]

mod support;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, StatusCode};
use inference::serve::grpc::proto::InferParameter;
use inference::serve::grpc::proto::infer_parameter::ParameterChoice;
use rstest::rstest;
use serde_json::{Value, json};
use support::business::{
    Ask, MLFLOW, PREDICT, ROW_OF_MADE, V1, V2, adding, ask, counter, knock, parameter, rejected,
    rows, seen, total, with_keys,
};
use support::request;
use support::rpc::Rpc;

fn of_parameter(kind: &str) -> Value {
    json!([{"name": "m", "type": kind, "value": {"parameter": "x"}}])
}

#[tokio::test]
async fn strangers_have_no_say_in_label_values() {
    let (_file, server) = with_keys(json!([{
        "name": "seen_total", "type": "average", "value": {"request": "success"},
        "labels": [parameter("c")],
    }]));
    for _ in 0..3 {
        knock(&server, "three", "/predict?c=7", ROW_OF_MADE).await;
    }
    knock(&server, "one", "/predict?c=7", "{}").await;
    assert_eq!(server.metric(r#"seen_total_count{c="none"}"#), 3.0);
    assert_eq!(server.metric(r#"seen_total_count{c="7"}"#), 1.0);
}

#[rstest]
#[case(ParameterChoice::StringParam("7".to_owned()), "7")]
#[case(ParameterChoice::StringParam("Öl\"\\\n".to_owned()), "Öl\\\"\\\\\\n")]
#[case(ParameterChoice::Int64Param(-7), "-7")]
#[case(ParameterChoice::Uint64Param(u64::MAX), "18446744073709551615")]
#[case(ParameterChoice::DoubleParam(0.5), "0.5")]
#[case(ParameterChoice::BoolParam(true), "true")]
#[tokio::test]
async fn parameters_over_grpc_are_labels(#[case] choice: ParameterChoice, #[case] text: &str) {
    let server = adding(counter(&json!([parameter("c")])));
    let parameter = InferParameter {
        parameter_choice: Some(choice),
    };
    let mut request = rows(&[1.0, 2.0]);
    request.parameters = [("c".to_owned(), parameter)].into();
    let rpc = Rpc::start(&server);
    rpc.client().await.model_infer(request).await.unwrap();
    assert_eq!(seen(&server, &format!(r#"c="{text}""#)), 1.0);
}

#[rstest]
#[case::query(PREDICT, "?c=a&c=b", Value::Null, "b")]
#[case::percent(PREDICT, "?%63=%C3%96l+%26&d=1", Value::Null, "Öl &")]
#[case::empty(PREDICT, "?c=", Value::Null, "none")]
#[case::v1_query(V1, "?c=q", Value::Null, "q")]
#[case::v1(V1, "?c=q", json!({"c": "body"}), "body")]
#[case::v1_number(V1, "", json!({"c": 7}), "7")]
#[case::v1_list(V1, "?c=q", json!({"c": [7]}), "q")]
#[case::v2_query(V2, "?c=q", json!({}), "q")]
#[case::v2(V2, "?c=q", json!({"c": "body", "d": 1}), "body")]
#[case::v2_number(V2, "", json!({"c": 7.25}), "7.25")]
#[case::v2_flag(V2, "", json!({"c": false}), "false")]
#[case::mlflow_query(MLFLOW, "?c=q", Value::Null, "q")]
#[case::mlflow(MLFLOW, "?c=q", json!({"c": "body"}), "body")]
#[case::mlflow_object(MLFLOW, "?c=q", json!({"c": {"c": 1}}), "q")]
#[tokio::test]
async fn every_protocol_has_its_parameters(
    #[case] protocol: Ask,
    #[case] query: &str,
    #[case] parameters: Value,
    #[case] expected: &str,
) {
    let server = adding(counter(&json!([parameter("c")])));
    let answer = ask(&server, protocol, query, parameters).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(seen(&server, &format!(r#"c="{expected}""#)), 1.0);
}

#[tokio::test]
async fn parameters_are_found_beside_what_python_writes_for_nan_and_before_raw_tensors() {
    let server = adding(counter(&json!([parameter("c")])));
    let body = r#"{"inputs": [[1, NaN]], "params": {"c": "nan"}}"#;
    let mut nan = request(Method::POST, "/invocations", body);
    let kind = HeaderValue::from_static("application/json");
    nan.headers_mut().insert(CONTENT_TYPE, kind);
    assert_eq!(server.send(nan).await.status, StatusCode::OK);
    assert_eq!(seen(&server, r#"c="nan""#), 1.0);
    let input = json!({"name": "x", "datatype": "FP64", "shape": [1, 2],
        "parameters": {"binary_data_size": 16}});
    let json = json!({"inputs": [input], "parameters": {"c": "raw"}}).to_string();
    let body = [json.as_bytes(), &[0; 16]].concat();
    let mut raw = request(Method::POST, "/v2/models/made/infer", body);
    let length = HeaderValue::from(json.len());
    raw.headers_mut()
        .insert("inference-header-content-length", length);
    assert_eq!(server.send(raw).await.status, StatusCode::OK);
    assert_eq!(seen(&server, r#"c="raw""#), 1.0);
}

#[tokio::test]
async fn a_body_of_predict_has_no_other_fields_than_before() {
    let server = adding(counter(&json!([parameter("c")])));
    let body = r#"{"instances": [[1, 2]], "parameters": {"c": 1}}"#;
    let answer = server.post("/predict", body).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.error(), "\"instances\" must be alone");
}

#[rstest]
#[case("counter", "", "missing")]
#[case("counter", "?x=", "missing")]
#[case("counter", "?x=abc", "type")]
#[case("counter", "?x=true", "type")]
#[case("counter", "?x=0x10", "type")]
#[case("counter", "?x=-0.5", "range")]
#[case("average", "?x=inf", "range")]
#[case("average", "?x=NaN", "range")]
#[case("histogram", "?x=1e999", "range")]
#[case("histogram", "?x=-1.1e100", "range")]
#[tokio::test]
async fn a_number_that_is_none_is_counted_apart_and_the_request_answered(
    #[case] kind: &str,
    #[case] query: &str,
    #[case] reason: &str,
) {
    let server = adding(of_parameter(kind));
    assert_eq!(rejected(&server, "m", reason), 0.0);
    let answer = ask(&server, PREDICT, query, Value::Null).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(rejected(&server, "m", reason), 1.0);
    assert_eq!(total(&server, "business_observations_rejected_total"), 1.0);
    let counted = if kind == "counter" { "m" } else { "m_count" };
    assert_eq!(server.metric(counted), 0.0);
}

#[tokio::test]
async fn numbers_are_json_numbers_or_decimal_text() {
    let server = adding(of_parameter("counter"));
    for (protocol, parameters) in [
        (V1, json!({"x": 0.5})),
        (V2, json!({"x": 2})),
        (MLFLOW, json!({"x": "1.25"})),
    ] {
        ask(&server, protocol, "", parameters).await;
    }
    assert_eq!(server.metric("m"), 3.75);
    ask(&server, V2, "", json!({"x": true})).await;
    assert_eq!(rejected(&server, "m", "type"), 1.0);
}
