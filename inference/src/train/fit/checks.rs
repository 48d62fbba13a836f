//! What smartcore's algorithms need of their data, and do not always check themselves.

use super::FitError;
use crate::artifact::Algorithm;
use crate::train::data::{Data, Target};

/// # Errors
/// [`FitError::NoSuchEstimator`], or [`FitError::Data`] naming the feature in the way.
pub(super) fn check(algorithm: Algorithm, data: &Data) -> Result<(), FitError> {
    let task = data.target.task();
    if !algorithm.tasks().contains(&task) {
        return Err(FitError::no_such(algorithm, task));
    }
    let problem = match algorithm {
        Algorithm::LinearRegression => too_few_rows(data),
        Algorithm::Ridge | Algorithm::Lasso | Algorithm::ElasticNet => {
            too_few_rows(data).or_else(|| constant(data))
        }
        Algorithm::GaussianNb => constant_in_a_class(data),
        Algorithm::LogisticRegression
        | Algorithm::DecisionTree
        | Algorithm::RandomForest
        | Algorithm::ExtraTrees
        | Algorithm::Knn
        | Algorithm::Svm => None,
    };
    match problem {
        None => Ok(()),
        Some(problem) => Err(FitError::Data { algorithm, problem }),
    }
}

fn too_few_rows(data: &Data) -> Option<String> {
    let features = data.features.len();
    let rows = data.values.len() / features;
    (rows <= features).then(|| {
        format!("{rows} rows to train on are too few for {features} features: one more is needed")
    })
}

/// smartcore divides by the deviation of each column and gives up below this one.
fn constant(data: &Data) -> Option<String> {
    let rows: Vec<usize> = (0..data.values.len() / data.features.len()).collect();
    let found = (0..data.features.len())
        .find(|column| variance(data, *column, &rows).sqrt() < f64::EPSILON);
    found.map(|column| {
        format!(
            "feature {:?} is constant: leave it out",
            data.features[column]
        )
    })
}

/// A normal distribution without a width has no density.
fn constant_in_a_class(data: &Data) -> Option<String> {
    let Target::Classes { names, .. } = &data.target else {
        return None;
    };
    for (rows, class) in data.target.groups().iter().zip(names) {
        let constant = |column: &usize| variance(data, *column, rows) == 0.0;
        if let Some(column) = (0..data.features.len()).find(constant) {
            let feature = &data.features[column];
            return Some(format!(
                "feature {feature:?} is constant in class {class:?}: leave it out"
            ));
        }
    }
    None
}

fn variance(data: &Data, column: usize, rows: &[usize]) -> f64 {
    let value = |row: &usize| data.values[row * data.features.len() + column];
    let count = rows.len() as f64;
    let mean = rows.iter().map(value).sum::<f64>() / count;
    rows.iter()
        .map(|row| (value(row) - mean).powi(2))
        .sum::<f64>()
        / count
}
