//! Gaussian naive Bayes, with the posterior that smartcore keeps to itself.

use super::{Defect, Shape, argmax, class_indices, fields, finite, length, softmax};
use crate::model::{Batch, Model, Predictions};
use serde::Deserialize;
use std::f64::consts::PI;

/// One class: its log prior, and per feature the normal distribution of its training rows.
#[derive(Debug)]
struct Class {
    log_prior: f64,
    mean: Vec<f64>,
    variance: Vec<f64>,
}

impl Class {
    /// `ln P(class) + Σ ln P(feature | class)`, in smartcore's order of operations.
    fn log_joint(&self, row: &[f64]) -> f64 {
        let normals = self.mean.iter().zip(&self.variance);
        let likelihood = row.iter().zip(normals).fold(0.0, |sum, (value, normal)| {
            let (mean, variance) = normal;
            sum + (-((value - mean).powf(2.0) / (2.0 * variance))
                - (2.0 * PI).ln() / 2.0
                - variance.ln() / 2.0)
        });
        likelihood + self.log_prior
    }
}

#[derive(Debug)]
struct GaussianNb(Vec<Class>);

impl Model for GaussianNb {
    fn predict(&self, batch: &Batch) -> Predictions {
        let mut labels = Vec::with_capacity(batch.rows());
        let mut probabilities = Vec::with_capacity(batch.rows() * self.0.len());
        for row in batch.iter() {
            let mut scores: Vec<f64> = self.0.iter().map(|class| class.log_joint(row)).collect();
            // A row so far away that every likelihood is 0 says nothing: no class is likelier.
            if scores.iter().all(|score| *score == f64::NEG_INFINITY) {
                scores.fill(0.0);
            }
            labels.push(argmax(&scores));
            softmax(&mut scores);
            probabilities.append(&mut scores);
        }
        Predictions::Classes {
            labels,
            probabilities: Some(probabilities),
        }
    }
}

#[derive(Deserialize)]
struct Fields {
    inner: Inner,
}

#[derive(Deserialize)]
struct Inner {
    distribution: Distribution,
}

#[derive(Deserialize)]
struct Distribution {
    class_labels: Vec<u32>,
    class_priors: Vec<f64>,
    theta: Vec<Vec<f64>>,
    var: Vec<Vec<f64>>,
}

/// Gaussian naive Bayes.
pub(super) fn gaussian(shape: Shape, estimator: &str) -> Result<Box<dyn Model>, Defect> {
    let Fields { inner } = fields(shape, estimator)?;
    let read = inner.distribution;
    class_indices(&read.class_labels, shape.classes)?;
    length("class priors", read.class_priors.len(), shape.classes)?;
    length("classes with means", read.theta.len(), shape.classes)?;
    length("classes with variances", read.var.len(), shape.classes)?;
    let normals = read.theta.into_iter().zip(read.var);
    let classes = read.class_priors.into_iter().zip(normals);
    let classes: Result<Vec<Class>, Defect> = classes
        .map(|(prior, (mean, variance))| class(shape, prior, mean, variance))
        .collect();
    Ok(Box::new(GaussianNb(classes?)))
}

fn class(shape: Shape, prior: f64, mean: Vec<f64>, variance: Vec<f64>) -> Result<Class, Defect> {
    length("means", mean.len(), shape.features)?;
    length("variances", variance.len(), shape.features)?;
    finite("means", &mean)?;
    finite("variances", &variance)?;
    if variance.iter().any(|variance| *variance <= 0.0) {
        return Err(Defect::structure("a variance is not above 0"));
    }
    if !(prior > 0.0 && prior <= 1.0) {
        return Err(Defect::structure(format!(
            "a class prior is {prior}, expected above 0 and at most 1"
        )));
    }
    Ok(Class {
        log_prior: prior.ln(),
        mean,
        variance,
    })
}
