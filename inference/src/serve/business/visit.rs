//! What one request for predictions is about, noted while it is answered.

use super::Business;
use super::counted::{Answered, Seen};
use super::parameters::Parameters;
use crate::model::Predictions;
use crate::serve::access::api_keys::ApiKey;
use crate::serve::decode::python;
use crate::serve::error::Error;
use crate::serve::signature::Signature;
use contract::labels::{Endpoint, OUTCOME_VALUE, UNKNOWN_KEY};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Who asks.
#[derive(Debug)]
pub enum Caller {
    /// Somebody, where nobody needs a key.
    Anyone,
    /// Somebody without a known key, where one is needed.
    Refused,
    /// Who has this key.
    Known(Arc<ApiKey>),
}

impl Caller {
    /// As access has decided.
    pub fn new(admitted: &Result<Option<Arc<ApiKey>>, Error>) -> Self {
        match admitted {
            Ok(Some(key)) => Self::Known(Arc::clone(key)),
            Ok(None) => Self::Anyone,
            Err(_) => Self::Refused,
        }
    }

    fn id(&self) -> Option<&str> {
        match self {
            Self::Anyone => None,
            Self::Refused => Some(UNKNOWN_KEY),
            Self::Known(key) => Some(key.id()),
        }
    }
}

/// A request for predictions.
#[derive(Debug)]
pub struct Visit {
    business: &'static Business,
    endpoint: Endpoint,
    caller: Caller,
    noted: Mutex<Noted>,
}

#[derive(Debug)]
struct Noted {
    parameters: Parameters,
    /// Rows predicted, by outcome.
    outcomes: Vec<(String, u64)>,
}

impl Visit {
    pub(super) fn new(
        business: &'static Business,
        endpoint: Endpoint,
        caller: Caller,
        query: Option<&str>,
    ) -> Self {
        let noted = Noted {
            parameters: business.names.of_query(query),
            outcomes: Vec::new(),
        };
        Self {
            business,
            endpoint,
            caller,
            noted: Mutex::new(noted),
        }
    }

    /// Notes the parameters in the JSON of `body`. One that is no JSON has none.
    pub fn read(&self, body: &[u8]) {
        let field = match self.endpoint {
            Endpoint::V2Infer | Endpoint::V1Predict => "parameters",
            Endpoint::Invocations => "params",
            // Those of gRPC are noted once they are unpacked; a row has none beside it.
            _ => return,
        };
        let names = &self.business.names;
        // A copy, lest whoever gives the request up must wait.
        let mut parameters = self.noted().parameters.clone();
        let read = names.note_json(&mut parameters, body, field);
        if read.is_err()
            && self.endpoint == Endpoint::Invocations
            && body.trim_ascii_start().starts_with(b"{")
            && let Some(body) = python::as_json(body)
        {
            // Still no JSON: then it is refused.
            let _ = names.note_json(&mut parameters, &body, field);
        }
        self.noted().parameters = parameters;
    }

    /// Notes that the parameter `name` is `value`.
    pub fn note(&self, name: &str, value: &str) {
        let names = &self.business.names;
        names.note(&mut self.noted().parameters, name, value);
    }

    /// Notes what the model of `signature` answered, and observes the numbers in it.
    pub fn predicted(&self, signature: &Signature, predictions: &Predictions) {
        let outcomes = outcomes(signature, predictions);
        self.noted().outcomes = outcomes;
        if !self.business.observes_outputs() {
            return;
        }
        // A copy, lest whoever gives the request up must wait.
        let parameters = &self.noted().parameters.clone();
        let key = self.caller.id();
        let seen = Seen { parameters, key };
        self.business.predicted(seen, signature, predictions);
    }

    /// Observes the request, answered after so many `seconds`.
    pub fn answered(&self, success: bool, seconds: f64) {
        let noted = self.noted();
        let (parameters, key) = (&noted.parameters, self.caller.id());
        let answered = Answered {
            success,
            seconds,
            outcomes: &noted.outcomes,
        };
        let seen = Seen { parameters, key };
        self.business.answered(seen, &answered);
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Rows of each outcome that there is.
fn outcomes(signature: &Signature, predictions: &Predictions) -> Vec<(String, u64)> {
    let Predictions::Classes { labels, .. } = predictions else {
        return vec![(OUTCOME_VALUE.to_owned(), predictions.rows() as u64)];
    };
    let mut counts = vec![0; signature.classes.len()];
    for label in labels {
        counts[*label] += 1;
    }
    let counts = signature.classes.iter().zip(counts);
    let there = counts.filter(|(_, count)| *count > 0);
    there
        .map(|(class, count)| (class.name.clone(), count))
        .collect()
}
