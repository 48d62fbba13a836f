//! Which errors an endpoint answers with, and what they say.

use super::security;
use super::table::{Fails, MLFLOW, Operation, V1};
use crate::serve::access::Access;
use crate::serve::error::{Error, Problem};
use crate::serve::served::Served;
use crate::serve::{kserve_v1, mlflow};
use contract::labels::Endpoint;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

impl Operation {
    /// Schema of the errors, and one that says `message`.
    pub(super) fn error_form(&self, status: u16, message: &str) -> (&'static str, Value) {
        match self.tag {
            MLFLOW => ("MlflowError", mlflow::body(status, message)),
            _ => ("Error", serde_json::json!({ "error": message })),
        }
    }

    /// Statuses with what their errors say, kinds of one status joined.
    pub(super) fn errors(
        &self,
        path: &str,
        served: &Served,
        access: &Access,
    ) -> BTreeMap<u16, String> {
        let mut errors = BTreeMap::<u16, String>::new();
        let secret = security::needed(self.endpoint, access);
        let unauthorized = secret.map(|secret| said(&Error::Unauthorized(secret.wanted())));
        let kinds = self.kinds(path, served).into_iter().chain(unauthorized);
        for (status, message) in kinds {
            let said = errors.entry(status).or_default();
            if !said.is_empty() {
                said.push_str("; or: ");
            }
            said.push_str(&message);
        }
        errors
    }

    /// Status and message of every kind of error of those who may ask.
    fn kinds(&self, path: &str, served: &Served) -> Vec<(u16, String)> {
        let (other, unready) = self.of_model(&served.model.name);
        let unknown = unknown(path, other);
        match self.fails {
            Fails::Never => vec![],
            Fails::Always => vec![said(&Error::NotOffered("explanations"))],
            Fails::Unready => vec![unready],
            Fails::Unknown => unknown,
            Fails::UnknownOrUnready => [unknown, vec![unready]].concat(),
            Fails::Body => self.bad_body(served),
            Fails::UnknownOrBody => [self.bad_body(served), unknown].concat(),
            Fails::SmallBody => small_body_errors(served).iter().map(said).collect(),
            Fails::Control => [refused_control(served), unknown].concat(),
        }
    }

    fn bad_body(&self, served: &Served) -> Vec<(u16, String)> {
        let wrong_type = (self.endpoint == Endpoint::Invocations).then_some(mlflow::WRONG_TYPE);
        let errors = body_errors(served).into_iter().chain(wrong_type);
        errors.map(|error| said(&error)).collect()
    }

    /// What is said about another model, and while the one called `name` is not ready.
    fn of_model(&self, name: &str) -> ((u16, String), (u16, String)) {
        let (unknown, unready) = match self.tag {
            V1 => (kserve_v1::unknown("iris"), kserve_v1::not_ready(name)),
            _ => (
                Error::UnknownModel("iris".to_owned()).to_string(),
                "draining".to_owned(),
            ),
        };
        ((404, unknown), (503, unready))
    }
}

/// What can be unknown of what `path` names; `model` is said if it is the model.
fn unknown(path: &str, model: (u16, String)) -> Vec<(u16, String)> {
    let version = said(&Error::UnknownVersion("0".to_owned()));
    let names = [("{model}", model), ("{version}", version)];
    let named = names.into_iter().filter(|(name, _)| path.contains(name));
    named.map(|(_, said)| said).collect()
}

fn refused_control(served: &Served) -> Vec<(u16, String)> {
    let refused = "Corrupt: the model file is damaged".to_owned();
    let mut errors = small_body_errors(served);
    errors.extend([
        Error::ControlDisabled,
        Error::Load(refused),
        Error::Internal,
    ]);
    errors.iter().map(said).collect()
}

fn said(error: &Error) -> (u16, String) {
    (error.class().0.as_u16(), error.to_string())
}

/// One of every error that a route with a body can answer with.
fn body_errors(served: &Served) -> Vec<Error> {
    let limits = &served.limits;
    let patience = Duration::from_millis(limits.request_timeout_ms);
    let mut errors = small_body_errors(served);
    errors.extend([
        served.signature.fault(0, 0, Problem::Missing),
        Error::TooManyRows(limits.max_batch_rows as usize),
        Error::ContentEncoding,
        Error::Internal,
        Error::Unloaded,
        Error::Deadline(patience),
    ]);
    errors
}

/// One of every error that receiving a body can end with.
fn small_body_errors(served: &Served) -> Vec<Error> {
    let limits = &served.limits;
    vec![
        Error::Json("expected value at line 1 column 1".to_owned()),
        Error::SlowBody(Duration::from_millis(limits.request_timeout_ms)),
        Error::BodyTooLarge(limits.max_body_bytes),
        Error::Overload(limits.max_concurrent_requests as usize),
    ]
}
