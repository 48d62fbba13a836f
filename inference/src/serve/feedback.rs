//! `POST /feedback`: ground truth, scored by the prediction ids alone.

mod lines;

use super::app::App;
use super::error::{Error, json};
use super::job::Job;
use super::metrics::Scored;
use super::prediction_id::Claim;
use super::served::Served;
use super::signature::Class;
use super::work;
use crate::artifact::Task;
use crate::capped::AtMost;
use crate::object;
use axum::extract::{Request, State};
use axum::response::Response;
use contract::labels::{Endpoint, FeedbackRejection};
use http::StatusCode;
use serde::de::DeserializeSeed as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::time::{Duration, SystemTime};

/// Classes that a message lists.
const MOST_LISTED: usize = 10;

/// Ground truth of one row.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Truth<'a> {
    #[serde(borrow)]
    prediction_id: Cow<'a, str>,
    #[serde(borrow)]
    actual: &'a RawValue,
}

/// Longest actual value, in bytes: classes are not as long, and neither are numbers.
const LONGEST_ACTUAL: usize = 1024;

/// What a row has to look like.
const EXPECTED: &str = "expected {\"prediction_id\": …, \"actual\": …}";

/// What became of the rows.
#[derive(Debug, Serialize)]
struct Verdict {
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    accepted: usize,
    rejected: Vec<Rejected>,
}

/// A refused row.
#[derive(Debug, Serialize)]
struct Rejected {
    row: usize,
    reason: &'static str,
    message: String,
}

/// Counts ground truth; each row is judged alone.
///
/// # Errors
/// Whatever is wrong with the request as a whole, see [`Error`].
pub async fn feedback(
    State(app): State<&'static App>,
    request: Request,
) -> Result<Response, Error> {
    let answer = match lines::expected(request.headers()) {
        true => lines::answer,
        false => answer,
    };
    work::run(app, app.served(), Endpoint::Feedback, request, answer).await
}

fn answer(served: &Job, body: &[u8]) -> Result<Response, Error> {
    let truths = decode(body, served.max_rows())?;
    let verdict = judge(served, truths, SystemTime::now());
    Ok(respond(&verdict, verdict.error.clone()))
}

/// One object or a list of them, each still to be judged.
fn decode(body: &[u8], max_rows: usize) -> Result<Vec<&RawValue>, Error> {
    match body.trim_ascii_start().first() {
        Some(b'[') => list(body, max_rows),
        _ => match serde_json::from_slice::<&RawValue>(body) {
            Ok(row) if row.get().starts_with('{') => Ok(vec![row]),
            Ok(_) => Err(Error::Invalid(format!("{EXPECTED} or a list of them"))),
            Err(error) => Err(Error::Json(error.to_string())),
        },
    }
}

/// The rows of a list; beyond the limit nothing of it is read.
fn list(body: &[u8], max_rows: usize) -> Result<Vec<&RawValue>, Error> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let rows = AtMost::new(max_rows).deserialize(&mut json);
    let rows = rows.and_then(|rows| json.end().map(|()| rows));
    match rows {
        Ok(rows) if rows.is_empty() => Err(Error::Invalid("no rows".to_owned())),
        Ok(rows) => Ok(rows),
        // The only complaint of ours.
        Err(error) if error.is_data() => Err(Error::TooManyRows(max_rows)),
        Err(error) => Err(Error::Json(error.to_string())),
    }
}

fn judge(served: &Served, rows: Vec<&RawValue>, now: SystemTime) -> Verdict {
    let mut batch = Batch::new(served, now);
    let mut rejected = Vec::new();
    for (row, truth) in rows.into_iter().enumerate() {
        if let Err(refusal) = batch.take(truth.get().as_bytes()) {
            rejected.push(refusal.of(row));
        }
    }
    let accepted = batch.finish();
    Verdict {
        error: match &rejected[..] {
            [first, ..] if accepted == 0 => {
                let Rejected { row, message, .. } = first;
                Some(format!("no row was accepted; row {row}: {message}"))
            }
            _ => None,
        },
        accepted,
        rejected,
    }
}

/// The answer `verdict`; with status 400 if there is an `error`.
fn respond(verdict: &impl Serialize, error: Option<String>) -> Response {
    let failure = error.map(Error::Invalid);
    let (status, kind) = match failure.as_ref().map(Error::class) {
        Some((status, _, kind)) => (status, Some(kind)),
        None => (StatusCode::OK, None),
    };
    // Numbers and text alone: this cannot fail.
    let body = serde_json::to_vec(verdict).unwrap_or_default();
    let mut response = json(status, body);
    if let Some(kind) = kind {
        response.extensions_mut().insert(kind);
    }
    response
}

/// Rows that came in one request.
struct Batch<'a> {
    served: &'a Served,
    now: SystemTime,
    accepted: usize,
    /// Rows whose error is a number, and the sum of its squares.
    measured: f64,
    squares: f64,
}

impl<'a> Batch<'a> {
    const fn new(served: &'a Served, now: SystemTime) -> Self {
        Self {
            served,
            now,
            accepted: 0,
            measured: 0.0,
            squares: 0.0,
        }
    }

    /// Counts one row.
    fn take(&mut self, row: &[u8]) -> Result<(), Refusal> {
        self.count(score(self.served, row, self.now))
    }

    /// Counts what became of one row.
    fn count(&mut self, judged: Result<(Scored, Duration), Refusal>) -> Result<(), Refusal> {
        let metrics = &self.served.metrics.feedback;
        let (scored, delay) = judged.inspect_err(|refusal| metrics.rejected(refusal.reason))?;
        metrics.accepted(scored, delay, self.now);
        self.accepted += 1;
        if let Some(residual) = residual(self.served, scored) {
            self.squares += residual * residual;
            self.measured += 1.0;
        }
        Ok(())
    }

    /// Counts the batch as such; gives back how many of its rows were accepted.
    fn finish(self) -> usize {
        if self.measured > 0.0 {
            let rmse = (self.squares / self.measured).sqrt();
            self.served.metrics.feedback.batch(rmse);
        }
        self.accepted
    }
}

fn score(served: &Served, row: &[u8], now: SystemTime) -> Result<(Scored, Duration), Refusal> {
    let truth: Truth<'_> = object::from_slice(row).map_err(|_| Refusal {
        reason: FeedbackRejection::Malformed,
        message: EXPECTED.to_owned(),
    })?;
    let actual = actual(truth.actual).ok_or(FeedbackRejection::Actual)?;
    let Claim { prediction, age } = served.ids.read(&truth.prediction_id, now)?;
    let scored = match served.signature.task {
        Task::Classification => Scored::Class {
            predicted: predicted(served, prediction).ok_or(FeedbackRejection::Malformed)?,
            actual: class(served, &actual).ok_or_else(|| unknown_class(served))?,
        },
        Task::Regression => Scored::Residual(difference(served, prediction, &actual)?),
    };
    Ok((scored, age))
}

/// None if it is longer than any number or class.
fn actual(text: &RawValue) -> Option<Value> {
    let text = text.get();
    let short = text.len() <= LONGEST_ACTUAL;
    short.then(|| serde_json::from_str(text).ok()).flatten()
}

fn predicted(served: &Served, prediction: u64) -> Option<usize> {
    let class = usize::try_from(prediction).ok();
    class.filter(|class| *class < served.signature.classes.len())
}

/// Predicted minus actual value.
fn difference(served: &Served, prediction: u64, actual: &Value) -> Result<f64, Refusal> {
    let actual = actual.as_f64().ok_or(FeedbackRejection::Actual)?;
    let residual = f64::from_bits(prediction) - actual;
    let largest = served.signature.largest_residual;
    // Squares are summed up for ever: what is too large would hide all that comes after it.
    match residual.abs() <= largest {
        true => Ok(residual),
        false => Err(Refusal {
            reason: FeedbackRejection::Actual,
            message: format!("actual is further than {largest:e} from the prediction"),
        }),
    }
}

fn unknown_class(served: &Served) -> Refusal {
    let names = served.signature.classes.iter().map(|class| &*class.name);
    let names = names.take(MOST_LISTED).collect::<Vec<_>>().join(", ");
    let rest = match served.signature.classes.len() > MOST_LISTED {
        true => ", …",
        false => "",
    };
    Refusal {
        reason: FeedbackRejection::Actual,
        message: format!("actual is no class of the model, expected one of {names}{rest}"),
    }
}

/// The class that `actual` names, as text, as a number or as a truth value.
fn class(served: &Served, actual: &Value) -> Option<usize> {
    match actual {
        Value::String(name) => served.signature.class(name),
        Value::Number(number) => {
            let number = number.as_f64();
            let classes = &served.signature.classes;
            classes
                .iter()
                .position(|class| class.number.is_some() && class.number == number)
        }
        Value::Bool(truth) => truth_value(&served.signature.classes, *truth),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The class `true` or `false` in whatever letters, or that of 1 or 0 if both are classes.
fn truth_value(classes: &[Class], truth: bool) -> Option<usize> {
    let name = truth.to_string();
    let mut names = classes.iter().map(|class| class.name.as_str());
    let named = names.position(|class| class.eq_ignore_ascii_case(&name));
    let numbered = |number| {
        classes
            .iter()
            .position(|class| class.number == Some(number))
    };
    named.or_else(|| {
        let [no, yes] = [numbered(0.0)?, numbered(1.0)?];
        Some(if truth { yes } else { no })
    })
}

/// Predicted minus actual, if both are numbers.
fn residual(served: &Served, scored: Scored) -> Option<f64> {
    let number = |class: usize| served.signature.classes[class].number;
    match scored {
        Scored::Residual(residual) => Some(residual),
        Scored::Class { predicted, actual } => Some(number(predicted)? - number(actual)?),
    }
}

/// Why a row is refused.
struct Refusal {
    reason: FeedbackRejection,
    message: String,
}

impl Refusal {
    fn of(self, row: usize) -> Rejected {
        Rejected {
            row,
            reason: self.reason.as_str(),
            message: self.message,
        }
    }
}

impl From<FeedbackRejection> for Refusal {
    fn from(reason: FeedbackRejection) -> Self {
        let message = match reason {
            FeedbackRejection::Malformed => "this is no prediction id",
            FeedbackRejection::Checksum => "the prediction id was altered",
            FeedbackRejection::UnknownVersion => {
                "another model, or another version of it, made this prediction"
            }
            FeedbackRejection::Expired => "the prediction is more than 30 days old",
            FeedbackRejection::Actual => "actual is not a number that can be compared",
        };
        Self {
            reason,
            message: message.to_owned(),
        }
    }
}
