//! Open Inference Protocol v2 over REST, as
//! `kserve/open-inference-protocol/specification/protocol/inference_rest.md` has it. Where servers
//! differ, the answers are a superset that all known clients accept.

mod request;
mod response;
mod tensor;

use super::app::App;
use super::error::{Error, json};
use super::predict::score;
use super::{health, work};
use axum::body::Body;
use axum::extract::{FromRequestParts, RawPathParams, State};
use axum::response::Response;
use contract::labels::Endpoint;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use serde_json::json as object;
use std::sync::Arc;
use std::time::SystemTime;

pub use response::{DataType, Output};

/// Announces tensors as bytes after the JSON, which this server does not take.
const BINARY_HEADER: &str = "inference-header-content-length";

/// The served model, named in a path that may also name its version.
#[derive(Debug)]
pub struct Served;

impl FromRequestParts<Arc<App>> for Served {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Error> {
        let named = RawPathParams::from_request_parts(parts, app).await;
        let unreadable = |_| Error::UnknownModel(parts.uri.path().to_owned());
        for (key, value) in &named.map_err(unreadable)? {
            match key {
                "model" if value != app.model.name => {
                    return Err(Error::UnknownModel(value.to_owned()));
                }
                "version" if value != app.model.version => {
                    return Err(Error::UnknownVersion(value.to_owned()));
                }
                _ => {}
            }
        }
        Ok(Self)
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
    let body = match health::check_ready(&app) {
        Ok(()) => object!({ "ready": true, "live": true }),
        Err(reason) => object!({ "error": reason, "ready": false, "live": true }),
    };
    json(health::status(body["ready"] == true), body.to_string())
}

/// `GET /v2/models/{model}[/versions/{version}]`
pub async fn model(State(app): State<Arc<App>>, _: Served) -> Response {
    json(StatusCode::OK, response::metadata(&app).to_string())
}

/// `GET /v2/models/{model}[/versions/{version}]/ready`
pub async fn model_ready(State(app): State<Arc<App>>, _: Served) -> Response {
    let name = &app.model.name;
    let body = match health::check_ready(&app) {
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
    _: Served,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    if headers.contains_key(BINARY_HEADER) {
        let message = "binary tensors are not supported: send data as JSON";
        return Err(Error::Invalid(message.to_owned()));
    }
    let body = app.admission.receive(body).await?;
    app.metrics
        .http
        .received(Endpoint::V2Infer, body.len() as u64);
    let permit = app.admission.enter()?;
    let answer = work::run(&app, body, permit, answer).await?;
    Ok(json(StatusCode::OK, answer))
}

fn answer(app: &App, body: &[u8]) -> Result<Vec<u8>, Error> {
    let request = request::decode(body)?;
    let outputs = response::select(app, request.outputs.as_deref())?;
    let limit = app.limits.max_batch_rows as usize;
    let rows = tensor::rows(&request.inputs, &app.signature, limit);
    let rows = rows.inspect_err(|error| app.metrics.model.refused(error))?;
    let predictions = score(app, rows)?;
    let id = request.id.unwrap_or_else(request::new_id);
    let writer = response::Writer::new(app, &predictions, SystemTime::now());
    Ok(writer.write(&id, &outputs))
}
