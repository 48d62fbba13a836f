//! The OpenAPI description of the loaded model: real features, real classes, an example row.

mod schemas;
mod security;

use super::access::needs_key;
use super::error::Error;
use super::served::Served;
use contract::labels::Endpoint;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use utoipa::openapi::path::{OperationBuilder, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, HttpMethod, InfoBuilder, OpenApiBuilder, PathsBuilder, Ref,
    Required, Response, ResponseBuilder, schema,
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
}

const PREDICTIONS: &str = "predictions";
const OPERATIONS: &str = "operations";
const V2: &str = "Open Inference Protocol v2";

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
const TABLE: [Operation; 11] = [
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
    read(Endpoint::V2Model, V2, "Inputs and outputs of the model", Some("Object"), Fails::Unknown),
    read(Endpoint::V2ModelReady, V2, "Whether the model is ready", Some("Object"), Fails::UnknownOrUnready),
    read(Endpoint::V2Server, V2, "Name and version of the server", Some("Object"), Fails::Never),
    read(Endpoint::V2Live, V2, "Whether the server lives", Some("Object"), Fails::Never),
    read(Endpoint::V2Ready, V2, "Whether the server is ready", Some("Object"), Fails::Unready),
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
            operation = operation.response(status.to_string(), failure(description));
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

    /// Statuses with what their errors say, kinds of one status joined.
    fn errors(&self, served: &Served) -> BTreeMap<u16, String> {
        let unknown = Error::UnknownModel("iris".to_owned());
        let kinds = match self.fails {
            Fails::Never => vec![],
            Fails::Unready => return BTreeMap::from([(503, "draining".to_owned())]),
            Fails::Unknown => vec![unknown],
            Fails::UnknownOrUnready => {
                return BTreeMap::from([(404, unknown.to_string()), (503, "draining".to_owned())]);
            }
            Fails::Body => body_errors(served),
            Fails::UnknownOrBody => {
                let mut kinds = body_errors(served);
                kinds.push(unknown);
                kinds
            }
        };
        let mut errors = BTreeMap::<u16, String>::new();
        for kind in kinds {
            let said = errors.entry(kind.class().0.as_u16()).or_default();
            if !said.is_empty() {
                said.push_str("; or: ");
            }
            said.push_str(&kind.to_string());
        }
        errors
    }
}

/// One of every error that a route with a body can answer with.
fn body_errors(served: &Served) -> Vec<Error> {
    let limits = &served.limits;
    let patience = Duration::from_millis(limits.request_timeout_ms);
    vec![
        Error::Json("expected value at line 1 column 1".to_owned()),
        served.signature.fault(0, 0, super::error::Problem::Missing),
        Error::SlowBody(patience),
        Error::BodyTooLarge(limits.max_body_bytes),
        Error::TooManyRows(limits.max_batch_rows as usize),
        Error::Internal,
        Error::Overload(limits.max_concurrent_requests as usize),
        Error::Deadline(patience),
    ]
}

/// An answer that says what went wrong.
fn failure(description: String) -> ResponseBuilder {
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Error")))
        .example(Some(serde_json::json!({ "error": description })))
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
    RequestBodyBuilder::new()
        .required(Some(Required::True))
        .content("application/json", content)
        .build()
}
