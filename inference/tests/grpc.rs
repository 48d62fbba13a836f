//! Open Inference Protocol v2 over gRPC, on real sockets with a real client.
// Clippy takes what is no test itself for production code.
#![allow(clippy::unwrap_used)]

mod support;

use contract::config::Limits;
use inference::serve::grpc::proto::infer_parameter::ParameterChoice;
use inference::serve::grpc::proto::model_infer_request::{
    InferInputTensor, InferRequestedOutputTensor,
};
use inference::serve::grpc::proto::*;
use prost::Message as _;
use rstest::rstest;
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};
use support::process::Process;
use support::rpc::{Client, Rpc};
use support::{Behaviour, Server, diabetes, made};
use tonic::codec::CompressionEncoding::Gzip;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

fn fp64(values: &[f64]) -> InferTensorContents {
    InferTensorContents {
        fp64_contents: values.to_vec(),
        ..InferTensorContents::default()
    }
}

fn tensor(
    name: &str,
    datatype: &str,
    shape: &[i64],
    contents: InferTensorContents,
) -> InferInputTensor {
    InferInputTensor {
        name: name.to_owned(),
        datatype: datatype.to_owned(),
        shape: shape.to_vec(),
        contents: Some(contents),
        ..InferInputTensor::default()
    }
}

/// Rows of the hand-made model in one tensor.
fn rows(values: &[f64]) -> ModelInferRequest {
    let shape = [values.len() as i64 / 2, 2];
    ModelInferRequest {
        model_name: "made".to_owned(),
        inputs: vec![tensor("x", "FP64", &shape, fp64(values))],
        ..ModelInferRequest::default()
    }
}

/// The same request with its contents as bytes.
fn raw(mut request: ModelInferRequest, bytes: &[u8]) -> ModelInferRequest {
    request.inputs[0].contents = None;
    request.raw_input_contents = vec![bytes.to_vec()];
    request
}

fn bytes(values: &[f64]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

async fn made_client(behaviour: Behaviour) -> (Server, Rpc, Client<Channel>) {
    let server = Server::made(behaviour);
    let rpc = Rpc::start(&server);
    let client = rpc.client().await;
    (server, rpc, client)
}

async fn limited(
    behaviour: Behaviour,
    change: impl FnOnce(&mut Limits),
) -> (Server, Rpc, Client<Channel>) {
    let mut limits = Limits::default();
    change(&mut limits);
    let server = Server::with(made(behaviour, &[]), limits);
    let rpc = Rpc::start(&server);
    let client = rpc.client().await;
    (server, rpc, client)
}

fn requests(server: &Server, endpoint: &str, status: &str) -> f64 {
    let labels = format!(r#"endpoint="{endpoint}",method="POST",status="{status}""#);
    server.metric(&format!("api_requests_total{{{labels}}}"))
}

#[tokio::test]
async fn the_server_and_the_model_say_what_rest_says() {
    let (server, _rpc, mut client) = made_client(Behaviour::Classify).await;
    assert!(
        client
            .server_live(ServerLiveRequest {})
            .await
            .unwrap()
            .into_inner()
            .live
    );
    assert!(
        client
            .server_ready(ServerReadyRequest {})
            .await
            .unwrap()
            .into_inner()
            .ready
    );
    let named = |version: &str| ModelReadyRequest {
        name: "made".to_owned(),
        version: version.to_owned(),
    };
    for version in ["", "v7"] {
        assert!(
            client
                .model_ready(named(version))
                .await
                .unwrap()
                .into_inner()
                .ready
        );
    }
    let found = client
        .server_metadata(ServerMetadataRequest {})
        .await
        .unwrap()
        .into_inner();
    let rest = server.get("/v2").await.json();
    assert_eq!(json!(found.extensions), rest["extensions"]);
    assert_eq!(
        json!([found.name, found.version]),
        json!([rest["name"], rest["version"]])
    );
    let request = ModelMetadataRequest {
        name: "made".to_owned(),
        version: String::new(),
    };
    let found = client.model_metadata(request).await.unwrap().into_inner();
    let rest = server.get("/v2/models/made").await.json();
    let tensors = |tensors: &[model_metadata_response::TensorMetadata]| {
        let one = |t: &model_metadata_response::TensorMetadata| json!({"name": t.name, "datatype": t.datatype, "shape": t.shape});
        Value::from(tensors.iter().map(one).collect::<Vec<_>>())
    };
    assert_eq!(tensors(&found.inputs), rest["inputs"]);
    assert_eq!(tensors(&found.outputs), rest["outputs"]);
    assert_eq!(json!(found.versions), rest["versions"]);
    assert_eq!(json!(found.properties), rest["properties"]);
    assert_eq!(requests(&server, "grpc/health", "200"), 4.0);
    assert_eq!(requests(&server, "grpc/metadata", "200"), 2.0);
}

#[tokio::test]
async fn an_answer_is_of_the_kind_of_its_request() {
    let (server, _rpc, mut client) = made_client(Behaviour::Classify).await;
    let mut request = rows(&[3.0, 1.0, 0.0, 5.0]);
    request.id = "r1".to_owned();
    let typed = client
        .model_infer(request.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (
            typed.model_name.as_str(),
            typed.model_version.as_str(),
            typed.id.as_str()
        ),
        ("made", "v7", "r1")
    );
    assert!(typed.raw_output_contents.is_empty());
    let contents = |at: usize| typed.outputs[at].contents.clone().unwrap();
    assert_eq!(
        contents(0).bytes_contents,
        [b"yes".to_vec(), b"no".to_vec()]
    );
    assert_eq!(contents(1).fp64_contents, [0.25, 0.75, 1.0, 0.0]);
    assert_eq!(contents(2).bytes_contents[0].len(), 40);
    let shapes = typed
        .outputs
        .iter()
        .map(|output| output.shape.clone())
        .collect::<Vec<_>>();
    assert_eq!(shapes, [vec![2], vec![2, 2], vec![2]]);
    request.id.clear();
    let request = raw(request, &bytes(&[3.0, 1.0, 0.0, 5.0]));
    let answer = client.model_infer(request).await.unwrap().into_inner();
    assert!(!answer.id.is_empty());
    assert!(
        answer
            .outputs
            .iter()
            .all(|output| output.contents.is_none())
    );
    assert_eq!(answer.raw_output_contents[0], b"\x03\0\0\0yes\x02\0\0\0no");
    assert_eq!(
        answer.raw_output_contents[1],
        bytes(&[0.25, 0.75, 1.0, 0.0])
    );
    assert_eq!(requests(&server, "grpc/ModelInfer", "200"), 2.0);
    assert_eq!(
        server.metric(r#"model_batch_rows_sum{model_version="v7"}"#),
        4.0
    );
    assert!(server.metric(r#"api_request_size_bytes_sum{endpoint="grpc/ModelInfer"}"#) > 50.0);
    assert!(server.metric(r#"api_response_size_bytes_sum{endpoint="grpc/ModelInfer"}"#) > 50.0);
    assert_eq!(server.metric("api_active_requests"), 0.0);
}

#[rstest]
#[case("BOOL", InferTensorContents { bool_contents: vec![true, false], ..none() })]
#[case("INT8", InferTensorContents { int_contents: vec![1, 0], ..none() })]
#[case("INT16", InferTensorContents { int_contents: vec![1, 0], ..none() })]
#[case("INT32", InferTensorContents { int_contents: vec![1, 0], ..none() })]
#[case("INT64", InferTensorContents { int64_contents: vec![1, 0], ..none() })]
#[case("UINT8", InferTensorContents { uint_contents: vec![1, 0], ..none() })]
#[case("UINT16", InferTensorContents { uint_contents: vec![1, 0], ..none() })]
#[case("UINT32", InferTensorContents { uint_contents: vec![1, 0], ..none() })]
#[case("UINT64", InferTensorContents { uint64_contents: vec![1, 0], ..none() })]
#[case("FP32", InferTensorContents { fp32_contents: vec![1.0, 0.0], ..none() })]
#[case("FP64", fp64(&[1.0, 0.0]))]
#[tokio::test]
async fn every_datatype_may_be_typed(
    #[case] datatype: &str,
    #[case] contents: InferTensorContents,
) {
    let (_server, _rpc, mut client) = made_client(Behaviour::Add).await;
    let mut request = rows(&[0.0, 0.0]);
    request.inputs = vec![tensor("x", datatype, &[1, 2], contents)];
    let answer = client.model_infer(request).await.unwrap().into_inner();
    let value = answer.outputs[0].contents.clone().unwrap().fp64_contents;
    assert_eq!(value, [1.0]);
}

fn none() -> InferTensorContents {
    InferTensorContents::default()
}

/// Rows that look random, the same in every run.
fn noise(count: usize) -> Vec<f64> {
    let mut state = 1u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 11) as f64 / (1u64 << 53) as f64 * 200.0
    };
    (0..count).map(|_| next()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn rest_and_grpc_answer_the_same_bit_for_bit() {
    let server = Server::new(diabetes());
    let rpc = Rpc::start(&server);
    let mut client = rpc.client().await;
    let (count, values) = (1000, noise(8000));
    let input = json!({"name": "x", "datatype": "FP64", "shape": [count, 8], "data": values});
    let rest = server.post(
        "/v2/models/diabetes/infer",
        json!({"inputs": [input]}).to_string(),
    );
    let rest = rest.await.json();
    let expected = rest["outputs"][1]["data"].as_array().unwrap().iter();
    let expected = expected
        .map(|value| value.as_f64().unwrap())
        .collect::<Vec<_>>();
    let request = ModelInferRequest {
        model_name: "diabetes".to_owned(),
        model_version: "1".to_owned(),
        inputs: vec![tensor("x", "FP64", &[count, 8], fp64(&values))],
        ..ModelInferRequest::default()
    };
    let typed = client
        .model_infer(request.clone())
        .await
        .unwrap()
        .into_inner();
    let typed = typed.outputs[1].contents.clone().unwrap().fp64_contents;
    let raw = client
        .model_infer(raw(request, &bytes(&values)))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(bytes(&typed), bytes(&expected));
    assert_eq!(raw.raw_output_contents[1], bytes(&expected));
    let outcomes = raw.raw_output_contents[0].chunks_exact(8);
    let outcomes = outcomes
        .map(|b| i64::from_le_bytes(b.try_into().unwrap()))
        .collect::<Vec<_>>();
    assert_eq!(json!(outcomes), rest["outputs"][0]["data"]);
}

#[tokio::test]
async fn features_may_come_one_by_one_and_outputs_be_chosen() {
    let (_server, _rpc, mut client) = made_client(Behaviour::Classify).await;
    let mut request = rows(&[]);
    request.inputs = vec![
        tensor("b", "FP64", &[2, 1], fp64(&[1.0, f64::NAN])),
        tensor(
            "a",
            "INT32",
            &[2],
            InferTensorContents {
                int_contents: vec![3, 4],
                ..Default::default()
            },
        ),
    ];
    let choice = Some(ParameterChoice::Int64Param(1));
    request.outputs = vec![InferRequestedOutputTensor {
        name: "probabilities".to_owned(),
        parameters: [(
            "classification".to_owned(),
            InferParameter {
                parameter_choice: choice,
            },
        )]
        .into(),
    }];
    let answer = client.model_infer(request).await.unwrap().into_inner();
    assert_eq!(answer.outputs.len(), 1);
    let found = answer.outputs[0].contents.clone().unwrap().bytes_contents;
    assert_eq!(found, [b"0.75:1:yes".to_vec(), b"0.5:0:no".to_vec()]);
}

type Wrong = (fn(&mut ModelInferRequest), Code, &'static str);

/// What makes a good request wrong, and what the client is told.
#[rustfmt::skip]
const WRONG: [Wrong; 15] = [
    (|r| r.model_name = "iris".to_owned(), Code::NotFound, r#"no model "iris""#),
    (|r| r.model_version = "2".to_owned(), Code::NotFound, r#"the model has no version "2""#),
    (|r| r.inputs.clear(), Code::InvalidArgument, "no inputs"),
    (|r| r.inputs[0].contents = None, Code::InvalidArgument, r#"input "x" has 0 values, its shape 2"#),
    (|r| r.inputs[0].shape = vec![1, 3], Code::InvalidArgument, r#"input "x" has shape [1, 3], expected [rows, 2]"#),
    (|r| r.inputs[0].shape = vec![i64::MAX, 3], Code::InvalidArgument, r#"input "x" has the impossible shape [9223372036854775807, 3]"#),
    (|r| r.inputs[0].shape = vec![5000, 2], Code::ResourceExhausted, "more than 1024 rows in one request"),
    (|r| r.inputs[0].datatype = "INT64".to_owned(), Code::InvalidArgument, r#"input "x" has contents that belong to another datatype"#),
    (|r| r.inputs[0].datatype = "FP16".to_owned(), Code::InvalidArgument, r#"input "x" has datatype "FP16", expected one of BOOL, UINT8, UINT16, UINT32, UINT64, INT8, INT16, INT32, INT64, FP32, FP64"#),
    (|r| r.inputs[0].contents = Some(fp64(&[1.0, f64::INFINITY])), Code::InvalidArgument, r#"row 0: feature "b" is not a finite 64-bit number"#),
    (|r| r.inputs[0].contents = Some(fp64(&[f64::NAN, 1.0])), Code::InvalidArgument, r#"row 0: feature "a" is not a finite 64-bit number"#),
    (|r| r.raw_input_contents = vec![vec![0; 16]], Code::InvalidArgument, r#"input "x" has contents beside raw_input_contents"#),
    (|r| r.raw_input_contents = vec![vec![0; 16], vec![]], Code::InvalidArgument, "raw_input_contents has 2 entries for 1 inputs"),
    (|r| *r = raw(r.clone(), &[0; 15]), Code::InvalidArgument, r#"input "x" has 15 bytes, its shape 16"#),
    (|r| r.inputs = vec![InferInputTensor::default(); 20_000], Code::InvalidArgument, "more than 16384 tensors"),
];

#[tokio::test]
async fn a_wrong_request_is_told_what_is_wrong() {
    let (server, _rpc, mut client) = made_client(Behaviour::Add).await;
    for (change, code, message) in WRONG {
        let mut request = rows(&[1.0, 2.0]);
        change(&mut request);
        let status = client.model_infer(request).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (code, message));
    }
    for (status, count) in [("404", 2.0), ("413", 1.0), ("400", 12.0)] {
        assert_eq!(
            requests(&server, "grpc/ModelInfer", status),
            count,
            "{status}"
        );
    }
    let errors = r#"api_errors_total{endpoint="grpc/ModelInfer",error_type="validation"}"#;
    assert_eq!(server.metric(errors), 12.0);
    for feature in ["a", "b"] {
        let labels =
            format!(r#"feature="{feature}",model_version="v7",reason="type",refused="true""#);
        let counted = server.metric(&format!("model_feature_invalid_total{{{labels}}}"));
        assert_eq!(counted, 1.0, "{feature}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_waits_as_long_as_it_says_but_not_longer_than_the_server() {
    let (_server, rpc, mut client) = made_client(Behaviour::Slow).await;
    // The client of all other tests would give up by itself.
    let message = rows(&[1.0, 2.0]).encode_to_vec();
    let status = rpc.call("ModelInfer", "50m", &message).await;
    assert_eq!(
        (status.code(), status.message()),
        (
            Code::DeadlineExceeded,
            "no answer within 50ms, which is how long the client waits"
        )
    );
    let mut request = Request::new(rows(&[1.0, 2.0]));
    request
        .metadata_mut()
        .insert("grpc-timeout", "soon".parse().unwrap());
    let status = client.model_infer(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(
        status.message(),
        r#"grpc-timeout must be digits and a unit, not "soon""#
    );
    let (server, _rpc, mut client) =
        limited(Behaviour::Slow, |limits| limits.request_timeout_ms = 50).await;
    let request = raw(rows(&[0.0; 2000]), &bytes(&[0.0; 2000]));
    let status = client.model_infer(request).await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::DeadlineExceeded, "no answer within 50ms")
    );
    assert_eq!(requests(&server, "grpc/ModelInfer", "504"), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_a_few_requests_over_the_limit_are_shed() {
    let (server, rpc, client) =
        limited(Behaviour::Slow, |limits| limits.max_concurrent_requests = 1).await;
    let infer = |client: &Client<Channel>| {
        let mut client = client.clone();
        tokio::spawn(async move { client.model_infer(rows(&[1.0, 2.0])).await })
    };
    // Until the server has begun to accept.
    client
        .clone()
        .server_live(ServerLiveRequest {})
        .await
        .unwrap();
    let admitted = [infer(&client), infer(&client), infer(&client)];
    tokio::time::sleep(Duration::from_millis(100)).await;
    let status = infer(&rpc.client().await).await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(
        status.message(),
        "the server is working on 1 requests already: try again"
    );
    assert_eq!(status.metadata().get("retry-after").unwrap(), "1");
    assert_eq!(requests(&server, "grpc/ModelInfer", "503"), 1.0);
    for answer in admitted {
        assert!(answer.await.unwrap().is_ok());
    }
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_packed_or_not() {
    let (server, rpc, mut client) =
        limited(Behaviour::Add, |limits| limits.max_body_bytes = 1000).await;
    let large = rows(&[0.0; 2000]);
    let status = client.model_infer(large.clone()).await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::ResourceExhausted, "the body has more than 1000 bytes")
    );
    let mut packed = rpc.client().await.send_compressed(Gzip);
    let status = packed.model_infer(large).await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::ResourceExhausted, "the body has more than 1000 bytes")
    );
    assert_eq!(requests(&server, "grpc/ModelInfer", "413"), 2.0);
}

#[tokio::test]
async fn messages_may_be_packed_both_ways() {
    let (_server, rpc, _client) = made_client(Behaviour::Add).await;
    let mut client = rpc
        .client()
        .await
        .send_compressed(Gzip)
        .accept_compressed(Gzip);
    let answer = client.model_infer(rows(&[1.0; 200])).await.unwrap();
    assert_eq!(answer.metadata().get("grpc-encoding").unwrap(), "gzip");
    let values = answer.into_inner().outputs[0]
        .contents
        .clone()
        .unwrap()
        .fp64_contents;
    assert_eq!(values, [2.0; 100]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_fails_its_own_request_only() {
    let (server, _rpc, mut client) = made_client(Behaviour::Panic).await;
    let status = client.model_infer(rows(&[666.0, 1.0])).await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::Internal, "internal error")
    );
    assert_eq!(requests(&server, "grpc/ModelInfer", "500"), 1.0);
    assert!(client.model_infer(rows(&[1.0, 1.0])).await.is_ok());
}

#[tokio::test]
async fn an_unknown_method_is_unimplemented() {
    let (server, rpc, _client) = made_client(Behaviour::Add).await;
    let mut grpc = tonic::client::Grpc::new(rpc.channel().await);
    grpc.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<ServerLiveRequest, ServerLiveResponse>::default();
    let path = http::uri::PathAndQuery::from_static("/inference.GRPCInferenceService/Guess");
    let answer = grpc
        .unary(Request::new(ServerLiveRequest {}), path, codec)
        .await;
    assert_eq!(answer.unwrap_err().code(), Code::Unimplemented);
    assert_eq!(requests(&server, "other", "404"), 1.0);
}

#[tokio::test]
async fn an_unloaded_model_is_unavailable_until_it_is_loaded() {
    let server = Server::controlled(diabetes());
    let rpc = Rpc::start(&server);
    let mut client = rpc.client().await;
    let unload = || RepositoryModelUnloadRequest {
        model_name: "diabetes".to_owned(),
        ..Default::default()
    };
    let load = || RepositoryModelLoadRequest {
        model_name: "diabetes".to_owned(),
        ..Default::default()
    };
    client.repository_model_unload(unload()).await.unwrap();
    let index = client
        .repository_index(RepositoryIndexRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (
            index.models[0].state.as_str(),
            index.models[0].reason.as_str()
        ),
        ("UNAVAILABLE", "the model is unloaded")
    );
    let request = ModelInferRequest {
        model_name: "diabetes".to_owned(),
        inputs: vec![tensor("x", "FP64", &[1, 8], fp64(&[1.0; 8]))],
        ..Default::default()
    };
    let status = client.model_infer(request.clone()).await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::Unavailable, "the model is unloaded")
    );
    assert!(
        !client
            .server_ready(ServerReadyRequest {})
            .await
            .unwrap()
            .into_inner()
            .ready
    );
    client.repository_model_load(load()).await.unwrap();
    client.model_infer(request).await.unwrap();
}

#[tokio::test]
async fn nobody_may_unload_unless_it_is_allowed() {
    let (_server, _rpc, mut client) = made_client(Behaviour::Add).await;
    let request = RepositoryModelUnloadRequest {
        model_name: "made".to_owned(),
        ..Default::default()
    };
    let status = client.repository_model_unload(request).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn statistics_count_rows_requests_and_time() {
    let (_server, _rpc, mut client) = made_client(Behaviour::Add).await;
    client.model_infer(rows(&[1.0; 6])).await.unwrap();
    let statistics = client
        .model_statistics(ModelStatisticsRequest::default())
        .await
        .unwrap()
        .into_inner();
    let model = &statistics.model_stats[0];
    assert_eq!((model.inference_count, model.execution_count), (3, 1));
    assert_eq!(
        model
            .inference_stats
            .as_ref()
            .unwrap()
            .success
            .as_ref()
            .unwrap()
            .count,
        1
    );
}

#[tokio::test]
async fn health_checks_follow_readiness() {
    let (server, rpc, _client) = made_client(Behaviour::Add).await;
    let mut health = HealthClient::new(rpc.channel().await);
    let ask = |service: &str| HealthCheckRequest {
        service: service.to_owned(),
    };
    let mut watch = health.watch(ask("")).await.unwrap().into_inner();
    let first = watch.message().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::Serving);
    let named = ask("inference.GRPCInferenceService");
    assert_eq!(
        health.check(named).await.unwrap().into_inner().status(),
        ServingStatus::Serving
    );
    assert_eq!(
        health.check(ask("nobody")).await.unwrap_err().code(),
        Code::NotFound
    );
    server.0.health.drain();
    let second = watch.message().await.unwrap().unwrap();
    assert_eq!(second.status(), ServingStatus::NotServing);
    let checked = health.check(ask("")).await.unwrap().into_inner();
    assert_eq!(checked.status(), ServingStatus::NotServing);
}

#[tokio::test]
async fn the_services_are_listed() {
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
    let (_server, rpc, _client) = made_client(Behaviour::Add).await;
    let mut client = ServerReflectionClient::new(rpc.channel().await);
    let question = tonic_reflection::pb::v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let answers = client.server_reflection_info(one_then_wait(question)).await;
    let answer = answers.unwrap().into_inner().message().await.unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.unwrap().message_response else {
        panic!("no list");
    };
    let names = list
        .service
        .iter()
        .map(|service| service.name.as_str())
        .collect::<Vec<_>>();
    assert!(
        names.contains(&"inference.GRPCInferenceService"),
        "{names:?}"
    );
    assert!(names.contains(&"grpc.health.v1.Health"), "{names:?}");
}

#[tokio::test]
async fn the_older_reflection_is_there_and_a_drain_ends_its_questions() {
    use tonic_reflection::pb::v1alpha::ServerReflectionRequest;
    use tonic_reflection::pb::v1alpha::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1alpha::server_reflection_request::MessageRequest;
    let (server, rpc, _client) = made_client(Behaviour::Add).await;
    let mut client = ServerReflectionClient::new(rpc.channel().await);
    let symbol = "inference.GRPCInferenceService".to_owned();
    let question = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::FileContainingSymbol(symbol)),
    };
    let answers = client.server_reflection_info(one_then_wait(question)).await;
    let mut answers = answers.unwrap().into_inner();
    assert!(
        answers
            .message()
            .await
            .unwrap()
            .unwrap()
            .message_response
            .is_some()
    );
    server.0.health.drain();
    assert!(answers.message().await.unwrap().is_none());
}

/// One message, then none for ever.
fn one_then_wait<T: Send + 'static>(message: T) -> impl futures::Stream<Item = T> + Send {
    use futures::StreamExt as _;
    futures::stream::iter([message]).chain(futures::stream::pending())
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_answers_what_was_asked_and_ends_streams_and_idle_connections() {
    let (server, rpc, mut client) = made_client(Behaviour::Slow).await;
    let idle = rpc.channel().await;
    let mut health = HealthClient::new(rpc.channel().await);
    let mut watch = health
        .watch(HealthCheckRequest::default())
        .await
        .unwrap()
        .into_inner();
    let asked = tokio::spawn(async move { client.model_infer(rows(&[1.0, 2.0])).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.0.health.drain();
    let address = rpc.address;
    let open = rpc.stop().await;
    assert!(
        std::net::TcpStream::connect(address).is_err(),
        "it still accepts"
    );
    let begin = Instant::now();
    open.shutdown().await;
    assert!(begin.elapsed() < Duration::from_secs(2));
    assert!(asked.await.unwrap().is_ok());
    while let Ok(Some(_)) = watch.message().await {}
    drop(idle);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_do_not_speak_http2_are_cut() {
    let (_server, rpc, _client) = made_client(Behaviour::Add).await;
    let address = rpc.address;
    let talk = move |hello: &'static [u8]| {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream.write_all(hello).unwrap();
        let begin = Instant::now();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        (answer.len(), begin.elapsed().as_secs())
    };
    let talk = |hello| tokio::task::spawn_blocking(move || talk(hello));
    let (loud, silent) = tokio::join!(
        talk(b"GET /predict HTTP/1.1\r\nhost: x\r\n\r\n"),
        talk(b"PRI")
    );
    assert_eq!(loud.unwrap(), (0, 0));
    let (received, waited) = silent.unwrap();
    assert_eq!(received, 0);
    assert!((4..8).contains(&waited), "cut after {waited} s");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_serves_grpc_where_it_is_told_to_and_stops_in_time() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let mut program = Process::start(&["--grpc", &address]);
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let channel = endpoint.connect().await.unwrap();
    let mut client = Client::new(channel.clone());
    let request = ModelInferRequest {
        model_name: "diabetes".to_owned(),
        inputs: vec![tensor("x", "FP64", &[1, 8], fp64(&[1.0; 8]))],
        ..Default::default()
    };
    client.model_infer(request).await.unwrap();
    let mut health = HealthClient::new(channel);
    let mut watch = health
        .watch(HealthCheckRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        watch.message().await.unwrap().unwrap().status(),
        ServingStatus::Serving
    );
    program.terminate();
    let ended = tokio::task::spawn_blocking(move || program.wait(Duration::from_secs(5)).success());
    assert_eq!(
        watch.message().await.unwrap().unwrap().status(),
        ServingStatus::NotServing
    );
    assert!(ended.await.unwrap());
}
