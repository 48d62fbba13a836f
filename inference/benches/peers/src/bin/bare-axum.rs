//! `bare-axum MODEL PORT`: answers `POST /predict` with the predictions of the same engine, and
//! does nothing else. No limits, no checks but serde's, no metrics, no ids, no logs, no health, no
//! shutdown.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use inference::load::LoadedModel;
use inference::model::{Batch, Predictions};
use peers::Outcome;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

#[derive(Deserialize)]
struct Question {
    instances: Vec<[f64; 8]>,
}

#[derive(Serialize)]
struct Answer {
    predictions: Vec<Prediction>,
}

#[derive(Serialize)]
struct Prediction {
    outcome: usize,
    probabilities: Probabilities,
}

#[derive(Serialize)]
struct Probabilities {
    #[serde(rename = "0")]
    healthy: f64,
    #[serde(rename = "1")]
    ill: f64,
}

async fn predict(State(model): State<Arc<LoadedModel>>, body: Bytes) -> Response {
    match answer(&model, &body) {
        Some(answer) => ([(CONTENT_TYPE, "application/json")], answer).into_response(),
        None => StatusCode::BAD_REQUEST.into_response(),
    }
}

fn answer(model: &LoadedModel, body: &[u8]) -> Option<Vec<u8>> {
    let question: Question = serde_json::from_slice(body).ok()?;
    let batch = Batch::new(question.instances.into_flattened(), 8).ok()?;
    let Predictions::Classes {
        labels,
        probabilities: Some(probabilities),
    } = model.model.predict(&batch)
    else {
        return None;
    };
    let rows = labels.iter().zip(probabilities.chunks_exact(2));
    let predictions = rows.map(|(outcome, of)| Prediction {
        outcome: *outcome,
        probabilities: Probabilities {
            healthy: of[0],
            ill: of[1],
        },
    });
    let predictions = predictions.collect();
    serde_json::to_vec(&Answer { predictions }).ok()
}

#[tokio::main]
async fn main() -> Outcome {
    let [model, port] = peers::arguments("bare-axum MODEL PORT")?;
    let model = Arc::new(peers::model(model)?);
    let router = Router::new().route("/predict", post(predict));
    axum::serve(peers::listen(&port).await?, router.with_state(model)).await?;
    Ok(())
}
