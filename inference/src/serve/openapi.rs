//! The OpenAPI description of the loaded model: real features, real classes, an example row.

mod schemas;
mod security;

use super::access::needs_key;
use super::error::Error;
use super::served::Served;
use super::{kserve_v1, mlflow};
use contract::labels::Endpoint;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use utoipa::openapi::path::{OperationBuilder, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::{
    ComponentsBuilder, Content, ContentBuilder, HttpMethod, InfoBuilder, OpenApiBuilder,
    PathsBuilder, Ref, Required, Response, ResponseBuilder, schema,
};

/// One documented route.
struct Operation {
    method: HttpMethod,
    endpoint: Endpoint,
    tag: &'static str,
    summary: &'static str,
    /// Schema of the body, if there is one.
    request: Option<&'static str>,
    /// Schema of the answer with status 200; None if it is no JSON.
    answer: Option<&'static str>,
    fails: Fails,
}

/// Which errors a route can answer with.
#[derive(Clone, Copy, PartialEq)]
enum Fails {
    Never,
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
const V1: &str = "KServe v1";
const MLFLOW: &str = "MLflow";

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
        tag,
        summary,
        request: None,
        answer,
        fails,
    }
}

/// Every documented route.
#[rustfmt::skip]
const TABLE: [Operation; 23] = [
    Operation {
        method: HttpMethod::Post, endpoint: Endpoint::Predict, tag: PREDICTIONS,
        summary: "Predict one row or a list of rows",
        request: Some("PredictRequest"), answer: Some("PredictAnswer"), fails: Fails::Body,
    },
    Operation {
        method: HttpMethod::Post, endpoint: Endpoint::Feedback, tag: PREDICTIONS,
        summary: "Say what predicted rows should have been",
        request: Some("FeedbackRequest"), answer: Some("FeedbackAnswer"), fails: Fails::Body,
    },
    Operation {
        method: HttpMethod::Post, endpoint: Endpoint::V2Infer, tag: V2,
        summary: "Predict tensors",
        request: Some("InferRequest"), answer: Some("InferAnswer"), fails: Fails::UnknownOrBody,
    },
    Operation {
        method: HttpMethod::Post, endpoint: Endpoint::V2Index, tag: V2,
        summary: "The models that there are",
        request: Some("IndexRequest"), answer: Some("List"), fails: Fails::SmallBody,
    },
    Operation {
        method: HttpMethod::Post, endpoint: Endpoint::V2Load, tag: V2,
        summary: "Load the model again",
        request: None, answer: Some("Object"), fails: Fails::Control,
    },
    Operation {
        method: HttpMethod::Post, endpoint: Endpoint::V2Unload, tag: V2,
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
        method: HttpMethod::Post, endpoint: Endpoint::V1Predict, tag: V1,
        summary: "Predict a list of rows, or columns of values",
        request: Some("V1Request"), answer: Some("V1Answer"), fails: Fails::UnknownOrBody,
    },
    read(Endpoint::Root, V1, "Whether the server lives", Some("Object"), Fails::Never),
    read(Endpoint::V1Models, V1, "Names of the models", Some("Object"), Fails::Never),
    read(Endpoint::V1Model, V1, "Whether the model is ready", Some("Object"), Fails::UnknownOrUnready),
    Operation {
        method: HttpMethod::Post, endpoint: Endpoint::Invocations, tag: MLFLOW,
        summary: "Predict a table",
        request: Some("InvocationsRequest"), answer: Some("InvocationsAnswer"), fails: Fails::Body,
    },
    read(Endpoint::Ping, MLFLOW, "Whether the model is ready", None, Fails::Unready),
    read(Endpoint::Version, MLFLOW, "Version of the server", None, Fails::Never),
    read(Endpoint::Health, OPERATIONS, "What is served and how it is", Some("Object"), Fails::Unready),
    read(Endpoint::Metrics, OPERATIONS, "Metrics for Prometheus", None, Fails::Never),
    read(Endpoint::OpenApi, OPERATIONS, "This description", Some("Object"), Fails::Never),
];

/// The description as JSON; `keys` says whether API keys are configured.
pub fn document(served: &Served, keys: bool) -> String {
    let mut paths = PathsBuilder::new();
    for operation in &TABLE {
        let mut described = operation.build(served);
        if keys && needs_key(operation.endpoint) {
            described = security::require(described);
        }
        let item = PathItem::new(operation.method.clone(), described);
        paths = paths.path(operation.endpoint.as_str(), item);
    }
    let components = schemas::all(served)
        .into_iter()
        .fold(ComponentsBuilder::new(), |components, (name, schema)| {
            components.schema(name, schema)
        });
    let components = match keys {
        true => security::declare(components),
        false => components,
    };
    let manifest = &served.model.manifest;
    let about = format!(
        "{} by {}: predicts `{}` from {} features.",
        manifest.task,
        manifest.algorithm,
        manifest.target,
        served.signature.width(),
    );
    let info = InfoBuilder::new()
        .title(&served.model.name)
        .version(&served.model.version)
        .description(Some(about));
    OpenApiBuilder::new()
        .info(info)
        .paths(paths)
        .components(Some(components.build()))
        .build()
        .to_json()
        .unwrap_or_default()
}

impl Operation {
    fn build(&self, served: &Served) -> OperationBuilder {
        let mut operation = OperationBuilder::new()
            .tag(self.tag)
            .summary(Some(self.summary))
            .request_body(self.request.map(|name| body(served, name)))
            .response("200", self.success(served));
        if self.endpoint.as_str().contains("{model}") {
            let model = ParameterBuilder::new()
                .name("model")
                .parameter_in(ParameterIn::Path)
                .required(Required::True)
                .schema(Some(schema::Object::with_type(schema::Type::String)))
                .example(Some(Value::from(served.model.name.as_str())));
            operation = operation.parameter(model);
        }
        for (status, description) in self.errors(served) {
            let form = self.error_form(status, &description);
            operation = operation.response(status.to_string(), failure(description, form));
        }
        operation
    }

    fn success(&self, served: &Served) -> Response {
        let response = ResponseBuilder::new().description("success");
        match self.answer {
            Some(name) => {
                let schema = Ref::from_schema_name(name);
                let content = ContentBuilder::new()
                    .schema(Some(schema))
                    .example(schemas::example_answer(served, self.endpoint));
                response
                    .content("application/json", content.build())
                    .build()
            }
            None => {
                let text = schema::Object::with_type(schema::Type::String);
                let content = ContentBuilder::new().schema(Some(text)).build();
                response.content("text/plain", content).build()
            }
        }
    }

    /// Schema of the errors, and one that says `message`.
    fn error_form(&self, status: u16, message: &str) -> (&'static str, Value) {
        match self.tag {
            MLFLOW => ("MlflowError", mlflow::body(status, message)),
            _ => ("Error", serde_json::json!({ "error": message })),
        }
    }

    /// Statuses with what their errors say, kinds of one status joined.
    fn errors(&self, served: &Served) -> BTreeMap<u16, String> {
        let mut errors = BTreeMap::<u16, String>::new();
        for (status, message) in self.kinds(served) {
            let said = errors.entry(status).or_default();
            if !said.is_empty() {
                said.push_str("; or: ");
            }
            said.push_str(&message);
        }
        errors
    }

    /// Status and message of every kind of error.
    fn kinds(&self, served: &Served) -> Vec<(u16, String)> {
        let (unknown, unready) = self.of_model(&served.model.name);
        let mut bad: Vec<_> = body_errors(served).iter().map(said).collect();
        if self.endpoint == Endpoint::Invocations {
            bad.push(said(&mlflow::WRONG_TYPE));
        }
        match self.fails {
            Fails::Never => vec![],
            Fails::Unready => vec![unready],
            Fails::Unknown => vec![unknown],
            Fails::UnknownOrUnready => vec![unknown, unready],
            Fails::Body => bad,
            Fails::UnknownOrBody => {
                bad.push(unknown);
                bad
            }
            Fails::SmallBody => small_body_errors(served).iter().map(said).collect(),
            Fails::Control => {
                let mut kinds = small_body_errors(served);
                let refused = "Corrupt: the model file is damaged".to_owned();
                kinds.extend([
                    Error::ControlDisabled,
                    Error::Load(refused),
                    Error::Internal,
                ]);
                let kinds = kinds.iter().map(said);
                kinds.chain([unknown]).collect()
            }
        }
    }

    /// What is said about another model, and while the one called `name` is not ready.
    fn of_model(&self, name: &str) -> ((u16, String), (u16, String)) {
        let (unknown, unready) = match self.tag {
            V1 => (kserve_v1::unknown("iris"), kserve_v1::not_ready(name)),
            _ => (
                Error::UnknownModel("iris".to_owned()).to_string(),
                "draining".to_owned(),
            ),
        };
        ((404, unknown), (503, unready))
    }
}

fn said(error: &Error) -> (u16, String) {
    (error.class().0.as_u16(), error.to_string())
}

/// One of every error that a route with a body can answer with.
fn body_errors(served: &Served) -> Vec<Error> {
    let limits = &served.limits;
    let patience = Duration::from_millis(limits.request_timeout_ms);
    let mut errors = small_body_errors(served);
    errors.extend([
        served.signature.fault(0, 0, super::error::Problem::Missing),
        Error::TooManyRows(limits.max_batch_rows as usize),
        Error::ContentEncoding,
        Error::Internal,
        Error::Unloaded,
        Error::Deadline(patience),
    ]);
    errors
}

/// One of every error that receiving a body can end with.
fn small_body_errors(served: &Served) -> Vec<Error> {
    let limits = &served.limits;
    vec![
        Error::Json("expected value at line 1 column 1".to_owned()),
        Error::SlowBody(Duration::from_millis(limits.request_timeout_ms)),
        Error::BodyTooLarge(limits.max_body_bytes),
        Error::Overload(limits.max_concurrent_requests as usize),
    ]
}

/// An answer that says what went wrong.
/// Of a body with a named schema and an example.
fn failure(description: String, (schema, example): (&str, Value)) -> ResponseBuilder {
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(schema)))
        .example(Some(example))
        .build();
    ResponseBuilder::new()
        .description(description)
        .content("application/json", content)
}

fn body(served: &Served, name: &str) -> RequestBody {
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(name)))
        .example(Some(schemas::example(served, name)))
        .build();
    let required = match name {
        "IndexRequest" => Required::False,
        _ => Required::True,
    };
    let body = RequestBodyBuilder::new()
        .required(Some(required))
        .content("application/json", content);
    match name {
        "InvocationsRequest" => body.content("text/csv", table(served)).build(),
        _ => body.build(),
    }
}

/// A header line and a row.
fn table(served: &Served) -> Content {
    ContentBuilder::new()
        .schema(Some(schema::Object::with_type(schema::Type::String)))
        .example(Some(Value::from(schemas::csv_example(served))))
        .build()
}
