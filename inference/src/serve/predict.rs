//! `POST /predict`: decode → validate → predict → encode.

use super::app::App;
use super::decode::{Form, Rows, decode};
use super::encode::{Answer, Encoder};
use super::error::{Error, json};
use super::job::Job;
use super::{traces, work};
use crate::load::LoadedModel;
use crate::model::{Batch, Predictions};
use axum::extract::{Request, State};
use axum::response::Response;
use contract::labels::Endpoint;
use http::StatusCode;
use std::time::{Instant, SystemTime};

/// Largest prediction that is answered with: the sum of the histogram of predictions must stay
/// finite, or it would never say anything again.
const LARGEST_VALUE: f64 = 1e100;

/// Predicts one row or a list of them.
///
/// # Errors
/// Whatever is wrong with the request, see [`Error`].
pub async fn predict(State(app): State<&'static App>, request: Request) -> Result<Response, Error> {
    let answer = work::run(app, app.served(), Endpoint::Predict, request, answer).await?;
    Ok(json(StatusCode::OK, answer))
}

fn answer(served: &Job, body: &[u8]) -> Result<Vec<u8>, Error> {
    let decoded = decode(body, &served.signature, served.max_rows());
    let (rows, form) = decoded.inspect_err(|error| served.metrics.model.refused(error))?;
    let predictions = score(served, rows)?;
    let encoder = Encoder::new(served, SystemTime::now());
    Ok(match form {
        Form::Single => encoder.encode(Answer::Single(&predictions)),
        Form::List => encoder.encode(Answer::List(&predictions)),
    })
}

/// Predicts and counts `rows`, which have the model's number of columns.
///
/// # Errors
/// `Invalid` if the model has no sensible answer for a row: values far from all it was trained on
/// may overflow. `Cancelled` or `Deadline` if nobody waits for the answer any more; then nothing is
/// counted.
pub fn score(served: &Job, rows: Rows) -> Result<Predictions, Error> {
    let Rows { values, filled } = rows;
    let batch = Batch::new(values, served.signature.width());
    let batch = batch.map_err(|error| Error::Invalid(error.to_string()))?;
    let begin = Instant::now();
    served.check(begin)?;
    let predictions = served.predict(&batch);
    let end = Instant::now();
    let metrics = &served.metrics.model;
    metrics.took(begin, end);
    if let Some(place) = traces::here().filter(|place| place.recorded) {
        let LoadedModel { name, version, .. } = &served.model;
        let length = end - begin;
        place.predicted(name, version, batch.rows(), length);
        let inference = &metrics.inference;
        inference.exemplify(length.as_secs_f64(), place.trace_id);
    }
    check_size(&predictions)?;
    served.check(end)?;
    metrics.predicted(&batch, &filled, &predictions);
    if let Some(visit) = served.visit() {
        visit.predicted(&served.signature, &predictions);
    }
    Ok(predictions)
}

fn check_size(predictions: &Predictions) -> Result<(), Error> {
    let numbers: &[f64] = match predictions {
        Predictions::Classes { probabilities, .. } => probabilities.as_deref().unwrap_or_default(),
        Predictions::Values(values) => values,
    };
    let Some(at) = numbers.iter().position(|number| !is_sensible(*number)) else {
        return Ok(());
    };
    let row = at / (numbers.len() / predictions.rows());
    let message = format!("row {row}: the model has no finite answer for these values");
    Err(Error::Invalid(message))
}

/// NaN is not.
fn is_sensible(number: f64) -> bool {
    number.abs() <= LARGEST_VALUE
}
