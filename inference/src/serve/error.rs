//! What can go wrong with a request, and what the client and the dashboards are told about it.

use super::open_inference::DataType;
use axum::response::{IntoResponse, Response};
use contract::labels::{ErrorType, InvalidFeature};
use http::header::{ACCEPT_ENCODING, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use std::fmt;
use std::time::Duration;
use tonic::Code;

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
    /// The body is of a media type that the route does not take: what it takes.
    #[error("expected Content-Type {0}")]
    ContentType(&'static str),
    /// The body is compressed in a way that the server does not know.
    #[error("expected Content-Encoding gzip or deflate, or none")]
    ContentEncoding,
    /// The client took too long to send the body.
    #[error("the body did not arrive within {0:?}")]
    SlowBody(Duration),
    /// The work took too long.
    #[error("no answer within {0:?}")]
    Deadline(Duration),
    /// The work took longer than the client said it would wait.
    #[error("no answer within {0:?}, which is how long the client waits")]
    Impatient(Duration),
    /// As many requests as the server admits are being worked on.
    #[error("the server is working on {0} requests already: try again")]
    Overload(usize),
    /// As much as the server keeps in memory has been received and is not answered yet.
    #[error("the server has received {0} bytes that it has not answered yet: try again")]
    Crowded(u64),
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
    /// A part of a protocol that this server leaves out.
    #[error("{0} are not offered")]
    NotOffered(&'static str),
    /// The model was unloaded.
    #[error("the model is unloaded")]
    Unloaded,
    /// The model cannot be loaded: what loading said.
    #[error("the model was refused: {0}")]
    Load(String),
    /// Nobody may load or unload models.
    #[error("loading and unloading is disabled: allow it with --model-control")]
    ControlDisabled,
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
    /// Not an element of the type that its tensor has.
    NotOf(DataType),
    /// Named twice in one row.
    Duplicate,
}

impl Problem {
    /// The label under which the problem is counted; None if the value itself is not to blame.
    pub const fn reason(self) -> Option<InvalidFeature> {
        match self {
            Self::Missing | Self::Null => Some(InvalidFeature::Missing),
            Self::NotANumber(_) | Self::NotFinite | Self::NotOf(_) => Some(InvalidFeature::Type),
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
            Self::NotOf(datatype) => write!(f, "is not of datatype {}", datatype.as_str()),
            Self::Duplicate => f.write_str("is given twice"),
        }
    }
}

impl Error {
    /// HTTP status, gRPC status and `error_type` of every kind.
    #[rustfmt::skip]
    pub const fn class(&self) -> (StatusCode, Code, ErrorType) {
        use {ErrorType as Type, StatusCode as Http};
        match self {
            Self::Json(_) | Self::Invalid(_) | Self::Value { .. } | Self::Load(_) =>
                (Http::BAD_REQUEST, Code::InvalidArgument, Type::Validation),
            Self::BodyTooLarge(_) | Self::TooManyRows(_) =>
                (Http::PAYLOAD_TOO_LARGE, Code::ResourceExhausted, Type::TooLarge),
            Self::ContentType(_) | Self::ContentEncoding =>
                (Http::UNSUPPORTED_MEDIA_TYPE, Code::InvalidArgument, Type::Validation),
            Self::SlowBody(_) => (Http::REQUEST_TIMEOUT, Code::DeadlineExceeded, Type::Timeout),
            Self::Deadline(_) => (Http::GATEWAY_TIMEOUT, Code::DeadlineExceeded, Type::Timeout),
            Self::Unauthorized(_) =>
                (Http::UNAUTHORIZED, Code::Unauthenticated, Type::Unauthorized),
            // Nobody is there to read it.
            Self::Cancelled => (Http::BAD_REQUEST, Code::Cancelled, Type::Cancelled),
            Self::Impatient(_) => (Http::REQUEST_TIMEOUT, Code::DeadlineExceeded, Type::Cancelled),
            Self::Overload(_) | Self::Crowded(_) =>
                (Http::SERVICE_UNAVAILABLE, Code::ResourceExhausted, Type::Overload),
            Self::Unloaded => (Http::SERVICE_UNAVAILABLE, Code::Unavailable, Type::NotFound),
            Self::NoRoute(_) => (Http::NOT_FOUND, Code::Unimplemented, Type::NotFound),
            Self::UnknownModel(_) | Self::UnknownVersion(_) =>
                (Http::NOT_FOUND, Code::NotFound, Type::NotFound),
            Self::Method(_) => (Http::METHOD_NOT_ALLOWED, Code::Unimplemented, Type::NotFound),
            Self::NotOffered(_) => (Http::NOT_IMPLEMENTED, Code::Unimplemented, Type::NotFound),
            Self::ControlDisabled =>
                (Http::FORBIDDEN, Code::PermissionDenied, Type::Unauthorized),
            Self::Internal => (Http::INTERNAL_SERVER_ERROR, Code::Internal, Type::Internal),
        }
    }

    /// The answer with a body of its own, for protocols that have another form of errors.
    pub fn answer(&self, body: &serde_json::Value) -> Response {
        let (status, _, kind) = self.class();
        let mut response = json(status, body.to_string());
        if let Some((name, value)) = self.header() {
            let value = HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        }
        // Tells the tracking layer what to count.
        response.extensions_mut().insert(kind);
        response
    }

    /// What tells the client how to do better.
    const fn header(&self) -> Option<(HeaderName, &'static str)> {
        match self {
            Self::Overload(_) | Self::Crowded(_) => Some((RETRY_AFTER, "1")),
            Self::Unauthorized(_) => Some((WWW_AUTHENTICATE, "Bearer")),
            Self::ContentEncoding => Some((ACCEPT_ENCODING, "gzip, deflate")),
            _ => None,
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        self.answer(&serde_json::json!({ "error": self.to_string() }))
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
        let (start, rest) = cut(self.0);
        write!(f, "{start:?}{rest}")
    }
}

/// As much of `text` as an answer may repeat, and a mark if that is not all.
pub fn cut(text: &str) -> (&str, &'static str) {
    let end = text.floor_char_boundary(LONGEST_ECHO);
    (&text[..end], if end < text.len() { "…" } else { "" })
}
