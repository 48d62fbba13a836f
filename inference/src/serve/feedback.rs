//! `POST /feedback`: ground truth, scored by the prediction ids alone.

use super::app::App;
use super::error::{Error, json};
use super::metrics::Scored;
use super::prediction_id::Claim;
use super::work;
use crate::artifact::Task;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use contract::labels::{Endpoint, FeedbackRejection};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Largest error that is believed: its square can be summed up 10^100 times over.
const LARGEST_RESIDUAL: f64 = 1e100;

/// Ground truth of one row.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Truth {
    prediction_id: String,
    actual: Value,
}

/// One object or a list of them.
#[derive(Deserialize)]
#[serde(untagged)]
enum Truths {
    Many(Vec<Truth>),
    One(Truth),
}

/// What became of the rows.
#[derive(Debug, Serialize)]
struct Verdict {
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    accepted: usize,
    rejected: Vec<Rejected>,
}

/// A refused row.
#[derive(Debug, Serialize)]
struct Rejected {
    row: usize,
    reason: &'static str,
    message: &'static str,
}

/// Counts ground truth; each row is judged alone.
///
/// # Errors
/// Whatever is wrong with the request as a whole, see [`Error`].
pub async fn feedback(State(app): State<Arc<App>>, body: Body) -> Result<Response, Error> {
    let body = app.admission.receive(body).await?;
    app.metrics
        .http
        .received(Endpoint::Feedback, body.len() as u64);
    let permit = app.admission.enter()?;
    work::run(&app, body, permit, |app, body| {
        let truths = decode(body, app.limits.max_batch_rows as usize)?;
        Ok(answer(&judge(app, &truths, SystemTime::now())))
    })
    .await
}

fn decode(body: &[u8], max_rows: usize) -> Result<Vec<Truth>, Error> {
    let expected = "expected {\"prediction_id\": …, \"actual\": …} or a list of them";
    let truths = serde_json::from_slice(body).map_err(|error| match error.is_data() {
        true => Error::Invalid(expected.to_owned()),
        false => Error::Json(error.to_string()),
    })?;
    match truths {
        Truths::One(truth) => Ok(vec![truth]),
        Truths::Many(truths) if truths.is_empty() => Err(Error::Invalid("no rows".to_owned())),
        Truths::Many(truths) if truths.len() > max_rows => Err(Error::TooManyRows(max_rows)),
        Truths::Many(truths) => Ok(truths),
    }
}

fn judge(app: &App, truths: &[Truth], now: SystemTime) -> Verdict {
    let metrics = &app.metrics.feedback;
    let (mut squares, mut measured) = (0.0, 0.0);
    let mut rejected = Vec::new();
    for (row, truth) in truths.iter().enumerate() {
        match score(app, truth, now) {
            Ok((scored, delay)) => {
                metrics.accepted(scored, delay, now);
                if let Some(residual) = residual(app, scored) {
                    squares += residual * residual;
                    measured += 1.0;
                }
            }
            Err(reason) => {
                metrics.rejected(reason);
                rejected.push(Rejected::new(row, reason));
            }
        }
    }
    if measured > 0.0 {
        metrics.batch((squares / measured).sqrt());
    }
    let accepted = truths.len() - rejected.len();
    Verdict {
        error: (accepted == 0).then_some("no row was accepted"),
        accepted,
        rejected,
    }
}

fn answer(verdict: &Verdict) -> Response {
    let failure = verdict.error.map(|error| Error::Invalid(error.to_owned()));
    let (status, kind) = match failure.as_ref().map(Error::class) {
        Some((status, kind)) => (status, Some(kind)),
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

fn score(
    app: &App,
    truth: &Truth,
    now: SystemTime,
) -> Result<(Scored, Duration), FeedbackRejection> {
    let Claim { prediction, age } = app.ids.read(&truth.prediction_id, now)?;
    let scored = match app.signature.task {
        Task::Classification => {
            let classes = app.signature.classes.len();
            let predicted = usize::try_from(prediction).ok();
            let predicted = predicted.filter(|class| *class < classes);
            Scored::Class {
                predicted: predicted.ok_or(FeedbackRejection::Malformed)?,
                actual: class(app, &truth.actual).ok_or(FeedbackRejection::Actual)?,
            }
        }
        Task::Regression => {
            let predicted = f64::from_bits(prediction);
            let actual = truth.actual.as_f64().ok_or(FeedbackRejection::Actual)?;
            let residual = predicted - actual;
            // Squared it is summed up for ever: one infinity would end all measuring.
            if residual.is_nan() || residual.abs() > LARGEST_RESIDUAL {
                return Err(FeedbackRejection::Actual);
            }
            Scored::Residual(residual)
        }
    };
    Ok((scored, age))
}

/// The class that `actual` names, as text or as a number.
fn class(app: &App, actual: &Value) -> Option<usize> {
    match actual {
        Value::String(name) => app.signature.class(name),
        Value::Number(number) => {
            let number = number.as_f64();
            let classes = &app.signature.classes;
            classes
                .iter()
                .position(|class| class.number.is_some() && class.number == number)
        }
        Value::Bool(_) | Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Predicted minus actual, if both are numbers.
fn residual(app: &App, scored: Scored) -> Option<f64> {
    let number = |class: usize| app.signature.classes[class].number;
    match scored {
        Scored::Residual(residual) => Some(residual),
        Scored::Class { predicted, actual } => Some(number(predicted)? - number(actual)?),
    }
}

impl Rejected {
    const fn new(row: usize, reason: FeedbackRejection) -> Self {
        Self {
            row,
            reason: reason.as_str(),
            message: match reason {
                FeedbackRejection::Malformed => "this is no prediction id",
                FeedbackRejection::Checksum => "the prediction id was altered",
                FeedbackRejection::UnknownVersion => "another model version made this prediction",
                FeedbackRejection::Expired => "the prediction is more than 30 days old",
                FeedbackRejection::Actual => "the model cannot predict such a value",
            },
        }
    }
}
