//! KServe v1, which is TensorFlow Serving's row format: `POST /v1/models/{model}:predict`.

use super::app::App;
use super::decode::fields::{Envelope, Field, decode};
use super::encode::outcomes;
use super::error::{Error, cut, json};
use super::job::Job;
use super::predict::score;
use super::served::Current;
use super::{health, work};
use axum::extract::{FromRequestParts, RawPathParams, Request, State};
use axum::response::{IntoResponse, Response};
use contract::labels::Endpoint;
use http::StatusCode;
use http::request::Parts;
use serde_json::json as object;

/// The body. Other fields, as TensorFlow's `signature_name`, have no meaning here and are ignored.
pub const BODY: Envelope = Envelope {
    fields: &[Field::Instances, Field::Inputs],
    rules: &[],
    expected: "expected an object with either \"instances\" or \"inputs\"",
};

/// The last part of the path: a model's name, which may be followed by a colon and a verb.
#[derive(Debug)]
pub struct Target(String);

impl FromRequestParts<&'static App> for Target {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &&'static App) -> Result<Self, Error> {
        let named = RawPathParams::from_request_parts(parts, app).await;
        let unreadable = |_| Error::NoRoute(parts.uri.path().to_owned());
        let named = named.map_err(unreadable)?;
        let target = named.iter().next().map(|(_, value)| value.to_owned());
        Ok(Self(target.unwrap_or_default()))
    }
}

/// An error, with the protocol's own words for another model than the one that is served.
#[derive(Debug)]
pub struct V1Error(Error);

impl From<Error> for V1Error {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for V1Error {
    fn into_response(self) -> Response {
        let message = match &self.0 {
            Error::UnknownModel(name) => unknown(name),
            error => error.to_string(),
        };
        self.0.answer(&object!({ "error": message }))
    }
}

/// What a client is told that asks for a model called `name`.
pub fn unknown(name: &str) -> String {
    let (name, rest) = cut(name);
    format!("Model with name {name}{rest} does not exist.")
}

/// `GET /`: how a client of this protocol asks whether the server lives.
pub async fn alive() -> Response {
    json(StatusCode::OK, object!({ "status": "alive" }).to_string())
}

/// `GET /v1/models`
pub async fn models(State(app): State<&'static App>) -> Response {
    let body = object!({ "models": [app.served().model.name] });
    json(StatusCode::OK, body.to_string())
}

/// `GET /v1/models/{model}`
///
/// # Errors
/// `UnknownModel`
pub async fn model(
    State(app): State<&'static App>,
    Target(name): Target,
) -> Result<Response, V1Error> {
    let served = named(app, &name)?;
    let body = match health::check_ready(app, &served) {
        Ok(()) => object!({ "name": name, "ready": true }),
        Err(_) => object!({ "error": not_ready(&name), "name": name, "ready": false }),
    };
    let status = health::status(body["ready"] == true);
    Ok(json(status, body.to_string()))
}

/// What a client is told while the model called `name` takes no traffic.
pub fn not_ready(name: &str) -> String {
    format!("Model with name {name} is not ready.")
}

/// `POST /v1/models/{model}:predict`
///
/// # Errors
/// `NotOffered` for `:explain`, `NoRoute` for any other verb, or whatever is wrong with the
/// request, see [`Error`].
pub async fn predict(
    State(app): State<&'static App>,
    Target(target): Target,
    request: Request,
) -> Result<Response, V1Error> {
    let served = match target.rsplit_once(':') {
        Some((name, "predict")) => named(app, name)?,
        Some((_, "explain")) => return Err(Error::NotOffered("explanations").into()),
        _ => return Err(Error::NoRoute(request.uri().path().to_owned()).into()),
    };
    let answer = work::run(app, served, Endpoint::V1Predict, request, answer).await?;
    Ok(json(StatusCode::OK, answer))
}

fn named(app: &App, name: &str) -> Result<Current, Error> {
    let served = app.served();
    match served.model.name == name {
        true => Ok(served),
        false => Err(Error::UnknownModel(name.to_owned())),
    }
}

fn answer(served: &Job, body: &[u8]) -> Result<Vec<u8>, Error> {
    let decoded = decode(body, &BODY, &served.signature, served.max_rows());
    let (rows, field) = decoded.inspect_err(|error| served.metrics.model.refused(error))?;
    let predictions = score(served, rows)?;
    let name = match field {
        Field::Inputs => "outputs",
        Field::Instances | Field::DataframeSplit | Field::DataframeRecords => "predictions",
    };
    Ok(outcomes(served, name, &predictions))
}
