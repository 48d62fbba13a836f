//! The OpenAPI description of the loaded model: real features, real classes, an example row.

mod errors;
mod schemas;
mod security;
mod table;

use super::access::Access;
use super::app;
use super::served::Served;
use contract::labels::Endpoint;
use serde_json::Value;
use table::{Fails, Operation, TABLE};
use utoipa::openapi::path::{OperationBuilder, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::{
    ComponentsBuilder, Content, ContentBuilder, InfoBuilder, OpenApiBuilder, PathsBuilder, Ref,
    Required, Response, ResponseBuilder, schema,
};

/// What nobody asks for but the pages of `/docs` and `/`, which is why it is not described.
const ASSETS: [&str; 2] = ["/docs/{file}", "/page/{file}"];

/// The description as JSON, for those whom `access` admits.
pub fn document(served: &Served, access: &Access) -> String {
    let mut paths = PathsBuilder::new();
    for (path, endpoint) in app::paths().filter(|(path, _)| !ASSETS.contains(path)) {
        for operation in TABLE.iter().filter(|it| it.endpoint == endpoint) {
            let described = operation.build(path, served, access);
            let item = PathItem::new(operation.method.clone(), described);
            paths = paths.path(format!("{path}{}", operation.verb), item);
        }
    }
    let components = schemas::all(served)
        .into_iter()
        .fold(ComponentsBuilder::new(), |components, (name, schema)| {
            components.schema(name, schema)
        });
    let components = security::declare(components, access);
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
    /// The operation of the route at `path`.
    fn build(&self, path: &str, served: &Served, access: &Access) -> OperationBuilder {
        let mut operation = OperationBuilder::new()
            .tag(self.tag)
            .summary(Some(self.summary))
            .request_body(self.request.map(|name| body(served, name)));
        if self.fails != Fails::Always {
            operation = operation.response("200", self.success(served));
        }
        let model = &served.model;
        for (name, value) in [("model", &model.name), ("version", &model.version)] {
            if path.contains(&format!("{{{name}}}")) {
                operation = operation.parameter(parameter(name, value));
            }
        }
        for (status, description) in self.errors(path, served, access) {
            let form = self.error_form(status, &description);
            operation = operation.response(status.to_string(), failure(description, form));
        }
        match security::needed(self.endpoint, access) {
            Some(secret) => secret.require(operation),
            None => operation,
        }
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
                response.content(self.text_kind(), content).build()
            }
        }
    }

    /// Media type of an answer that is no JSON.
    const fn text_kind(&self) -> &'static str {
        match self.endpoint {
            Endpoint::Docs => "text/html",
            _ => "text/plain",
        }
    }
}

/// A part of the path.
fn parameter(name: &str, example: &str) -> ParameterBuilder {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .schema(Some(schema::Object::with_type(schema::Type::String)))
        .example(Some(Value::from(example)))
}

/// An answer that says what went wrong, in the form of a named schema and an example.
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
        "InvocationsRequest" => {
            let table = text(schemas::csv_example(served));
            body.content("text/csv", table).build()
        }
        "FeedbackRequest" => {
            let lines = text(schemas::lines_example(served));
            body.content("application/x-ndjson", lines).build()
        }
        _ => body.build(),
    }
}

/// A body that is no JSON.
fn text(example: String) -> Content {
    ContentBuilder::new()
        .schema(Some(schema::Object::with_type(schema::Type::String)))
        .example(Some(Value::from(example)))
        .build()
}
