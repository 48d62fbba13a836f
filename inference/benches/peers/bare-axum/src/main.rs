//! `bare-axum PORT WEIGHTS.json`: answers `POST /predict` by logistic regression, and does nothing
//! else. No limits, no checks but serde's, no metrics, no logs, no health, no shutdown.

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use std::env;
use std::error::Error;
use std::sync::Arc;
use tokio::net::TcpListener;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Patient {
    pregnancies: f64,
    glucose: f64,
    blood_pressure: f64,
    skin_thickness: f64,
    insulin: f64,
    #[serde(rename = "BMI")]
    bmi: f64,
    diabetes_pedigree_function: f64,
    age: f64,
}

#[derive(Serialize)]
struct Prediction {
    outcome: u8,
    probabilities: Probabilities,
}

#[derive(Serialize)]
struct Probabilities {
    #[serde(rename = "0")]
    healthy: f64,
    #[serde(rename = "1")]
    ill: f64,
}

#[derive(Deserialize)]
struct Weights {
    coefficients: [f64; 8],
    intercept: f64,
}

impl Weights {
    fn probability(&self, patient: &Patient) -> f64 {
        let row = [
            patient.pregnancies,
            patient.glucose,
            patient.blood_pressure,
            patient.skin_thickness,
            patient.insulin,
            patient.bmi,
            patient.diabetes_pedigree_function,
            patient.age,
        ];
        let products = row.iter().zip(&self.coefficients).map(|(x, w)| x * w);
        1.0 / (1.0 + (-products.sum::<f64>() - self.intercept).exp())
    }
}

async fn predict(
    State(weights): State<Arc<Weights>>,
    Json(patient): Json<Patient>,
) -> Json<Prediction> {
    let ill = weights.probability(&patient);
    Json(Prediction {
        outcome: u8::from(ill > 0.5),
        probabilities: Probabilities {
            healthy: 1.0 - ill,
            ill,
        },
    })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let (Some(port), Some(weights)) = (arguments.next(), arguments.next()) else {
        return Err("usage: bare-axum PORT WEIGHTS.json".into());
    };
    let weights: Weights = serde_json::from_slice(&std::fs::read(weights)?)?;
    let router = Router::new().route("/predict", post(predict));
    let listener = TcpListener::bind(("127.0.0.1", port.parse()?)).await?;
    axum::serve(listener, router.with_state(Arc::new(weights))).await?;
    Ok(())
}
