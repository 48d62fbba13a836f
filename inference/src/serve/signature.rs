//! What the loaded model takes and gives, in the form that requests are read and answered with.

use super::error::{Error, Problem};
use crate::artifact::{Feature, FeatureKind, Manifest, Profile, Report, Task};
use std::collections::HashMap;

/// Columns and classes of the served model.
#[derive(Debug)]
pub struct Signature {
    /// What is predicted.
    pub task: Task,
    /// The columns of a row, in order.
    pub features: Vec<Feature>,
    /// Class by class index; empty for regression.
    pub classes: Vec<Class>,
    /// A row that the model might have been trained on.
    pub example: Vec<f64>,
    /// Largest error of a regression that ground truth may show, in the target's unit.
    pub largest_residual: f64,
    columns: HashMap<String, usize>,
}

/// A class as answers show it.
#[derive(Debug, Clone, PartialEq)]
pub struct Class {
    /// As the model file names it.
    pub name: String,
    /// As a JSON value: a number if the name is a whole number.
    pub value: String,
    /// As a key of a JSON object.
    pub key: String,
    /// The number that the name is, if any.
    pub number: Option<f64>,
}

impl Signature {
    /// Of the model that `manifest` describes.
    pub fn new(manifest: &Manifest) -> Self {
        let features = manifest.features.clone();
        let names = features.iter().enumerate();
        Self {
            task: manifest.task,
            columns: names.map(|(at, f)| (f.name.clone(), at)).collect(),
            classes: manifest.classes.iter().map(|name| class(name)).collect(),
            example: features
                .iter()
                .zip(&manifest.reference.features)
                .map(|(feature, profile)| typical(feature, profile))
                .collect(),
            largest_residual: (MOST_SCALES * scale(manifest)).min(LARGEST_RESIDUAL),
            features,
        }
    }

    /// Number of columns.
    pub fn width(&self) -> usize {
        self.features.len()
    }

    /// Column called `name`; `guess` is looked at first, since most clients keep the order.
    pub fn column(&self, name: &str, guess: usize) -> Option<usize> {
        match self.features.get(guess) {
            Some(feature) if feature.name == name => Some(guess),
            _ => self.columns.get(name).copied(),
        }
    }

    /// Index of the class called `name`.
    pub fn class(&self, name: &str) -> Option<usize> {
        self.classes.iter().position(|class| class.name == name)
    }

    /// Whether every class name is a whole number.
    pub fn whole_classes(&self) -> bool {
        self.classes.iter().all(|class| class.value == class.name)
    }

    /// The error that the value in `row` and `column` has `problem`.
    pub fn fault(&self, row: usize, column: usize, problem: Problem) -> Error {
        Error::Value {
            row,
            column,
            name: self.features[column].name.clone(),
            problem,
        }
    }
}

/// Errors of so many times what the model's predictions and its own errors measure are no errors of it,
/// but values such as 9999999999 for unknown ones.
const MOST_SCALES: f64 = 1e5;
/// Beyond it squares could not be summed up.
const LARGEST_RESIDUAL: f64 = 1e100;

/// What predictions and their errors measured in training, in the target's unit.
fn scale(manifest: &Manifest) -> f64 {
    let rmse = match &manifest.training.report {
        Report::Regression(report) => report.rmse,
        Report::Classification(_) => 0.0,
    };
    let edges = &manifest.reference.prediction.edges;
    let scale = edges.iter().fold(rmse, |most, edge| most.max(edge.abs()));
    // A model that always says 0, and was always right.
    if scale > 0.0 { scale } else { 1.0 }
}

fn class(name: &str) -> Class {
    let quoted = serde_json::Value::from(name).to_string();
    let whole = name.parse::<i64>().ok();
    let value = match whole {
        Some(number) if number.to_string() == name => name.to_owned(),
        _ => quoted.clone(),
    };
    Class {
        name: name.to_owned(),
        value,
        key: quoted,
        number: name.parse().ok().filter(|number: &f64| number.is_finite()),
    }
}

/// The middle edge of the profile, which is about the median.
fn typical(feature: &Feature, profile: &Profile) -> f64 {
    let middle = profile.edges.get(profile.edges.len() / 2).copied();
    let value = middle.unwrap_or(feature.min);
    match feature.kind {
        FeatureKind::Integer => value.round(),
        FeatureKind::Float => value,
    }
}
