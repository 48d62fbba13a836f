//! Errors as gRPC tells them, and as the metrics count them.

use crate::serve::error::Error;
use axum::response::Response;
use contract::labels::ErrorType;
use http::StatusCode;
use std::error::Error as _;
use std::sync::Arc;
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};

/// `error` with its code and message, and with advice on when to try again.
pub(super) fn of(error: Error) -> Status {
    let (_, code, kind) = error.class();
    let mut status = Status::new(code, error.to_string());
    if kind == ErrorType::Overload {
        let second = MetadataValue::from_static("1");
        status.metadata_mut().insert("retry-after", second);
    }
    status.set_source(Arc::new(error));
    status
}

/// The answer that says `error`.
pub(in crate::serve) fn respond(error: Error) -> Response {
    counted(of(error).into_http())
}

/// `response` with what is to be counted about it. What tonic itself refuses becomes an error of
/// ours; `limit` is the largest message, in bytes.
pub(super) fn settle(response: Response, limit: u64) -> Response {
    let Some(status) = response.extensions().get::<Status>() else {
        return response;
    };
    if error(status).is_some() {
        return counted(response);
    }
    match status.code() {
        // It says which encodings it knows.
        Code::Unimplemented => counted(response),
        Code::OutOfRange | Code::ResourceExhausted => respond(Error::BodyTooLarge(limit)),
        _ => respond(Error::Invalid(format!(
            "the message is malformed: {}",
            status.message()
        ))),
    }
}

fn counted(mut response: Response) -> Response {
    let failure = response.extensions().get::<Status>().and_then(error);
    let (status, kind) = match failure {
        Some(error) => (error.class().0, error.class().2),
        None => (StatusCode::BAD_REQUEST, ErrorType::Validation),
    };
    // Tells the tracking layer what to count.
    response.extensions_mut().insert(status);
    response.extensions_mut().insert(kind);
    response
}

fn error(status: &Status) -> Option<&Error> {
    status.source()?.downcast_ref()
}
