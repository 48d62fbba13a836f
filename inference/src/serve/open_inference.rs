//! Open Inference Protocol v2 over REST, as
//! `kserve/open-inference-protocol/specification/protocol/inference_rest.md` has it. Where servers
//! differ, the answers are a superset that all known clients accept.
//!
//! ```text
//! request ─→ Tensor ─tensor→ Rows ─predict→ Predictions ─output→ Answer ─→ response
//!            └────────────────────── infer ──────────────────────┘
//! ```
//! What is in the middle is the same for gRPC.

mod binary;
mod datatype;
mod infer;
pub mod metadata;
mod output;
pub mod parameters;
pub mod repository;
mod request;
mod response;
pub mod statistics;
mod tensor;

use super::app::App;
use super::error::{Error, json};
use super::job::Job;
use super::served::{Current, Served};
use super::{health, work};
use axum::extract::{FromRequestParts, RawPathParams, Request, State};
use axum::response::Response;
use contract::labels::Endpoint;
use http::StatusCode;
use http::request::Parts;
use parameters::BINARY_DATA_OUTPUT;
use repository::{ControlRequest, IndexRequest};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json as object;

pub use binary::Framing;
pub use datatype::DataType;
pub use infer::{Inference, infer as infer_tensors};
pub use output::{Answer, Output, Values, Wish};
pub use response::Body;
pub use tensor::{Data, Tensor, Typed};

/// The served model, named in a path that may also name its version.
#[derive(Debug)]
pub struct Named(pub Current);

impl FromRequestParts<&'static App> for Named {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &&'static App) -> Result<Self, Error> {
        let named = RawPathParams::from_request_parts(parts, app).await;
        let unreadable = |_| Error::UnknownModel(parts.uri.path().to_owned());
        let (mut name, mut version) = (None, None);
        let named = named.map_err(unreadable)?;
        for (key, value) in &named {
            match key {
                "model" => name = Some(value),
                "version" => version = Some(value),
                _ => {}
            }
        }
        find(app, name, version).map(Self)
    }
}

/// The served model, if it has this name and version.
///
/// # Errors
/// `UnknownModel` or `UnknownVersion`.
pub fn find(app: &App, name: Option<&str>, version: Option<&str>) -> Result<Current, Error> {
    let served = app.served();
    check_name(&served, name, version).map(|()| served)
}

/// Whether the model of `served` has this name and version.
///
/// # Errors
/// `UnknownModel` or `UnknownVersion`.
pub fn check_name(served: &Served, name: Option<&str>, version: Option<&str>) -> Result<(), Error> {
    match (name, version) {
        (Some(name), _) if name != served.model.name => Err(Error::UnknownModel(name.to_owned())),
        (_, Some(version)) if version != served.model.version => {
            Err(Error::UnknownVersion(version.to_owned()))
        }
        _ => Ok(()),
    }
}

/// `GET /v2`
pub async fn server() -> Response {
    ok(&metadata::server())
}

/// `GET /v2/health/live`
pub async fn live() -> Response {
    ok(&object!({ "live": true }))
}

/// `GET /v2/health/ready`
pub async fn ready(State(app): State<&'static App>) -> Response {
    let body = match health::check_ready(app, &app.served()) {
        Ok(()) => object!({ "ready": true, "live": true }),
        Err(reason) => object!({ "error": reason, "ready": false, "live": true }),
    };
    json(health::status(body["ready"] == true), body.to_string())
}

/// `GET /v2/models`: names, as KServe lists them.
pub async fn models(State(app): State<&'static App>) -> Response {
    ok(&object!({ "models": [app.served().model.name] }))
}

/// `GET /v2/models/{model}[/versions/{version}]`
pub async fn model(Named(served): Named) -> Response {
    ok(&metadata::model(&served))
}

/// `GET /v2/models/{model}[/versions/{version}]/ready`
pub async fn model_ready(State(app): State<&'static App>, Named(served): Named) -> Response {
    let name = &served.model.name;
    let body = match health::check_ready(app, &served) {
        Ok(()) => object!({ "name": name, "ready": true }),
        Err(reason) => object!({ "error": reason, "name": name, "ready": false }),
    };
    json(health::status(body["ready"] == true), body.to_string())
}

/// `GET /v2/models/stats` and `GET /v2/models/{model}[/versions/{version}]/stats`
pub async fn stats(State(app): State<&'static App>, Named(served): Named) -> Response {
    ok(&object!({ "model_stats": [statistics::statistics(app, &served)] }))
}

/// `POST /v2/models/{model}[/versions/{version}]/infer`
///
/// # Errors
/// Whatever is wrong with the request, see [`Error`].
pub async fn infer(
    State(app): State<&'static App>,
    Named(served): Named,
    request: Request,
) -> Result<Response, Error> {
    let framing = Framing::of(request.headers())?;
    let answer = move |served: &Job, body: &[u8]| answer(served, framing, body);
    let answer = work::run(app, served, Endpoint::V2Infer, request, answer).await?;
    Ok(answer.into_response())
}

/// Answers the body of a request to infer.
///
/// # Errors
/// Whatever is wrong with it.
pub fn answer(served: &Job, framing: Framing, body: &[u8]) -> Result<Body, Error> {
    if framing == Framing::Raw {
        let shape = binary::raw_shape(body, served.signature.width());
        let inference = infer_tensors(served, None, &[binary::raw(body, &shape)], &[])?;
        return Ok(response::write(served, &inference, true));
    }
    let (json, pieces) = framing.split(body)?;
    let request = request::decode(json)?;
    let parameters = request.parameters.as_ref();
    let binary = parameters.map(|all| parameters::flag(all, BINARY_DATA_OUTPUT));
    let binary = binary.transpose()?.flatten().unwrap_or(false);
    let (inputs, wishes) = (request.tensors(pieces)?, request.wishes()?);
    let inference = infer_tensors(served, request.id.as_deref(), &inputs, &wishes)?;
    Ok(response::write(served, &inference, binary))
}

/// `POST /v2/repository/index`
///
/// # Errors
/// Whatever is wrong with the body.
pub async fn index(State(app): State<&'static App>, request: Request) -> Result<Response, Error> {
    let IndexRequest { ready } = receive(app, request).await?;
    Ok(ok(&repository::index(app, ready)))
}

/// `POST /v2/repository/models/{model}/load`
///
/// # Errors
/// Those of [`repository::load`], and whatever is wrong with the body.
pub async fn load(
    State(app): State<&'static App>,
    Named(served): Named,
    request: Request,
) -> Result<Response, Error> {
    let request: ControlRequest = receive(app, request).await?;
    repository::check_parameters(request.parameters())?;
    let name = &served.model.name;
    repository::load(app, name).await?;
    Ok(ok(&object!({ "name": name, "load": true })))
}

/// `POST /v2/repository/models/{model}/unload`
///
/// # Errors
/// Those of [`repository::unload`], and whatever is wrong with the body.
pub async fn unload(
    State(app): State<&'static App>,
    Named(served): Named,
    request: Request,
) -> Result<Response, Error> {
    let _: ControlRequest = receive(app, request).await?;
    let name = &served.model.name;
    repository::unload(app, name)?;
    Ok(ok(&object!({ "name": name, "unload": true })))
}

/// A small body; nothing counts as an empty object.
async fn receive<T: DeserializeOwned + Default>(app: &App, request: Request) -> Result<T, Error> {
    let body = app.admission.receive(request, app.deadline()).await?;
    match body.is_empty() {
        true => Ok(T::default()),
        false => crate::object::from_slice(&body).map_err(|error| request::explain(&error)),
    }
}

fn ok(body: &impl Serialize) -> Response {
    json(StatusCode::OK, object!(body).to_string())
}
