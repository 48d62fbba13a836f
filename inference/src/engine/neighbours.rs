//! Nearest neighbours, found by smartcore itself: among neighbours at equal distance it chooses by
//! the order of its heap, which nothing else reproduces.

use super::{Defect, Matrix, Shape, argmax, class_indices, fields, finite, length};
use crate::model::{Batch, Model, Predictions};
use serde::Deserialize;
use smartcore::metrics::distance::euclidian::Euclidian;
use smartcore::neighbors::knn_classifier::KNNClassifier;
use smartcore::neighbors::knn_regressor::KNNRegressor;

/// smartcore's classifier.
pub(crate) type Classifier = KNNClassifier<f64, u32, Matrix, Vec<u32>, Euclidian<f64>>;
/// smartcore's regressor.
pub(crate) type Regressor = KNNRegressor<f64, f64, Matrix, Vec<f64>, Euclidian<f64>>;

#[derive(Debug)]
struct Classification {
    inner: Classifier,
    classes: usize,
}

#[derive(Debug)]
struct Regression(Regressor);

/// smartcore finds no neighbour at an infinite distance and then has no answer. Standard scores are
/// bounded, so that cannot happen; if it does, the answer is NaN.
impl Model for Classification {
    fn predict(&self, batch: &Batch) -> Predictions {
        let found = matrix(batch).and_then(|rows| self.inner.predict_proba(&rows).ok());
        let probabilities = found.map_or_else(
            || vec![f64::NAN; batch.rows() * self.classes],
            |rows| rows.concat(),
        );
        let labels = probabilities.chunks_exact(self.classes).map(argmax);
        Predictions::Classes {
            labels: labels.collect(),
            probabilities: Some(probabilities),
        }
    }
}

impl Model for Regression {
    fn predict(&self, batch: &Batch) -> Predictions {
        let found = matrix(batch).and_then(|rows| self.0.predict(&rows).ok());
        Predictions::Values(found.unwrap_or_else(|| vec![f64::NAN; batch.rows()]))
    }
}

fn matrix(batch: &Batch) -> Option<Matrix> {
    Matrix::new(
        batch.rows(),
        batch.columns(),
        batch.values().to_vec(),
        false,
    )
    .ok()
}

#[derive(Deserialize)]
enum Search {
    LinearSearch { data: Vec<Vec<f64>> },
}

#[derive(Deserialize)]
enum Weight {
    Uniform,
}

#[derive(Deserialize)]
struct Common {
    knn_algorithm: Search,
    #[serde(rename = "weight")]
    _weight: Weight,
    k: usize,
}

#[derive(Deserialize)]
struct ClassifierFields {
    #[serde(flatten)]
    common: Common,
    classes: Vec<u32>,
    y: Vec<usize>,
}

#[derive(Deserialize)]
struct RegressorFields {
    #[serde(flatten)]
    common: Common,
    y: Vec<f64>,
}

impl Common {
    fn check(&self, shape: Shape, targets: usize) -> Result<(), Defect> {
        let Search::LinearSearch { data } = &self.knn_algorithm;
        length("targets of the neighbours", targets, data.len())?;
        if self.k == 0 || self.k > data.len() {
            return Err(Defect::structure(format!(
                "k is {}, expected 1 to {}",
                self.k,
                data.len()
            )));
        }
        for row in data {
            length("values of a neighbour", row.len(), shape.features)?;
            finite("a neighbour", row)?;
        }
        Ok(())
    }
}

/// Nearest neighbours vote.
pub(super) fn classifier(shape: Shape, estimator: &str) -> Result<Box<dyn Model>, Defect> {
    let read: ClassifierFields = fields(shape, estimator)?;
    read.common.check(shape, read.y.len())?;
    class_indices(&read.classes, shape.classes)?;
    if read.y.iter().any(|label| *label >= shape.classes) {
        return Err(Defect::structure("a neighbour is of no known class"));
    }
    Ok(Box::new(Classification {
        inner: fields(shape, estimator)?,
        classes: shape.classes,
    }))
}

/// Mean of the nearest neighbours.
pub(super) fn regressor(shape: Shape, estimator: &str) -> Result<Box<dyn Model>, Defect> {
    let read: RegressorFields = fields(shape, estimator)?;
    read.common.check(shape, read.y.len())?;
    finite("targets of the neighbours", &read.y)?;
    Ok(Box::new(Regression(fields(shape, estimator)?)))
}
