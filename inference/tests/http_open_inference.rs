//! Open Inference Protocol v2 over REST.
// JSON values read better without a & each, and clippy takes what is no test itself for production code.
#![allow(clippy::needless_pass_by_value, clippy::unwrap_used)]

mod support;

use contract::config::Limits;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, StatusCode};
use rstest::rstest;
use serde_json::{Value, json};
use std::time::Duration;
use support::{Behaviour, Server, diabetes, made, request};

const INFER: &str = "/v2/models/made/infer";

/// A request with one tensor of whole rows.
fn matrix(datatype: &str, shape: Value, data: Value) -> String {
    let input = json!({"name": "x", "datatype": datatype, "shape": shape, "data": data});
    json!({"id": "r1", "inputs": [input]}).to_string()
}

fn column(name: &str, shape: Value, data: Value) -> Value {
    json!({"name": name, "datatype": "FP64", "shape": shape, "data": data})
}

#[rstest]
#[case::flat(matrix("FP64", json!([2, 2]), json!([3, 1, 0, 5])))]
#[case::nested(matrix("FP32", json!([2, 2]), json!([[3, 1], [0, 5]])))]
#[case::whole(matrix("UINT8", json!([2, 2]), json!([3.0, 1, 0, 5])))]
#[case::columns(json!({"id": "r1", "inputs": [
    column("b", json!([2]), json!([1, 5])), column("a", json!([2, 1]), json!([[3], [0]])),
]}).to_string())]
#[tokio::test]
async fn rows_and_columns_give_the_same_answer(#[case] body: String) {
    let mut answer = Server::made(Behaviour::Classify)
        .post(INFER, body)
        .await
        .json();
    let ids = answer["outputs"][2]["data"].take();
    assert_eq!(ids.as_array().unwrap().len(), 2);
    let expected = json!({
        "model_name": "made",
        "model_version": "v7",
        "id": "r1",
        "outputs": [
            {"name": "outcome", "datatype": "BYTES", "shape": [2], "data": ["yes", "no"]},
            {"name": "probabilities", "datatype": "FP64", "shape": [2, 2],
             "data": [0.25, 0.75, 1.0, 0.0]},
            {"name": "prediction_id", "datatype": "BYTES", "shape": [2], "data": null},
        ],
    });
    assert_eq!(answer, expected);
}

#[tokio::test]
async fn a_column_that_can_be_filled_may_be_left_out_or_null() {
    let server = Server::made(Behaviour::Add);
    for body in [
        json!({"inputs": [column("a", json!([1]), json!([1]))]}).to_string(),
        matrix("FP64", json!([1, 2]), json!([1, null])),
    ] {
        let answer = server.post(INFER, body).await.json();
        assert_eq!(answer["outputs"][0]["data"], json!([5.0]));
    }
    let filled = r#"model_feature_invalid_total{feature="b",model_version="v7",reason="missing",refused="false"}"#;
    assert_eq!(server.metric(filled), 2.0);
}

#[tokio::test]
async fn only_the_wanted_outputs_are_given_and_an_id_is_made() {
    let server = Server::new(diabetes());
    let row = [6.0, 148.0, 72.0, 35.0, 0.0, 33.6, 0.627, 50.0];
    let input = json!({"name": "x", "datatype": "FP64", "shape": [1, 8], "data": row});
    let body = json!({"inputs": [input], "outputs": [{"name": "outcome"}], "parameters": {"p": 1}});
    let path = "/v2/models/diabetes/versions/1/infer";
    let answer = server.post(path, body.to_string()).await.json();
    let outcome = json!([{"name": "outcome", "datatype": "INT64", "shape": [1], "data": [1]}]);
    assert_eq!(answer["outputs"], outcome);
    assert!(!answer["id"].as_str().unwrap().is_empty());
}

#[rstest]
#[case(
    "{",
    "the body is not JSON: EOF while parsing an object at line 1 column 1"
)]
#[case("{}", "missing field `inputs` at line 1 column 2")]
#[case(r#"{"inputs": []}"#, "no inputs")]
#[case(&matrix("FP64", json!([1, 3]), json!([1, 2, 3])), r#"input "x" has shape [1, 3], expected [rows, 2]"#)]
#[case(&matrix("FP64", json!([1, 2]), json!([1])), r#"input "x" has 1 values, its shape 2"#)]
#[case(&matrix("FP64", json!([1, 2]), json!([1, 2, 3])), r#"input "x" has more values than its shape, 2"#)]
#[case(&matrix("FP64", json!([2, 2]), json!([[1, 2, 3], [4]])), r#"input "x" is not nested as its shape says"#)]
#[case(&matrix("FP64", json!([2, 2]), json!([[1, 2], 3, 4])), r#"input "x" is not nested as its shape says"#)]
#[case(&matrix("FP64", json!([1, 2]), json!([[[1, 2]]])), r#"input "x" is nested deeper than its shape says"#)]
#[case(&matrix("FP64", json!([0, 2]), json!([])), r#"input "x" has the impossible shape [0, 2]"#)]
#[case(&matrix("FP64", json!([-1, 2]), json!([1])), r#"input "x" has the impossible shape [-1, 2]"#)]
#[case(
    &matrix("FP64", json!([i64::MAX, i64::MAX]), json!([1])),
    r#"input "x" has the impossible shape [9223372036854775807, 9223372036854775807]"#
)]
#[case(&matrix("FP16", json!([1, 2]), json!([1, 2])), r#"input "x" has datatype "FP16", expected one of BOOL, UINT8, UINT16, UINT32, UINT64, INT8, INT16, INT32, INT64, FP32, FP64"#)]
#[case(&matrix("INT8", json!([1, 2]), json!([1, 200])), r#"row 0: feature "b" is not of datatype INT8"#)]
#[case(&matrix("INT8", json!([1, 2]), json!([1, 1.5])), r#"row 0: feature "b" is not of datatype INT8"#)]
#[case(&matrix("FP64", json!([1, 2]), json!(["1", 2])), r#"row 0: feature "a" is not of datatype FP64"#)]
#[case(&matrix("FP32", json!([1, 2]), json!([1, 1e39])), r#"row 0: feature "b" is not of datatype FP32"#)]
#[case(&matrix("FP64", json!([1, 2]), json!([null, 1])), r#"row 0: feature "a" is null, expected a number"#)]
#[case(&matrix("FP64", json!([2, 2]), json!([1, 2, 3, {}])), r#"row 1: feature "b" is not of datatype FP64"#)]
#[case(
    r#"{"inputs": [{"name": "a", "datatype": "FP64", "shape": [2], "data": [1, 1e999]}]}"#,
    r#"row 1: feature "a" is not a finite 64-bit number"#
)]
#[case(
    &json!({"inputs": [column("b", json!([1]), json!([1]))]}).to_string(),
    r#"row 0: feature "a" is missing"#
)]
#[case(
    r#"{"inputs": [], "parameters": {"a": []}}"#,
    "invalid type: sequence, expected a parameter: a string, a number or a boolean at line 1 column 37"
)]
#[case(
    r#"{"inputs": [{"name": "a", "datatype": "FP64", "shape": [1]}]}"#,
    r#"input "a" has no data"#
)]
#[case(
    &json!({"inputs": [column("a", json!([1]), json!([1]))], "parameters": {"binary_data_output": 1}}).to_string(),
    "parameter binary_data_output must be true or false"
)]
#[case(
    &json!({"inputs": [column("a", json!([1]), json!([1]))],
        "outputs": [{"name": "value", "parameters": {"classification": 1}}]}).to_string(),
    r#"output "value" has no classification: probabilities may have"#
)]
#[case(
    &json!({"inputs": [column("a", json!([1]), json!([1])), column("c", json!([1]), json!([1]))]}).to_string(),
    r#"input "c" is no feature of the model"#
)]
#[case(
    &json!({"inputs": [column("a", json!([1]), json!([1])), column("a", json!([1]), json!([1]))]}).to_string(),
    r#"input "a" is given twice"#
)]
#[case(
    &json!({"inputs": [column("a", json!([1]), json!([1])), column("b", json!([2]), json!([1, 2]))]}).to_string(),
    r#"input "b" has 2 rows, the tensors before it have 1"#
)]
#[case(
    &json!({"inputs": [column("a", json!([1]), json!([1]))], "outputs": [{"name": "outcome"}]}).to_string(),
    r#"no output "outcome", expected some of value, prediction_id"#
)]
#[case(
    &json!({"inputs": [column("a", json!([1]), json!([1]))], "outputs": [{"name": "value"}, {"name": "value"}]}).to_string(),
    r#"output "value" is wanted twice"#
)]
#[tokio::test]
async fn a_wrong_request_is_told_what_is_wrong(#[case] body: &str, #[case] expected: &str) {
    let answer = Server::made(Behaviour::Add)
        .post(INFER, body.to_owned())
        .await;
    assert_eq!(answer.error(), expected);
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_shape_over_the_row_limit_is_refused_before_its_data_is_read() {
    let limits = Limits {
        max_batch_rows: 3,
        ..Limits::default()
    };
    let server = Server::with(made(Behaviour::Add, &[]), limits);
    let body = matrix("FP64", json!([4, 2]), json!("not read"));
    let answer = server.post(INFER, body).await;
    assert_eq!(answer.error(), "more than 3 rows in one request");
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn another_model_or_version_is_not_found() {
    let server = Server::made(Behaviour::Add);
    for (path, error) in [
        ("/v2/models/other", r#"no model "other""#),
        ("/v2/models/other/ready", r#"no model "other""#),
        ("/v2/models/%ff/ready", r#"no model "/v2/models/%ff/ready""#),
        (
            "/v2/models/made/versions/v8",
            r#"the model has no version "v8""#,
        ),
        (
            "/v2/models/made/versions/v8/ready",
            r#"the model has no version "v8""#,
        ),
    ] {
        let answer = server.get(path).await;
        assert_eq!(
            (answer.status, answer.error().as_str()),
            (StatusCode::NOT_FOUND, error)
        );
    }
    let answer = server.post("/v2/models/other/infer", "{}").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    let counted = r#"api_errors_total{endpoint="/v2/models/{model}/infer",error_type="not_found"}"#;
    assert_eq!(server.metric(counted), 1.0);
}

#[tokio::test]
async fn health_and_metadata_are_what_every_client_reads() {
    let server = Server::made(Behaviour::Classify);
    for (path, expected) in [
        ("/v2/health/live", json!({"live": true})),
        ("/v2/health/ready", json!({"live": true, "ready": true})),
        (
            "/v2/models/made/ready",
            json!({"name": "made", "ready": true}),
        ),
        (
            "/v2/models/made/versions/v7/ready",
            json!({"name": "made", "ready": true}),
        ),
    ] {
        let answer = server.get(path).await;
        assert_eq!(
            (answer.status, answer.json()),
            (StatusCode::OK, expected),
            "{path}"
        );
    }
    let metadata = server.get("/v2").await.json();
    assert_eq!(metadata, server.get("/v2/").await.json());
    assert_eq!(metadata["name"], "inference");
    let model = server.get("/v2/models/made").await.json();
    assert_eq!(model["versions"], json!(["v7"]));
    assert_eq!(
        model["inputs"][1],
        json!({"name": "b", "datatype": "FP64", "shape": [-1, 1]})
    );
    assert_eq!(
        model["outputs"][1],
        json!({"name": "probabilities", "datatype": "FP64", "shape": [-1, 2]})
    );
}

#[tokio::test]
async fn a_draining_server_is_live_but_not_ready() {
    let server = Server::made(Behaviour::Add);
    server.0.health.drain();
    assert_eq!(server.get("/v2/health/live").await.status, StatusCode::OK);
    for path in ["/v2/health/ready", "/v2/models/made/ready"] {
        let answer = server.get(path).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(
            (&answer.json()["ready"], answer.error().as_str()),
            (&json!(false), "draining")
        );
    }
    assert_eq!(server.get("/health").await.json()["status"], "draining");
    assert_eq!(
        server.post("/predict", "[[1, 1]]").await.status,
        StatusCode::OK
    );
}

/// A request whose first `json.len()` bytes are JSON.
fn binary(path: &str, json: &str, raw: &[u8]) -> http::Request<axum::body::Body> {
    let body = [json.as_bytes(), raw].concat();
    http::Request::post(path)
        .header("Inference-Header-Content-Length", json.len())
        .body(body.into())
        .unwrap()
}

fn raw_input(name: &str, datatype: &str, shape: Value, size: usize) -> Value {
    let parameters = json!({"binary_data_size": size});
    json!({"name": name, "datatype": datatype, "shape": shape, "parameters": parameters})
}

fn floats(numbers: &[f64]) -> Vec<u8> {
    numbers.iter().flat_map(|n| n.to_le_bytes()).collect()
}

/// JSON and the rest of an answer.
fn split(answer: &support::Answer) -> (Value, &[u8]) {
    assert_eq!(answer.headers["content-type"], "application/octet-stream");
    let length = &answer.headers["inference-header-content-length"];
    let length: usize = length.to_str().unwrap().parse().unwrap();
    let (json, rest) = answer.bytes.split_at(length);
    (serde_json::from_slice(json).unwrap(), rest)
}

#[rstest]
#[case("BOOL", vec![1, 0])]
#[case("UINT8", vec![1, 0])]
#[case("UINT16", vec![1, 0, 0, 0])]
#[case("UINT32", vec![1, 0, 0, 0, 0, 0, 0, 0])]
#[case("INT8", vec![1, 0])]
#[case("INT16", vec![1, 0, 0, 0])]
#[case("INT32", vec![1, 0, 0, 0, 0, 0, 0, 0])]
#[case("INT64", vec![1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])]
#[case("UINT64", vec![1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])]
#[case("FP32", [1f32.to_le_bytes(), 0f32.to_le_bytes()].concat())]
#[case("FP64", floats(&[1.0, 0.0]))]
#[tokio::test]
async fn every_datatype_may_come_as_bytes(#[case] datatype: &str, #[case] raw: Vec<u8>) {
    let input = raw_input("x", datatype, json!([1, 2]), raw.len());
    let request = binary(INFER, &json!({"inputs": [input]}).to_string(), &raw);
    let answer = Server::made(Behaviour::Add).send(request).await.json();
    assert_eq!(answer["outputs"][0]["data"], json!([1.0]));
}

#[tokio::test]
async fn json_and_bytes_may_be_mixed_both_ways() {
    let server = Server::made(Behaviour::Classify);
    let inputs = json!([
        raw_input("a", "FP64", json!([2]), 16),
        column("b", json!([2]), json!([1, 5]))
    ]);
    let outputs = json!([
        {"name": "outcome", "parameters": {"binary_data": true}},
        {"name": "probabilities", "parameters": {"binary_data": false}},
        {"name": "prediction_id"},
    ]);
    let parameters = json!({"binary_data_output": true, "note": "ignored", "weight": 0.5});
    let json = json!({"id": "7", "inputs": inputs, "outputs": outputs, "parameters": parameters});
    let request = binary(INFER, &json.to_string(), &floats(&[3.0, 0.0]));
    let answer = server.send(request).await;
    let (json, raw) = split(&answer);
    assert_eq!(
        json["outputs"][0]["parameters"],
        json!({"binary_data_size": 13})
    );
    assert_eq!(json["outputs"][1]["data"], json!([0.25, 0.75, 1.0, 0.0]));
    assert_eq!(
        json["outputs"][2]["parameters"],
        json!({"binary_data_size": 88})
    );
    assert!(json["outputs"][0].get("data").is_none());
    assert_eq!(&raw[..13], b"\x03\0\0\0yes\x02\0\0\0no");
    assert_eq!(raw[13..17], 40u32.to_le_bytes());
    assert_eq!(raw.len(), 13 + 88);
}

#[tokio::test]
async fn a_body_that_is_nothing_but_rows_is_answered_with_bytes() {
    let server = Server::made(Behaviour::Add);
    let request = binary(INFER, "", &floats(&[1.0, 2.0, 0.5, f64::NAN]));
    let answer = server.send(request).await;
    let (json, raw) = split(&answer);
    assert_eq!(json["outputs"][0]["shape"], json!([2]));
    assert_eq!(raw[..16], floats(&[3.0, 4.5]));
    let filled = r#"model_feature_invalid_total{feature="b",model_version="v7",reason="missing",refused="false"}"#;
    assert_eq!(server.metric(filled), 1.0);
}

#[rstest]
#[case(
    "x",
    "",
    b"",
    "header inference-header-content-length must be a number of bytes, not \"x\""
)]
#[case(
    "-1",
    "",
    b"",
    "header inference-header-content-length must be a number of bytes, not \"-1\""
)]
#[case(
    "9",
    "{}",
    b"",
    "header inference-header-content-length is 9, the body has 2 bytes"
)]
#[case("0", "", b"123", r#"input "" has the impossible shape [0, 2]"#)]
#[case(
    "0",
    "",
    b"0123456789abcdef0",
    r#"input "" has 17 bytes, its shape 16"#
)]
#[tokio::test]
async fn a_wrong_header_is_refused(
    #[case] header: &str,
    #[case] json: &str,
    #[case] raw: &[u8],
    #[case] expected: &str,
) {
    let mut request = binary(INFER, json, raw);
    let name = "inference-header-content-length";
    request.headers_mut().insert(name, header.parse().unwrap());
    let answer = Server::made(Behaviour::Add).send(request).await;
    assert_eq!(
        (answer.status, answer.error().as_str()),
        (StatusCode::BAD_REQUEST, expected)
    );
}

#[rstest]
#[case(raw_input("x", "FP64", json!([1, 2]), 24), &[1.0, 2.0], "binary_data_size is 24, the body has 16 more bytes")]
#[case(raw_input("x", "FP64", json!([1, 2]), 8), &[1.0], r#"input "x" has 8 bytes, its shape 16"#)]
#[case(raw_input("x", "FP64", json!([1, 2]), 16), &[1.0, 2.0, 3.0], "the body has 8 bytes that belong to no input")]
#[case(raw_input("x", "FP64", json!([1, 2]), 16), &[f64::NAN, 2.0], r#"row 0: feature "a" is not a finite 64-bit number"#)]
#[case(raw_input("x", "FP64", json!([2, 2]), 32), &[1.0, 2.0, 3.0, f64::INFINITY], r#"row 1: feature "b" is not a finite 64-bit number"#)]
#[case(raw_input("x", "BOOL", json!([4, 2]), 8), &[1e300], r#"row 0: feature "a" is not of datatype BOOL"#)]
#[case(raw_input("x", "BF16", json!([1, 2]), 4), &[], r#"input "x" has datatype "BF16", expected one of BOOL, UINT8, UINT16, UINT32, UINT64, INT8, INT16, INT32, INT64, FP32, FP64"#)]
#[case(json!({"name": "a", "datatype": "FP64", "shape": [1], "data": [1], "parameters": {"binary_data_size": 0}}), &[], r#"input "a" has both data and binary_data_size"#)]
#[tokio::test]
async fn wrong_bytes_are_told_what_is_wrong(
    #[case] input: Value,
    #[case] numbers: &[f64],
    #[case] expected: &str,
) {
    let mut raw = floats(numbers);
    if input["datatype"] == "BF16" {
        raw = vec![0; 4];
    }
    let request = binary(INFER, &json!({"inputs": [input]}).to_string(), &raw);
    let answer = Server::made(Behaviour::Add).send(request).await;
    assert_eq!(
        (answer.status, answer.error().as_str()),
        (StatusCode::BAD_REQUEST, expected)
    );
}

#[tokio::test]
async fn a_wrong_value_is_counted_for_its_feature() {
    let server = Server::made(Behaviour::Add);
    server
        .post(INFER, matrix("INT8", json!([2, 2]), json!([1, 2, 3, 1000])))
        .await;
    let input = raw_input("a", "FP64", json!([1]), 8);
    let body = json!({"inputs": [input]}).to_string();
    server
        .send(binary(INFER, &body, &floats(&[f64::INFINITY])))
        .await;
    for feature in ["a", "b"] {
        let labels =
            format!(r#"feature="{feature}",model_version="v7",reason="type",refused="true""#);
        let series = format!("model_feature_invalid_total{{{labels}}}");
        assert_eq!(server.metric(&series), 1.0, "{feature}");
    }
}

#[tokio::test]
async fn a_classification_names_the_likeliest_classes() {
    let server = Server::made(Behaviour::Classify);
    for (wanted, shape, expected) in [
        (1, json!([2, 1]), json!(["0.75:1:yes", "1:0:no"])),
        (
            9,
            json!([2, 2]),
            json!(["0.75:1:yes", "0.25:0:no", "1:0:no", "0:1:yes"]),
        ),
    ] {
        let input = json!({"name": "x", "datatype": "FP64", "shape": [2, 2], "data": [3, 1, 0, 5]});
        let parameters = json!({"classification": wanted});
        let outputs = json!([{"name": "probabilities", "parameters": parameters}]);
        let body = json!({"inputs": [input], "outputs": outputs}).to_string();
        let answer = server.post(INFER, body).await.json();
        let expected = json!([{"name": "probabilities", "datatype": "BYTES", "shape": shape, "data": expected}]);
        assert_eq!(answer["outputs"], expected);
    }
}

#[tokio::test]
async fn models_are_listed_and_extensions_advertised() {
    let server = Server::made(Behaviour::Add);
    assert_eq!(
        server.get("/v2/models").await.json(),
        json!({"models": ["made"]})
    );
    let extensions = &server.get("/v2").await.json()["extensions"];
    assert!(
        extensions
            .as_array()
            .unwrap()
            .contains(&json!("binary_tensor_data"))
    );
}

#[tokio::test]
async fn statistics_count_rows_requests_and_time() {
    let server = Server::made(Behaviour::Add);
    let stats = "/v2/models/made/stats";
    assert_eq!(
        server.get(stats).await.json()["model_stats"][0]["last_inference"],
        0
    );
    server
        .post(
            INFER,
            matrix("FP64", json!([3, 2]), json!([1, 2, 3, 4, 5, 6])),
        )
        .await;
    server.post("/predict", "[[1, 2]]").await;
    server.post(INFER, "{").await;
    let answer = server.get(stats).await.json();
    for path in ["/v2/models/stats", "/v2/models/made/versions/v7/stats"] {
        let found = server.get(path).await.json();
        assert_eq!(found["model_stats"][0]["execution_count"], 2, "{path}");
    }
    let model = &answer["model_stats"][0];
    assert_eq!(
        (&model["name"], &model["version"]),
        (&json!("made"), &json!("v7"))
    );
    assert_eq!(
        (&model["inference_count"], &model["execution_count"]),
        (&json!(4), &json!(2))
    );
    let spent = &model["inference_stats"];
    for (kind, count) in [
        ("success", 2),
        ("fail", 1),
        ("compute_infer", 2),
        ("queue", 0),
    ] {
        assert_eq!(spent[kind]["count"], count, "{kind}");
        assert_eq!(spent[kind]["ns"].as_u64().unwrap() > 0, count > 0, "{kind}");
    }
    let seconds = model["last_inference"].as_u64().unwrap() / 1000;
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    assert!((now - 60..=now).contains(&seconds));
    assert_eq!(
        server.get("/v2/models/other/stats").await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn statistics_know_every_protocol_and_begin_anew_with_another_version() {
    let server = Server::made(Behaviour::Add);
    let counts = async |server: &Server| {
        let answer = server.get("/v2/models/stats").await.json();
        let model = &answer["model_stats"][0];
        let spent = &model["inference_stats"];
        let success = spent["success"]["count"].as_u64().unwrap();
        assert_eq!(model["execution_count"], success);
        assert_eq!(spent["compute_infer"]["count"], success);
        (success, spent["fail"]["count"].as_u64().unwrap())
    };
    let rows = json!({ "instances": [[1, 2]] }).to_string();
    server.post("/predict", rows.clone()).await;
    server.post("/v1/models/made:predict", rows.clone()).await;
    let mut table = request(Method::POST, "/invocations", rows.clone());
    let json = HeaderValue::from_static("application/json");
    table.headers_mut().insert(CONTENT_TYPE, json);
    server.send(table).await;
    server.post("/v1/models/made:predict", "{").await;
    assert_eq!(counts(&server).await, (3, 1));
    let mut model = made(Behaviour::Add, &[]);
    model.version = "v8".to_owned();
    server.0.replace(model, Duration::ZERO).unwrap();
    assert_eq!(counts(&server).await, (0, 0));
    server.post("/predict", rows).await;
    assert_eq!(counts(&server).await, (1, 0));
}

const LOAD: &str = "/v2/repository/models/diabetes/load";
const UNLOAD: &str = "/v2/repository/models/diabetes/unload";

async fn index(server: &Server, body: &'static str) -> Value {
    server.post("/v2/repository/index", body).await.json()
}

#[rstest]
#[case::index("/v2/repository/index", json!([true]))]
#[case::index_of_nothing("/v2/repository/index", json!([]))]
#[case::load(LOAD, json!([{}]))]
#[case::request("/v2/models/diabetes/infer", json!([null, null, []]))]
#[case::input("/v2/models/diabetes/infer", json!({"inputs": [["rows", [1, 8], "FP64"]]}))]
#[tokio::test]
async fn a_list_of_fields_is_not_an_object(#[case] path: &str, #[case] body: Value) {
    let server = Server::controlled(diabetes());
    let answer = server.post(path, body.to_string()).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(
        answer.error().contains("expected an object"),
        "{}",
        answer.error()
    );
}

#[tokio::test]
async fn the_repository_has_one_model_that_nobody_may_unload() {
    let server = Server::new(diabetes());
    let ready = json!([{"name": "diabetes", "version": "1", "state": "READY", "reason": ""}]);
    for body in ["", "{}", r#"{"ready": true}"#] {
        assert_eq!(index(&server, body).await, ready);
    }
    for path in [LOAD, UNLOAD] {
        let answer = server.post(path, "").await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert_eq!(
            answer.error(),
            "loading and unloading is disabled: allow it with --model-control"
        );
    }
    let counted = format!(
        r#"api_errors_total{{endpoint="{}",error_type="unauthorized"}}"#,
        "/v2/repository/models/{model}/unload"
    );
    assert_eq!(server.metric(&counted), 1.0);
}

#[tokio::test]
async fn an_unloaded_model_is_unavailable_until_it_is_loaded() {
    let server = Server::controlled(diabetes());
    let answer = server
        .post(UNLOAD, r#"{"parameters": {"unload_dependents": true}}"#)
        .await;
    assert_eq!(answer.json(), json!({"name": "diabetes", "unload": true}));
    let infer = "/v2/models/diabetes/infer";
    for path in [infer, "/predict"] {
        let answer = server.post(path, support::ROW).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!(answer.error(), "the model is unloaded");
    }
    for path in ["/v2/health/ready", "/v2/models/diabetes/ready", "/health"] {
        assert_eq!(
            server.get(path).await.status,
            StatusCode::SERVICE_UNAVAILABLE,
            "{path}"
        );
    }
    assert_eq!(server.metric("model_loaded"), 0.0);
    let entry = &index(&server, "").await[0];
    assert_eq!(
        (&entry["state"], &entry["reason"]),
        (&json!("UNAVAILABLE"), &json!("the model is unloaded"))
    );
    assert_eq!(index(&server, r#"{"ready": true}"#).await, json!([]));
    let answer = server
        .post(LOAD, r#"{"parameters": {"config": "{}"}}"#)
        .await;
    assert_eq!(
        answer.error(),
        r#"a model is loaded without parameters, not with "config""#
    );
    assert_eq!(
        server.post(LOAD, "").await.json(),
        json!({"name": "diabetes", "load": true})
    );
    assert_eq!(
        server.post("/predict", support::ROW).await.status,
        StatusCode::OK
    );
    assert_eq!(server.metric("model_loaded"), 1.0);
    let answer = server.post("/v2/repository/models/iris/load", "").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}
