//! Open Inference Protocol v2 over REST.
// JSON values read better without a & each.
#![allow(clippy::needless_pass_by_value)]

mod support;

use contract::config::Limits;
use http::StatusCode;
use rstest::rstest;
use serde_json::{Value, json};
use support::{Behaviour, Server, diabetes, made};

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
    let filled = r#"model_feature_invalid_total{feature="b",model_version="v7",reason="missing"}"#;
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
#[case(&matrix("INT8", json!([1, 2]), json!([1, 200])), r#"input "x" value 1 is not of datatype INT8"#)]
#[case(&matrix("INT8", json!([1, 2]), json!([1, 1.5])), r#"input "x" value 1 is not of datatype INT8"#)]
#[case(&matrix("FP64", json!([1, 2]), json!(["1", 2])), r#"input "x" value 0 is not of datatype FP64"#)]
#[case(&matrix("FP32", json!([1, 2]), json!([1, 1e39])), r#"input "x" value 1 is not of datatype FP32"#)]
#[case(&matrix("FP64", json!([1, 2]), json!([null, 1])), r#"row 0: feature "a" is missing"#)]
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

#[tokio::test]
async fn binary_tensors_are_refused_with_a_reason() {
    let request = http::Request::post(INFER)
        .header("Inference-Header-Content-Length", "10")
        .body("{}".into())
        .unwrap();
    let answer = Server::made(Behaviour::Add).send(request).await;
    assert_eq!(
        answer.error(),
        "binary tensors are not supported: send data as JSON"
    );
}
