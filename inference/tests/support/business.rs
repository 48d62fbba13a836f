//! Servers with metrics of the user's own, and requests to them.

use super::exposition::exposition;
use super::{Answer, Behaviour, Server, made, request};
use contract::config::{SecretFile, ServerConfig};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, StatusCode};
use inference::serve::access::key_file;
use inference::serve::grpc::proto::model_infer_request::InferInputTensor;
use inference::serve::grpc::proto::{InferTensorContents, ModelInferRequest};
use serde_json::{Value, json};

pub const ROW_OF_MADE: &str = r#"{"a": 1, "b": 2}"#;

/// Asks for a row over a protocol, the query and the parameters in the body being as given.
pub type Ask = fn(&str, Value) -> (String, &'static str, Value);

pub const PREDICT: Ask = |query, _| (format!("/predict{query}"), "", json!([[1, 2]]));
pub const V1: Ask = |query, parameters| {
    let body = json!({"instances": [[1, 2]], "parameters": parameters});
    (format!("/v1/models/made:predict{query}"), "", body)
};
pub const V2: Ask = |query, parameters| {
    let input = json!({"name": "x", "datatype": "FP64", "shape": [1, 2], "data": [1, 2]});
    let body = json!({"inputs": [input], "parameters": parameters});
    (format!("/v2/models/made/infer{query}"), "", body)
};
pub const MLFLOW: Ask = |query, parameters| {
    let body = json!({"inputs": [[1, 2]], "params": parameters});
    (format!("/invocations{query}"), "application/json", body)
};

pub fn config(metrics: Value) -> ServerConfig {
    ServerConfig {
        business_metrics: serde_json::from_value(metrics).unwrap(),
        ..ServerConfig::default()
    }
}

pub fn serving(behaviour: Behaviour, classes: &[&str], metrics: Value) -> Server {
    Server::guarded(made(behaviour, classes), &config(metrics))
}

pub fn adding(metrics: Value) -> Server {
    serving(Behaviour::Add, &[], metrics)
}

pub fn parameter(label: &str) -> Value {
    json!({"name": label, "source": {"parameter": label}})
}

pub fn counter(labels: &Value) -> Value {
    json!([{"name": "seen_total", "type": "counter", "labels": labels}])
}

pub async fn ask(server: &Server, ask: Ask, query: &str, parameters: Value) -> Answer {
    let (path, kind, body) = ask(query, parameters);
    let mut request = request(Method::POST, &path, body.to_string());
    let kind = HeaderValue::from_static(kind);
    request.headers_mut().insert(CONTENT_TYPE, kind);
    server.send(request).await
}

/// The sum of all samples whose name begins with `name`.
pub fn total(server: &Server, name: &str) -> f64 {
    let found = exposition(server);
    let all = found.values().flat_map(|family| &family.samples);
    let all = all.filter(|(series, ..)| series == name);
    all.map(|(.., value)| value).sum()
}

pub fn rejected(server: &Server, metric: &str, reason: &str) -> f64 {
    let labels = format!(r#"metric="{metric}",reason="{reason}""#);
    server.metric(&format!("business_observations_rejected_total{{{labels}}}"))
}

pub fn seen(server: &Server, labels: &str) -> f64 {
    server.metric(&format!("seen_total{{{labels}}}"))
}

/// A server that knows the keys `one` of alice and `two` of bob.
pub fn with_keys(metrics: Value) -> (tempfile::NamedTempFile, Server) {
    let file = tempfile::NamedTempFile::new().unwrap();
    let lines = [("alice", "one"), ("bob", "two")].map(|(id, key)| key_file::line(id, key));
    std::fs::write(file.path(), lines.join("\n")).unwrap();
    let keys = SecretFile {
        file: file.path().to_str().unwrap().to_owned(),
    };
    let config = ServerConfig {
        api_keys: Some(keys),
        ..config(metrics)
    };
    let server = Server::guarded(made(Behaviour::Add, &[]), &config);
    (file, server)
}

pub async fn knock(
    server: &Server,
    key: &'static str,
    path: &str,
    body: &'static str,
) -> StatusCode {
    let mut request = request(Method::POST, path, body);
    let key = HeaderValue::from_static(key);
    request.headers_mut().insert("x-api-key", key);
    server.send(request).await.status
}

pub fn rows(values: &[f64]) -> ModelInferRequest {
    let contents = InferTensorContents {
        fp64_contents: values.to_vec(),
        ..InferTensorContents::default()
    };
    let input = InferInputTensor {
        name: "x".to_owned(),
        datatype: "FP64".to_owned(),
        shape: vec![values.len() as i64 / 2, 2],
        contents: Some(contents),
        ..InferInputTensor::default()
    };
    ModelInferRequest {
        model_name: "made".to_owned(),
        inputs: vec![input],
        ..ModelInferRequest::default()
    }
}
