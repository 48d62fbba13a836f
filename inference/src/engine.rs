//! Estimators as smartcore writes them → models that predict what smartcore would, bit for bit.
//!
//! They run on structures of our own. Everything that a damaged or hostile file could break is
//! checked here, once: predicting never fails, and a row takes no longer than looking at all of the
//! file.

mod bayes;
mod kernel;
mod linear;
mod neighbours;
mod scaled;
mod tree;

pub(crate) use kernel::pairs;
pub use kernel::{Kernel, Machine, Machines};

use crate::artifact::{Algorithm, Scaling, Task};
use crate::model::Model;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use smartcore::linalg::basic::matrix::DenseMatrix;

/// Rows as smartcore takes them.
pub type Matrix = DenseMatrix<f64>;

/// What an estimator must agree with.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// What is predicted.
    pub task: Task,
    /// How it is predicted.
    pub algorithm: Algorithm,
    /// Columns of a row.
    pub features: usize,
    /// Number of classes; 0 for regression.
    pub classes: usize,
}

/// Why an estimator cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum Defect {
    /// No such estimator.
    #[error("{algorithm} does not exist for {task}")]
    NoSuchEstimator {
        /// The algorithm asked for.
        algorithm: Algorithm,
        /// The task asked for.
        task: Task,
    },
    /// The document does not have the fields of the estimator.
    #[error("the estimator is not a {algorithm}")]
    Fields {
        /// The algorithm expected.
        algorithm: Algorithm,
        /// Where it differs.
        source: serde_json::Error,
    },
    /// The parts of the estimator contradict each other or the manifest.
    #[error("{0}")]
    Structure(String),
}

impl Defect {
    fn structure(message: impl Into<String>) -> Self {
        Self::Structure(message.into())
    }
}

/// Builds the model that `estimator`, a JSON document, and `scaling` describe.
///
/// # Errors
/// [`Defect`] if a prediction could fail, loop or read out of bounds.
pub fn build(
    shape: Shape,
    scaling: Option<&Scaling>,
    estimator: &str,
) -> Result<Box<dyn Model>, Defect> {
    let model = build_unscaled(shape, estimator)?;
    match scaling {
        None => Ok(model),
        Some(scaling) => {
            scaling.check(shape.features)?;
            Ok(Box::new(scaled::Scaled::new(scaling.clone(), model)))
        }
    }
}

fn build_unscaled(shape: Shape, estimator: &str) -> Result<Box<dyn Model>, Defect> {
    use Algorithm as A;
    match (shape.task, shape.algorithm) {
        (Task::Classification, A::LogisticRegression) => linear::logistic(shape, estimator),
        (Task::Regression, A::LinearRegression) => linear::least_squares(shape, estimator),
        (Task::Regression, A::Ridge | A::Lasso | A::ElasticNet) => {
            linear::penalised(shape, estimator)
        }
        (Task::Classification, A::DecisionTree) => tree::classifier(shape, estimator),
        (Task::Regression, A::DecisionTree) => tree::regressor(shape, estimator),
        (Task::Classification, A::RandomForest) => tree::forest_classifier(shape, estimator),
        (Task::Regression, A::RandomForest | A::ExtraTrees) => {
            tree::forest_regressor(shape, estimator)
        }
        (Task::Classification, A::Knn) => neighbours::classifier(shape, estimator),
        (Task::Regression, A::Knn) => neighbours::regressor(shape, estimator),
        (Task::Classification, A::GaussianNb) => bayes::gaussian(shape, estimator),
        (_, A::Svm) => kernel::machines(shape, estimator),
        (task, algorithm) => Err(Defect::NoSuchEstimator { algorithm, task }),
    }
}

/// Reads the fields of an estimator that its engine needs; smartcore's others are ignored.
fn fields<T: DeserializeOwned>(shape: Shape, estimator: &str) -> Result<T, Defect> {
    serde_json::from_str(estimator).map_err(|source| Defect::Fields {
        algorithm: shape.algorithm,
        source,
    })
}

/// A matrix as smartcore writes it.
#[derive(Debug, Deserialize)]
struct MatrixFields {
    nrows: usize,
    ncols: usize,
    values: Vec<f64>,
    column_major: bool,
}

impl MatrixFields {
    /// The values, row-major, if the matrix is `rows × columns` and finite.
    fn row_major(self, what: &str, rows: usize, columns: usize) -> Result<Vec<f64>, Defect> {
        let (nrows, ncols) = (self.nrows, self.ncols);
        if nrows != rows || ncols != columns || self.values.len() != rows * columns {
            return Err(Defect::structure(format!(
                "{what} are {nrows} × {ncols} with {} values, expected {rows} × {columns}",
                self.values.len()
            )));
        }
        finite(what, &self.values)?;
        if !self.column_major {
            return Ok(self.values);
        }
        let at = |index: usize| self.values[index % columns * rows + index / columns];
        Ok((0..rows * columns).map(at).collect())
    }
}

fn finite(what: &str, values: &[f64]) -> Result<(), Defect> {
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(at) => Err(Defect::structure(format!(
            "{what}: value {at} is not a finite number"
        ))),
    }
}

fn length(what: &str, found: usize, expected: usize) -> Result<(), Defect> {
    if found == expected {
        return Ok(());
    }
    Err(Defect::structure(format!(
        "{what}: {found} found, expected {expected}"
    )))
}

/// Fitted labels are the class indices themselves, so that a label needs no translation.
fn class_indices(found: &[u32], classes: usize) -> Result<(), Defect> {
    if found.iter().map(|label| *label as usize).eq(0..classes) {
        return Ok(());
    }
    Err(Defect::structure(format!(
        "the estimator's classes are not 0 to {}",
        classes.saturating_sub(1)
    )))
}

/// Index of the largest value, the first one among equals; 0 if all are NaN.
fn argmax(values: &[f64]) -> usize {
    let larger = |best: (f64, usize), (index, value): (usize, &f64)| {
        if *value > best.0 {
            (*value, index)
        } else {
            best
        }
    };
    let (_, index) = values.iter().enumerate().fold((f64::MIN, 0), larger);
    index
}

/// `e^(v - max) / Σ e^(v - max)`, in place, in smartcore's order of operations.
fn softmax(scores: &mut [f64]) {
    let max = scores.iter().copied().fold(f64::MIN, f64::max);
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        *score = (*score - max).exp();
        sum += *score;
    }
    for score in scores {
        *score /= sum;
    }
}
