//! What there is to say about each endpoint, whatever the model.

use contract::labels::Endpoint;
use utoipa::openapi::HttpMethod;

/// One documented route.
pub(super) struct Operation {
    pub(super) method: HttpMethod,
    pub(super) endpoint: Endpoint,
    /// What follows the path of the route.
    pub(super) verb: &'static str,
    pub(super) tag: &'static str,
    pub(super) summary: &'static str,
    /// Schema of the body, if there is one.
    pub(super) request: Option<&'static str>,
    /// Schema of the answer with status 200; None if it is no JSON.
    pub(super) answer: Option<&'static str>,
    pub(super) fails: Fails,
}

/// Which errors a route can answer with.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Fails {
    Never,
    /// 501, whatever the request.
    Always,
    /// 503 while not ready.
    Unready,
    /// 404 for another model.
    Unknown,
    /// 404 for another model, 503 while not ready.
    UnknownOrUnready,
    /// All that can be wrong with a body.
    Body,
    /// All that can be wrong with a body, 404 for another model.
    UnknownOrBody,
    /// What can be wrong with a body without rows.
    SmallBody,
    /// The same, 403 unless it is allowed, 404 for another model, 400 for a model that is refused.
    Control,
}

const PREDICTIONS: &str = "predictions";
const OPERATIONS: &str = "operations";
const V2: &str = "Open Inference Protocol v2";
pub(super) const V1: &str = "KServe v1";
pub(super) const MLFLOW: &str = "MLflow";

const fn read(
    endpoint: Endpoint,
    tag: &'static str,
    summary: &'static str,
    answer: Option<&'static str>,
    fails: Fails,
) -> Operation {
    Operation {
        method: HttpMethod::Get,
        endpoint,
        verb: "",
        tag,
        summary,
        request: None,
        answer,
        fails,
    }
}

/// Every documented endpoint.
#[rustfmt::skip]
pub(super) const TABLE: [Operation; 25] = [
    Operation {
        method: HttpMethod::Post, endpoint: Endpoint::Predict, verb: "", tag: PREDICTIONS,
        summary: "Predict one row or a list of rows",
        request: Some("PredictRequest"), answer: Some("PredictAnswer"), fails: Fails::Body,
    },
    Operation {
        method: HttpMethod::Post, endpoint: Endpoint::Feedback, verb: "", tag: PREDICTIONS,
        summary: "Say what predicted rows should have been",
        request: Some("FeedbackRequest"), answer: Some("FeedbackAnswer"), fails: Fails::Body,
    },
    Operation {
        method: HttpMethod::Post, endpoint: Endpoint::V2Infer, verb: "", tag: V2,
        summary: "Predict tensors",
        request: Some("InferRequest"), answer: Some("InferAnswer"), fails: Fails::UnknownOrBody,
    },
    Operation {
        method: HttpMethod::Post, endpoint: Endpoint::V2Index, verb: "", tag: V2,
        summary: "The models that there are",
        request: Some("IndexRequest"), answer: Some("List"), fails: Fails::SmallBody,
    },
    Operation {
        method: HttpMethod::Post, endpoint: Endpoint::V2Load, verb: "", tag: V2,
        summary: "Load the model again",
        request: None, answer: Some("Object"), fails: Fails::Control,
    },
    Operation {
        method: HttpMethod::Post, endpoint: Endpoint::V2Unload, verb: "", tag: V2,
        summary: "Stop serving the model",
        request: None, answer: Some("Object"), fails: Fails::Control,
    },
    read(Endpoint::V2Models, V2, "Names of the models", Some("Object"), Fails::Never),
    read(Endpoint::V2Stats, V2, "How often the model was asked and how long it took", Some("Object"), Fails::Unknown),
    read(Endpoint::V2Model, V2, "Inputs and outputs of the model", Some("Object"), Fails::Unknown),
    read(Endpoint::V2ModelReady, V2, "Whether the model is ready", Some("Object"), Fails::UnknownOrUnready),
    read(Endpoint::V2Server, V2, "Name and version of the server", Some("Object"), Fails::Never),
    read(Endpoint::V2Live, V2, "Whether the server lives", Some("Object"), Fails::Never),
    read(Endpoint::V2Ready, V2, "Whether the server is ready", Some("Object"), Fails::Unready),
    Operation {
        method: HttpMethod::Post, endpoint: Endpoint::V1Predict, verb: ":predict", tag: V1,
        summary: "Predict a list of rows, or columns of values",
        request: Some("V1Request"), answer: Some("V1Answer"), fails: Fails::UnknownOrBody,
    },
    Operation {
        method: HttpMethod::Post, endpoint: Endpoint::V1Predict, verb: ":explain", tag: V1,
        summary: "Not offered",
        request: None, answer: None, fails: Fails::Always,
    },
    read(Endpoint::Root, V1, "Whether the server lives; browsers get the live page", Some("Object"), Fails::Never),
    read(Endpoint::V1Models, V1, "Names of the models", Some("Object"), Fails::Never),
    read(Endpoint::V1Model, V1, "Whether the model is ready", Some("Object"), Fails::UnknownOrUnready),
    Operation {
        method: HttpMethod::Post, endpoint: Endpoint::Invocations, verb: "", tag: MLFLOW,
        summary: "Predict a table",
        request: Some("InvocationsRequest"), answer: Some("InvocationsAnswer"), fails: Fails::Body,
    },
    read(Endpoint::Ping, MLFLOW, "Whether the model is ready", None, Fails::Unready),
    read(Endpoint::Version, MLFLOW, "Version of the server", None, Fails::Never),
    read(Endpoint::Health, OPERATIONS, "What is served and how it is", Some("Object"), Fails::Unready),
    read(Endpoint::Metrics, OPERATIONS, "Metrics for Prometheus", None, Fails::Never),
    read(Endpoint::Docs, OPERATIONS, "This description as a page", None, Fails::Never),
    read(Endpoint::OpenApi, OPERATIONS, "This description", Some("Object"), Fails::Never),
];
