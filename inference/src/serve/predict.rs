//! `POST /predict`: decode → validate → predict → encode.

use super::app::App;
use super::decode::{Form, Rows, decode};
use super::encode::{Answer, Encoder};
use super::error::{Error, json};
use super::work;
use crate::model::{Batch, Predictions};
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use contract::labels::Endpoint;
use http::StatusCode;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

/// Predicts one row or a list of them.
///
/// # Errors
/// Whatever is wrong with the request, see [`Error`].
pub async fn predict(State(app): State<Arc<App>>, body: Body) -> Result<Response, Error> {
    let body = app.admission.receive(body).await?;
    app.metrics
        .http
        .received(Endpoint::Predict, body.len() as u64);
    let permit = app.admission.enter()?;
    let answer = work::run(&app, body, permit, answer).await?;
    Ok(json(StatusCode::OK, answer))
}

fn answer(app: &App, body: &[u8]) -> Result<Vec<u8>, Error> {
    let limit = app.limits.max_batch_rows as usize;
    let decoded = decode(body, &app.signature, limit);
    let (rows, form) = decoded.inspect_err(|error| app.metrics.model.refused(error))?;
    let predictions = score(app, rows)?;
    let encoder = Encoder::new(app, SystemTime::now());
    Ok(match form {
        Form::Single => encoder.encode(Answer::Single(&predictions)),
        Form::List => encoder.encode(Answer::List(&predictions)),
    })
}

/// Predicts and counts `rows`, which have the model's number of columns.
///
/// # Errors
/// `Invalid` if the model has no finite answer for a row: values far from all it was trained on
/// may overflow.
pub fn score(app: &App, rows: Rows) -> Result<Predictions, Error> {
    let Rows { values, filled } = rows;
    let batch = Batch::new(values, app.signature.width());
    let batch = batch.map_err(|error| Error::Invalid(error.to_string()))?;
    let begin = Instant::now();
    let predictions = app.model.model.predict(&batch);
    let metrics = &app.metrics.model;
    metrics.inference.observe(begin.elapsed().as_secs_f64());
    check_finite(&predictions)?;
    metrics.predicted(&batch, &filled, &predictions);
    Ok(predictions)
}

fn check_finite(predictions: &Predictions) -> Result<(), Error> {
    let numbers: &[f64] = match predictions {
        Predictions::Classes { probabilities, .. } => probabilities.as_deref().unwrap_or_default(),
        Predictions::Values(values) => values,
    };
    let Some(at) = numbers.iter().position(|number| !number.is_finite()) else {
        return Ok(());
    };
    let row = at / (numbers.len() / predictions.rows());
    let message = format!("row {row}: the model has no finite answer for these values");
    Err(Error::Invalid(message))
}
