//! Open Inference Protocol v2 over REST, as
//! `kserve/open-inference-protocol/specification/protocol/inference_rest.md` has it. Where servers
//! differ, the answers are a superset that all known clients accept.

mod request;
mod response;
mod tensor;

use super::app::App;
use super::error::{Error, json};
use super::predict::score;
use super::served::Served;
use super::{health, work};
use axum::extract::{FromRequestParts, RawPathParams, Request, State};
use axum::response::Response;
use contract::labels::Endpoint;
use http::StatusCode;
use http::request::Parts;
use serde_json::json as object;
use std::sync::Arc;
use std::time::SystemTime;

pub use response::{DataType, Output};

/// Announces tensors as bytes after the JSON, which this server does not take.
const BINARY_HEADER: &str = "inference-header-content-length";

/// The served model, named in a path that may also name its version.
#[derive(Debug)]
pub struct Named(pub Arc<Served>);

impl FromRequestParts<Arc<App>> for Named {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Error> {
        let served = app.served();
        let named = RawPathParams::from_request_parts(parts, app).await;
        let unreadable = |_| Error::UnknownModel(parts.uri.path().to_owned());
        for (key, value) in &named.map_err(unreadable)? {
            match key {
                "model" if value != served.model.name => {
                    return Err(Error::UnknownModel(value.to_owned()));
                }
                "version" if value != served.model.version => {
                    return Err(Error::UnknownVersion(value.to_owned()));
                }
                _ => {}
            }
        }
        Ok(Self(served))
    }
}

/// `GET /v2`
pub async fn server() -> Response {
    let body = object!({
        "name": env!("CARGO_PKG_NAME"),
        "version": env!("CARGO_PKG_VERSION"),
        "extensions": [],
    });
    json(StatusCode::OK, body.to_string())
}

/// `GET /v2/health/live`
pub async fn live() -> Response {
    json(StatusCode::OK, object!({ "live": true }).to_string())
}

/// `GET /v2/health/ready`
pub async fn ready(State(app): State<Arc<App>>) -> Response {
    let body = match health::check_ready(&app, &app.served()) {
        Ok(()) => object!({ "ready": true, "live": true }),
        Err(reason) => object!({ "error": reason, "ready": false, "live": true }),
    };
    json(health::status(body["ready"] == true), body.to_string())
}

/// `GET /v2/models/{model}[/versions/{version}]`
pub async fn model(Named(served): Named) -> Response {
    json(StatusCode::OK, response::metadata(&served).to_string())
}

/// `GET /v2/models/{model}[/versions/{version}]/ready`
pub async fn model_ready(State(app): State<Arc<App>>, Named(served): Named) -> Response {
    let name = &served.model.name;
    let body = match health::check_ready(&app, &served) {
        Ok(()) => object!({ "name": name, "ready": true }),
        Err(reason) => object!({ "error": reason, "name": name, "ready": false }),
    };
    json(health::status(body["ready"] == true), body.to_string())
}

/// `POST /v2/models/{model}[/versions/{version}]/infer`
///
/// # Errors
/// Whatever is wrong with the request, see [`Error`].
pub async fn infer(
    State(app): State<Arc<App>>,
    Named(served): Named,
    request: Request,
) -> Result<Response, Error> {
    if request.headers().contains_key(BINARY_HEADER) {
        let message = "binary tensors are not supported: send data as JSON";
        return Err(Error::Invalid(message.to_owned()));
    }
    let answer = work::run(&app, served, Endpoint::V2Infer, request, answer).await?;
    Ok(json(StatusCode::OK, answer))
}

fn answer(served: &Served, body: &[u8]) -> Result<Vec<u8>, Error> {
    let request = request::decode(body)?;
    let outputs = response::select(served, request.outputs.as_deref())?;
    let rows = tensor::rows(&request.inputs, &served.signature, served.max_rows());
    let rows = rows.inspect_err(|error| served.metrics.model.refused(error))?;
    let predictions = score(served, rows)?;
    let id = request.id.unwrap_or_else(request::new_id);
    let writer = response::Writer::new(served, &predictions, SystemTime::now());
    Ok(writer.write(&id, &outputs))
}
