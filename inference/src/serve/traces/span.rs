//! What a span says: the names are those of OpenTelemetry's semantic conventions for HTTP and gRPC.

use contract::labels::{Endpoint, ErrorType, Method};
use http::StatusCode;
use opentelemetry::KeyValue;
use opentelemetry::trace::Status;
use std::borrow::Cow;
use tonic::Code;

/// A request that has come to an end.
#[derive(Debug)]
pub struct Ended {
    /// Its method.
    pub method: Method,
    /// Its route.
    pub endpoint: Endpoint,
    /// Why it was not answered with success, if it was not.
    pub failure: Option<ErrorType>,
    /// What it was answered; None if nobody waited for an answer.
    pub answer: Option<Answer>,
}

/// An answer.
#[derive(Debug, Clone, Copy)]
pub struct Answer {
    /// Status; over gRPC, the one that HTTP would have shown.
    pub status: StatusCode,
    /// Status of gRPC.
    pub code: Code,
}

/// Name of the span of a request to `path`.
pub(super) fn name(ended: &Ended, path: &str) -> Cow<'static, str> {
    let method = match ended.method {
        Method::Other => "HTTP",
        known => known.as_str(),
    };
    match ended.endpoint {
        endpoint if endpoint.is_grpc() => Cow::Owned(rpc_method(path)),
        route => Cow::Owned(format!("{method} {route}")),
    }
}

/// Error if the server is to blame.
pub(super) fn status(ended: &Ended) -> Status {
    match ended.answer {
        Some(answer) if answer.status.is_server_error() => Status::error(""),
        Some(_) | None => Status::Unset,
    }
}

/// What is known of a request to `path`.
pub(super) fn attributes(ended: &Ended, path: &str, scheme: &'static str) -> Vec<KeyValue> {
    let mut attributes = match ended.endpoint.is_grpc() {
        true => rpc(ended, path),
        false => http(ended, path, scheme),
    };
    if let Some(failure) = ended.failure {
        attributes.push(KeyValue::new("error.type", failure.as_str()));
    }
    attributes
}

fn http(ended: &Ended, path: &str, scheme: &'static str) -> Vec<KeyValue> {
    let method = match ended.method {
        Method::Other => "_OTHER",
        known => known.as_str(),
    };
    let mut attributes = vec![
        KeyValue::new("http.request.method", method),
        KeyValue::new("url.scheme", scheme),
        KeyValue::new("url.path", path.to_owned()),
        KeyValue::new("http.route", ended.endpoint.as_str()),
    ];
    if let Some(Answer { status, .. }) = ended.answer {
        let status = i64::from(status.as_u16());
        attributes.push(KeyValue::new("http.response.status_code", status));
    }
    attributes
}

fn rpc(ended: &Ended, path: &str) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new("rpc.system.name", "grpc"),
        KeyValue::new("rpc.method", rpc_method(path)),
    ];
    if let Some(Answer { code, .. }) = ended.answer {
        attributes.push(KeyValue::new("rpc.response.status_code", spelled(code)));
    }
    attributes
}

/// Service and method.
fn rpc_method(path: &str) -> String {
    path.trim_start_matches('/').to_owned()
}

/// As gRPC spells it: `INVALID_ARGUMENT`.
fn spelled(code: Code) -> String {
    let mut text = String::new();
    for char in format!("{code:?}").chars() {
        if char.is_ascii_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(char.to_ascii_uppercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(Code::Ok, "OK")]
    #[case(Code::Cancelled, "CANCELLED")]
    #[case(Code::InvalidArgument, "INVALID_ARGUMENT")]
    #[case(Code::DeadlineExceeded, "DEADLINE_EXCEEDED")]
    fn codes_are_spelled_as_in_grpc(#[case] code: Code, #[case] expected: &str) {
        assert_eq!(spelled(code), expected);
    }
}
