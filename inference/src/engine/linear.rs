//! Weighted sums: least squares with and without penalties, and logistic regression.

use super::{Defect, MatrixFields, Shape, argmax, class_indices, fields, finite, softmax};
use crate::model::{Batch, Model, Predictions};
use serde::Deserialize;
use smartcore::numbers::realnum::RealNumber;

/// Weighted sums of a row: one per output, `outputs × features` weights, row-major.
#[derive(Debug)]
struct Sums {
    weights: Vec<f64>,
    intercepts: Vec<f64>,
    features: usize,
}

impl Sums {
    /// The sums of one row, added up in smartcore's order: features first, intercept last.
    fn of<'a>(&'a self, row: &'a [f64]) -> impl Iterator<Item = f64> + 'a {
        let outputs = self.weights.chunks_exact(self.features);
        outputs.zip(&self.intercepts).map(|(weights, intercept)| {
            let products = row
                .iter()
                .zip(weights)
                .map(|(value, weight)| value * weight);
            products.fold(0.0, |sum, product| sum + product) + intercept
        })
    }
}

#[derive(Debug)]
struct Regression(Sums);

impl Model for Regression {
    fn predict(&self, batch: &Batch) -> Predictions {
        Predictions::Values(batch.iter().flat_map(|row| self.0.of(row)).collect())
    }
}

#[derive(Debug)]
struct Binary(Sums);

impl Model for Binary {
    fn predict(&self, batch: &Batch) -> Predictions {
        let mut labels = Vec::with_capacity(batch.rows());
        let mut probabilities = Vec::with_capacity(batch.rows() * 2);
        for sum in batch.iter().flat_map(|row| self.0.of(row)) {
            let probability = RealNumber::sigmoid(sum);
            labels.push(usize::from(probability > 0.5));
            probabilities.extend([1.0 - probability, probability]);
        }
        Predictions::Classes {
            labels,
            probabilities: Some(probabilities),
        }
    }
}

#[derive(Debug)]
struct Multinomial(Sums);

impl Model for Multinomial {
    fn predict(&self, batch: &Batch) -> Predictions {
        let mut labels = Vec::with_capacity(batch.rows());
        let mut probabilities: Vec<f64> = batch.iter().flat_map(|row| self.0.of(row)).collect();
        for scores in probabilities.chunks_exact_mut(self.0.intercepts.len()) {
            labels.push(argmax(scores));
            softmax(scores);
        }
        Predictions::Classes {
            labels,
            probabilities: Some(probabilities),
        }
    }
}

#[derive(Deserialize)]
struct LogisticFields {
    coefficients: MatrixFields,
    intercept: MatrixFields,
    classes: Vec<u32>,
}

/// Logistic regression: one sum for two classes, else one per class.
pub(super) fn logistic(shape: Shape, estimator: &str) -> Result<Box<dyn Model>, Defect> {
    let read: LogisticFields = fields(shape, estimator)?;
    class_indices(&read.classes, shape.classes)?;
    let outputs = if shape.classes == 2 { 1 } else { shape.classes };
    let features = shape.features;
    let weights = read
        .coefficients
        .row_major("coefficients", outputs, features)?;
    let intercepts = read.intercept.row_major("intercepts", outputs, 1)?;
    let sums = Sums {
        weights,
        intercepts,
        features,
    };
    Ok(if outputs == 1 {
        Box::new(Binary(sums))
    } else {
        Box::new(Multinomial(sums))
    })
}

#[derive(Deserialize)]
struct LeastSquaresFields {
    coefficients: MatrixFields,
    intercept: MatrixFields,
}

/// Ordinary least squares.
pub(super) fn least_squares(shape: Shape, estimator: &str) -> Result<Box<dyn Model>, Defect> {
    let read: LeastSquaresFields = fields(shape, estimator)?;
    let intercepts = read.intercept.row_major("intercept", 1, 1)?;
    regression(shape, read.coefficients, intercepts)
}

#[derive(Deserialize)]
struct PenalisedFields {
    coefficients: MatrixFields,
    intercept: f64,
}

/// Ridge, lasso and elastic net: they differ in how they are fitted only.
pub(super) fn penalised(shape: Shape, estimator: &str) -> Result<Box<dyn Model>, Defect> {
    let read: PenalisedFields = fields(shape, estimator)?;
    finite("intercept", &[read.intercept])?;
    regression(shape, read.coefficients, vec![read.intercept])
}

fn regression(
    shape: Shape,
    coefficients: MatrixFields,
    intercepts: Vec<f64>,
) -> Result<Box<dyn Model>, Defect> {
    let features = shape.features;
    Ok(Box::new(Regression(Sums {
        weights: coefficients.row_major("coefficients", features, 1)?,
        intercepts,
        features,
    })))
}
