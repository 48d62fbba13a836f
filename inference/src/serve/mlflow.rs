//! MLflow's scoring protocol: `POST /invocations`, `GET /ping`, `GET /version`.

use super::app::App;
use super::decode::fields::{self, Envelope, Field, Rule};
use super::decode::{Rows, csv, python};
use super::encode::outcomes;
use super::error::{Error, Problem, json};
use super::job::Job;
use super::predict::score;
use super::served::Served;
use super::signature::Signature;
use super::{health, work};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use contract::labels::Endpoint;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json as object};

/// Other fields have no meaning here and are ignored, as is the content of `params`: no model
/// here takes any.
const BODY: Envelope = Envelope {
    fields: &[
        Field::DataframeSplit,
        Field::DataframeRecords,
        Field::Instances,
        Field::Inputs,
    ],
    rules: &[
        (
            "signature_name",
            Rule::Absent,
            "signature_name is not supported",
        ),
        ("params", Rule::Object, "params: expected an object"),
    ],
    expected: "expected an object with exactly one of dataframe_split, dataframe_records, \
               instances and inputs",
};

/// An error in the form that MLflow's clients read.
#[derive(Debug)]
pub struct MlflowError(Error);

impl From<Error> for MlflowError {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for MlflowError {
    fn into_response(self) -> Response {
        let (status, ..) = self.0.class();
        self.0.answer(&body(status.as_u16(), &self.0.to_string()))
    }
}

/// `message` in MLflow's form, and in the one of all other routes.
pub fn body(status: u16, message: &str) -> Value {
    object!({ "error_code": code(status), "message": message, "error": message })
}

/// MLflow's word for errors of `status`.
const fn code(status: u16) -> &'static str {
    match status {
        401 => "CUSTOMER_UNAUTHORIZED",
        500 => "INTERNAL_ERROR",
        503 | 504 => "TEMPORARILY_UNAVAILABLE",
        _ => "BAD_REQUEST",
    }
}

/// How the rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Csv,
}

impl Form {
    /// By Content-Type, which may have no parameter but that the text is UTF-8.
    fn of(headers: &HeaderMap) -> Result<Self, Error> {
        let kind = headers.get(CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let mut parts = kind.split(';').map(|part| part.trim().to_ascii_lowercase());
        let form = match parts.next().as_deref() {
            Some("application/json") => Self::Json,
            Some("text/csv") => Self::Csv,
            _ => return Err(WRONG_TYPE),
        };
        let utf8 = ["", "charset=utf-8", "charset=\"utf-8\""];
        match parts.all(|part| utf8.contains(&part.as_str())) {
            true => Ok(form),
            false => Err(WRONG_TYPE),
        }
    }

    fn decode(self, body: &[u8], served: &Served) -> Result<Rows, Error> {
        match self {
            Self::Json => read_json(body, &served.signature, served.max_rows()),
            Self::Csv => csv::decode(body, &served.signature, served.max_rows()),
        }
    }
}

/// Reads the rows of a body. MLflow's own client sends the NaN of a table as it is.
///
/// # Errors
/// `Json`, `Invalid`, `Value` or `TooManyRows`, for the first thing that is wrong.
pub fn read_json(body: &[u8], signature: &Signature, max_rows: usize) -> Result<Rows, Error> {
    let decode = |body| fields::decode(body, &BODY, signature, max_rows);
    let read = match decode(body) {
        Err(Error::Json(reason)) => match python::as_json(body) {
            Some(body) => decode(&body).map_err(without_null),
            None => Err(Error::Json(reason)),
        },
        read => read,
    };
    read.map(|(rows, _)| rows)
}

/// The client may have sent no null at all, but NaN.
fn without_null(mut error: Error) -> Error {
    if let Error::Value { problem, .. } = &mut error
        && *problem == Problem::Null
    {
        *problem = Problem::Missing;
    }
    error
}

/// What bodies of any other type are told.
pub const WRONG_TYPE: Error = Error::ContentType("application/json or text/csv, as UTF-8");

/// `POST /invocations`
///
/// # Errors
/// Whatever is wrong with the request, see [`Error`].
pub async fn invocations(
    State(app): State<&'static App>,
    request: Request,
) -> Result<Response, MlflowError> {
    let form = Form::of(request.headers())?;
    let answer = move |served: &Job, body: &[u8]| answer(served, form, body);
    let answer = work::run(app, app.served(), Endpoint::Invocations, request, answer).await?;
    Ok(json(StatusCode::OK, answer))
}

fn answer(served: &Job, form: Form, body: &[u8]) -> Result<Vec<u8>, Error> {
    let rows = form.decode(body, served);
    let rows = rows.inspect_err(|error| served.metrics.model.refused(error))?;
    let predictions = score(served, rows)?;
    Ok(outcomes(served, "predictions", &predictions))
}

/// `GET /ping`
pub async fn ping(State(app): State<&'static App>) -> Response {
    match health::check_ready(app, &app.served()) {
        Ok(()) => "\n".into_response(),
        Err(reason) => {
            let status = health::status(false);
            json(status, body(status.as_u16(), reason).to_string())
        }
    }
}

/// `GET /version`: that of the server.
pub async fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}
