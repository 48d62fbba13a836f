//! What can go wrong with a request, and what the client and the dashboards are told about it.

use axum::response::{IntoResponse, Response};
use contract::labels::{ErrorType, InvalidFeature};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use std::fmt;
use std::time::Duration;

/// Longest piece of a request that an answer repeats, in bytes.
const LONGEST_ECHO: usize = 128;

/// A request that is not answered with success.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// The body is no JSON.
    #[error("the body is not JSON: {0}")]
    Json(String),
    /// The body is JSON, but not what the route takes.
    #[error("{0}")]
    Invalid(String),
    /// A value that the model cannot take.
    #[error("row {row}: feature {} {problem}", Echo(name))]
    Value {
        /// Row of the request, from 0.
        row: usize,
        /// Column of the model, from 0.
        column: usize,
        /// Name of that column.
        name: String,
        /// What is wrong.
        problem: Problem,
    },
    /// The body is larger than the limit.
    #[error("the body has more than {0} bytes")]
    BodyTooLarge(u64),
    /// The batch is larger than the limit.
    #[error("more than {0} rows in one request")]
    TooManyRows(usize),
    /// The client took too long to send the body.
    #[error("the body did not arrive within {0:?}")]
    SlowBody(Duration),
    /// The work took too long.
    #[error("no answer within {0:?}")]
    Deadline(Duration),
    /// As many requests as the server admits are being worked on.
    #[error("the server is working on {0} requests already: try again")]
    Overload(usize),
    /// No API key or token, or a wrong one; what is expected.
    #[error("{0}")]
    Unauthorized(&'static str),
    /// The client went away before its request was complete.
    #[error("the client went away")]
    Cancelled,
    /// The path matches no route.
    #[error("no such route: {}", Echo(.0))]
    NoRoute(String),
    /// The route does not answer this method.
    #[error("{} is not allowed here", Echo(.0))]
    Method(String),
    /// Another model is served.
    #[error("no model {}", Echo(.0))]
    UnknownModel(String),
    /// Another version is served.
    #[error("the model has no version {}", Echo(.0))]
    UnknownVersion(String),
    /// A fault of the server; the log has the cause.
    #[error("internal error")]
    Internal,
}

/// What is wrong with a feature's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// Absent.
    Missing,
    /// `null`.
    Null,
    /// Something other than a number: what it is instead.
    NotANumber(&'static str),
    /// A number beyond the range of 64-bit floats.
    NotFinite,
    /// Named twice in one row.
    Duplicate,
}

impl Problem {
    /// The label under which the problem is counted; None if the value itself is not to blame.
    pub const fn reason(self) -> Option<InvalidFeature> {
        match self {
            Self::Missing | Self::Null => Some(InvalidFeature::Missing),
            Self::NotANumber(_) | Self::NotFinite => Some(InvalidFeature::Type),
            Self::Duplicate => None,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("is missing"),
            Self::Null => f.write_str("is null, expected a number"),
            Self::NotANumber(found) => write!(f, "is {found}, expected a number"),
            Self::NotFinite => f.write_str("is not a finite 64-bit number"),
            Self::Duplicate => f.write_str("is given twice"),
        }
    }
}

impl Error {
    /// HTTP status and `error_type` of every kind.
    pub const fn class(&self) -> (StatusCode, ErrorType) {
        match self {
            Self::Json(_) | Self::Invalid(_) | Self::Value { .. } => {
                (StatusCode::BAD_REQUEST, ErrorType::Validation)
            }
            Self::BodyTooLarge(_) | Self::TooManyRows(_) => {
                (StatusCode::PAYLOAD_TOO_LARGE, ErrorType::TooLarge)
            }
            Self::SlowBody(_) => (StatusCode::REQUEST_TIMEOUT, ErrorType::Timeout),
            Self::Deadline(_) => (StatusCode::GATEWAY_TIMEOUT, ErrorType::Timeout),
            Self::Unauthorized(_) => (StatusCode::UNAUTHORIZED, ErrorType::Unauthorized),
            // Nobody is there to read it.
            Self::Cancelled => (StatusCode::BAD_REQUEST, ErrorType::Cancelled),
            Self::Overload(_) => (StatusCode::SERVICE_UNAVAILABLE, ErrorType::Overload),
            Self::NoRoute(_) | Self::UnknownModel(_) | Self::UnknownVersion(_) => {
                (StatusCode::NOT_FOUND, ErrorType::NotFound)
            }
            Self::Method(_) => (StatusCode::METHOD_NOT_ALLOWED, ErrorType::NotFound),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, ErrorType::Internal),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (status, kind) = self.class();
        let body = serde_json::json!({ "error": self.to_string() });
        let mut response = json(status, body.to_string());
        if kind == ErrorType::Overload {
            let second = HeaderValue::from_static("1");
            response.headers_mut().insert(RETRY_AFTER, second);
        }
        if kind == ErrorType::Unauthorized {
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
        }
        // Tells the tracking layer what to count.
        response.extensions_mut().insert(kind);
        response
    }
}

/// An answer of `status` with a JSON body.
pub fn json(status: StatusCode, body: impl Into<axum::body::Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// A piece of a request as an answer may repeat it: quoted, escaped and cut.
#[derive(Debug, Clone, Copy)]
pub struct Echo<'a>(pub &'a str);

impl fmt::Display for Echo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.0.floor_char_boundary(LONGEST_ECHO);
        let rest = if end < self.0.len() { "…" } else { "" };
        write!(f, "{:?}{rest}", &self.0[..end])
    }
}
