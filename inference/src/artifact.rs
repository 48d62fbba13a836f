//! The model file: one JSON document, plain or gzip, that carries all that serving and
//! monitoring need. Written by training, read by loading; see `docs/model-file.md`.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fmt;

/// Format version that this build writes and reads.
pub const FORMAT: u32 = 1;

/// The whole document.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFile {
    /// [`FORMAT`]; any other is refused before the rest is looked at.
    pub format: u32,
    /// What the model is and what it was trained on.
    pub manifest: Manifest,
    /// Rows of the held-out data with their predictions: predicted again at every load.
    pub golden: Vec<Golden>,
    /// What standardises a row before the estimator sees it, if the algorithm needs that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling: Option<Scaling>,
    /// The estimator as serde writes it; its shape depends on `manifest.algorithm`.
    pub estimator: Box<RawValue>,
}

/// What the model is and what it was trained on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Name, as in `/v2/models/{name}`.
    pub name: String,
    /// Version given at training, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What is predicted.
    pub task: Task,
    /// How it is predicted.
    pub algorithm: Algorithm,
    /// Name of the predicted column.
    pub target: String,
    /// The columns of a row, in order.
    pub features: Vec<Feature>,
    /// Class names by class index; empty for regression.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// How the model was trained and how well it did.
    pub training: Training,
    /// Distribution of the training data, to compare live traffic with.
    pub reference: Reference,
}

/// What is predicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// One of two or more classes.
    Classification,
    /// A number.
    Regression,
}

/// How it is predicted. A [`Task`] and an algorithm together name one estimator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    /// Logistic regression (classification).
    LogisticRegression,
    /// Ordinary least squares (regression).
    LinearRegression,
    /// Least squares with an L2 penalty (regression).
    Ridge,
    /// Least squares with an L1 penalty (regression).
    Lasso,
    /// Least squares with both penalties (regression).
    ElasticNet,
    /// One decision tree (both tasks).
    DecisionTree,
    /// Trees on bootstrap samples (both tasks).
    RandomForest,
    /// Trees with random thresholds (regression).
    ExtraTrees,
    /// Nearest neighbours (both tasks).
    Knn,
    /// Gaussian naive Bayes (classification).
    GaussianNb,
    /// Support vector machine (both tasks).
    Svm,
}

impl Task {
    /// Its name in model files, on the command line and as a label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Classification => "classification",
            Self::Regression => "regression",
        }
    }
}

impl Algorithm {
    /// Every algorithm, with its name in model files, on the command line and as a label, and the
    /// tasks that it can do.
    pub const ALL: &'static [(Self, &'static str, &'static [Task])] = {
        use Task::{Classification, Regression};
        &[
            (
                Self::LogisticRegression,
                "logistic-regression",
                &[Classification],
            ),
            (Self::LinearRegression, "linear-regression", &[Regression]),
            (Self::Ridge, "ridge", &[Regression]),
            (Self::Lasso, "lasso", &[Regression]),
            (Self::ElasticNet, "elastic-net", &[Regression]),
            (
                Self::DecisionTree,
                "decision-tree",
                &[Classification, Regression],
            ),
            (
                Self::RandomForest,
                "random-forest",
                &[Classification, Regression],
            ),
            (Self::ExtraTrees, "extra-trees", &[Regression]),
            (Self::Knn, "knn", &[Classification, Regression]),
            (Self::GaussianNb, "gaussian-nb", &[Classification]),
            (Self::Svm, "svm", &[Classification, Regression]),
        ]
    };

    /// Its name in model files, on the command line and as a label.
    pub const fn as_str(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    /// The tasks that it can do.
    pub const fn tasks(self) -> &'static [Task] {
        Self::ALL[self as usize].2
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One column of a row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    /// Column name.
    pub name: String,
    /// Whether training saw whole numbers only.
    pub kind: FeatureKind,
    /// Smallest value seen in training.
    pub min: f64,
    /// Largest value seen in training.
    pub max: f64,
    /// Share of training rows without a value, 0 to 1.
    pub missing: f64,
    /// What stands in for a missing value: the median seen in training. Without it a missing
    /// value is an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fill: Option<f64>,
}

/// The numbers that a feature took in training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FeatureKind {
    /// Whole numbers only.
    Integer,
    /// Any finite number.
    Float,
}

/// How the model was trained and how well it did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// Rows trained on.
    pub rows: usize,
    /// Rows held out for the report.
    pub test_rows: usize,
    /// Seed of the split and of the algorithm.
    pub seed: u64,
    /// Hyper-parameters of the algorithm, defaults included.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, serde_json::Value>,
    /// Quality on the held-out rows.
    pub report: Report,
}

/// Quality on the held-out rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Report {
    /// Classification.
    Classification(ClassificationReport),
    /// Regression.
    Regression(RegressionReport),
}

/// Quality of a classifier on the held-out rows. Shares, 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassificationReport {
    /// Share of rows predicted right.
    pub accuracy: f64,
    /// Of the rows predicted as a class, the share that is of it; by class.
    pub precision: Vec<f64>,
    /// Of the rows of a class, the share predicted as it; by class.
    pub recall: Vec<f64>,
    /// Area under the ROC curve, one class against the rest, averaged over the classes; None if
    /// the algorithm has no probabilities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roc_auc: Option<f64>,
    /// Rows counted by actual class (outer) and predicted class (inner).
    pub confusion: Vec<Vec<usize>>,
}

/// Quality of a regression on the held-out rows, in the target's unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegressionReport {
    /// Root mean squared error.
    pub rmse: f64,
    /// Mean absolute error.
    pub mae: f64,
    /// Coefficient of determination; 1 is perfect, 0 is no better than the mean.
    pub r2: f64,
}

/// Distribution of the training data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// One profile per feature, in the order of the features; of the training rows.
    pub features: Vec<Profile>,
    /// Of the prediction for the held-out rows, since a model knows its training rows too well: the
    /// value, or the probability of the class at index 1 (its label, 0 or
    /// 1, if the algorithm has no probabilities).
    pub prediction: Profile,
}

/// A distribution in bins: bin `i` holds values in `(edges[i-1], edges[i]]`, the first and last
/// bins are open-ended, so there is one more share than edges.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Inner edges, strictly rising: the distinct deciles of the data, or fewer quantiles if there
    /// are few rows.
    pub edges: Vec<f64>,
    /// Share of the data in each bin; they sum to 1.
    pub shares: Vec<f64>,
}

impl Profile {
    /// `value` as an edge: 0 or of a size from 1e-100 to 1e100, so that the digits of two of them
    /// fit in a label value.
    pub fn edge(value: f64) -> f64 {
        if value.abs() < 1e-100 {
            return 0.0;
        }
        value.clamp(-1e100, 1e100)
    }

    /// Index of the bin that holds `value`: an edge is in the bin below it.
    pub fn bin(&self, value: f64) -> usize {
        self.edges.partition_point(|edge| *edge < value)
    }
}

/// What turns a feature into its standard score, `(x - mean) / deviation`; one of each per feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scaling {
    /// Mean of the training rows.
    pub mean: Vec<f64>,
    /// Standard deviation of the training rows; 1 for a constant feature.
    pub deviation: Vec<f64>,
}

/// A row with the prediction that the trained model gave for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// The row, one number per feature.
    pub input: Vec<f64>,
    /// What the model must answer, bit for bit.
    pub output: GoldenOutput,
}

/// Prediction of one row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GoldenOutput {
    /// Classification.
    Class {
        /// Class index.
        label: usize,
        /// Probability of each class; None if the algorithm has none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        probabilities: Option<Vec<f64>>,
    },
    /// Regression.
    Value(f64),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_algorithms_agrees_with_the_enum_serde_and_the_command_line() {
        let variants = <Algorithm as clap::ValueEnum>::value_variants();
        assert_eq!(variants.len(), Algorithm::ALL.len());
        for (variant, (algorithm, name, tasks)) in variants.iter().zip(Algorithm::ALL) {
            assert_eq!(variant, algorithm);
            assert_eq!(serde_json::to_value(algorithm).unwrap(), *name);
            let value = clap::ValueEnum::to_possible_value(algorithm).unwrap();
            assert_eq!(value.get_name(), *name);
            assert!(!tasks.is_empty());
        }
        for task in [Task::Classification, Task::Regression] {
            assert_eq!(serde_json::to_value(task).unwrap(), task.as_str());
        }
    }
}
