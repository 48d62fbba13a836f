//! Numbers → estimator, by smartcore.
//!
//! smartcore panics, loops or answers wrongly on input that it does not expect, so what it expects
//! is checked first; a panic that is left becomes an error.

mod checks;
mod guard;
mod svm;
mod trees;

use super::data::{Data, Target};
use super::parameters::{self, ParameterError, Parameters};
use crate::artifact::{Algorithm, Scaling, Task};
use crate::engine::Matrix;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use smartcore::algorithm::neighbour::KNNAlgorithmName;
use smartcore::ensemble::extra_trees_regressor::ExtraTreesRegressor;
use smartcore::ensemble::random_forest_classifier::RandomForestClassifier;
use smartcore::ensemble::random_forest_regressor::RandomForestRegressor;
use smartcore::error::Failed;
use smartcore::linear::elastic_net::{ElasticNet, ElasticNetParameters};
use smartcore::linear::lasso::{Lasso, LassoParameters};
use smartcore::linear::linear_regression::{LinearRegression, LinearRegressionParameters};
use smartcore::linear::logistic_regression::{LogisticRegression, LogisticRegressionParameters};
use smartcore::linear::ridge_regression::{RidgeRegression, RidgeRegressionParameters};
use smartcore::naive_bayes::gaussian::{GaussianNB, GaussianNBParameters};
use smartcore::neighbors::knn_classifier::{KNNClassifier, KNNClassifierParameters};
use smartcore::neighbors::knn_regressor::{KNNRegressor, KNNRegressorParameters};
use smartcore::tree::decision_tree_classifier::DecisionTreeClassifier;
use smartcore::tree::decision_tree_regressor::DecisionTreeRegressor;
use std::collections::BTreeMap;

/// Why no estimator could be fitted.
#[derive(Debug, thiserror::Error)]
pub enum FitError {
    /// No such estimator.
    #[error("{algorithm} does not exist for {task}; for {task} there are: {others}")]
    NoSuchEstimator {
        /// The algorithm asked for.
        algorithm: Algorithm,
        /// The task of the data.
        task: Task,
        /// What there is instead.
        others: String,
    },
    /// A hyper-parameter.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// Data that the algorithm cannot work on.
    #[error("{algorithm} cannot be fitted: {problem}")]
    Data {
        /// The algorithm.
        algorithm: Algorithm,
        /// What is in the way.
        problem: String,
    },
    /// smartcore's own refusal, or a panic inside it.
    #[error("fitting failed: {0}")]
    Failed(String),
    /// The estimator cannot be written.
    #[error("failed to write the estimator")]
    Write(#[from] serde_json::Error),
}

impl From<Failed> for FitError {
    fn from(error: Failed) -> Self {
        Self::Failed(error.to_string())
    }
}

/// A fitted estimator, as the model file carries it.
#[derive(Debug)]
pub struct Fitted {
    /// What standardises a row before the estimator sees it.
    pub scaling: Option<Scaling>,
    /// The estimator.
    pub estimator: Box<RawValue>,
    /// Hyper-parameters, defaults included.
    pub parameters: BTreeMap<String, serde_json::Value>,
}

/// Fits `algorithm` to `data` with the `given` hyper-parameters. The same seed gives the same
/// estimator.
///
/// # Errors
/// [`FitError`]; never a panic.
pub fn fit(
    algorithm: Algorithm,
    data: &Data,
    given: &[(String, String)],
    seed: u64,
) -> Result<Fitted, FitError> {
    checks::check(algorithm, data)?;
    let features = data.features.len();
    let scaling = standardised(algorithm).then(|| Scaling::fit(&data.values, features));
    let values = match &scaling {
        None => data.values.clone(),
        Some(scaling) => scaling.apply(&data.values),
    };
    let problem = Problem {
        x: Matrix::new(values.len() / features, features, values, false)?,
        given,
        seed,
    };
    let (estimator, parameters) = guard::without_panic(|| match &data.target {
        Target::Classes { labels, names } => problem.classifier(algorithm, labels, names.len()),
        Target::Values(y) => problem.regressor(algorithm, y),
    })?;
    Ok(Fitted {
        scaling,
        estimator,
        parameters,
    })
}

/// Whether features are compared with each other, so that their units must not matter.
fn standardised(algorithm: Algorithm) -> bool {
    use Algorithm::{Knn, LogisticRegression, Svm};
    matches!(algorithm, LogisticRegression | Knn | Svm)
}

type Saved = (Box<RawValue>, BTreeMap<String, serde_json::Value>);

struct Problem<'a> {
    x: Matrix,
    given: &'a [(String, String)],
    seed: u64,
}

impl Problem<'_> {
    fn classifier(
        &self,
        algorithm: Algorithm,
        y: &Vec<u32>,
        classes: usize,
    ) -> Result<Saved, FitError> {
        use Algorithm as A;
        let x = &self.x;
        match algorithm {
            A::LogisticRegression => self.save(|p: parameters::Penalty| {
                let smartcore = LogisticRegressionParameters::default();
                LogisticRegression::fit(x, y, smartcore.with_alpha(p.alpha.into()))
            }),
            A::DecisionTree => self.save(|p: parameters::Tree| {
                DecisionTreeClassifier::fit(x, y, p.classifier(self.seed))
            }),
            A::RandomForest => self.save(|p: parameters::Forest| {
                RandomForestClassifier::fit(x, y, p.classifier(self.seed))
            }),
            A::Knn => self.save(|p: parameters::Knn| {
                let smartcore = KNNClassifierParameters::default().with_k(p.k.get().into());
                let smartcore = smartcore.with_algorithm(KNNAlgorithmName::LinearSearch);
                KNNClassifier::fit(x, y, smartcore)
            }),
            A::GaussianNb => self.save(|_: parameters::Nothing| {
                GaussianNB::fit(x, y, GaussianNBParameters::default())
            }),
            A::Svm => self.save(|p: parameters::Svc| svm::classifier(x, y, classes, p, self.seed)),
            _ => Err(FitError::no_such(algorithm, Task::Classification)),
        }
    }

    fn regressor(&self, algorithm: Algorithm, y: &Vec<f64>) -> Result<Saved, FitError> {
        use Algorithm as A;
        let x = &self.x;
        match algorithm {
            A::LinearRegression => self.save(|_: parameters::Nothing| {
                LinearRegression::fit(x, y, LinearRegressionParameters::default())
            }),
            A::Ridge => self.save(|p: parameters::Penalty| {
                let smartcore = RidgeRegressionParameters::default();
                RidgeRegression::fit(x, y, smartcore.with_alpha(p.alpha.into()))
            }),
            A::Lasso => self.save(|p| Lasso::fit(x, y, lasso(p))),
            A::ElasticNet => self.save(|p| ElasticNet::fit(x, y, elastic_net(p))),
            A::DecisionTree => self.save(|p: parameters::Tree| {
                DecisionTreeRegressor::fit(x, y, p.regressor(self.seed))
            }),
            A::RandomForest => self.save(|p: parameters::Forest| {
                RandomForestRegressor::fit(x, y, p.regressor(self.seed))
            }),
            A::ExtraTrees => self.save(|p: parameters::Forest| {
                ExtraTreesRegressor::fit(x, y, p.extra_trees(self.seed))
            }),
            A::Knn => self.save(|p: parameters::Knn| {
                let smartcore = KNNRegressorParameters::default().with_k(p.k.get().into());
                let smartcore = smartcore.with_algorithm(KNNAlgorithmName::LinearSearch);
                KNNRegressor::fit(x, y, smartcore)
            }),
            A::Svm => self.save(|p: parameters::Svr| svm::regressor(x, y, p)),
            _ => Err(FitError::no_such(algorithm, Task::Regression)),
        }
    }

    /// Reads the hyper-parameters, fits, and writes both down.
    fn save<P, E, F>(&self, fit: impl FnOnce(P) -> Result<E, F>) -> Result<Saved, FitError>
    where
        P: Parameters,
        E: Serialize,
        FitError: From<F>,
    {
        let parameters: P = parameters::read(self.given)?;
        let estimator = fit(parameters)?;
        Ok((to_raw_value(&estimator)?, parameters::record(&parameters)))
    }
}

fn lasso(p: parameters::Lasso) -> LassoParameters {
    LassoParameters::default()
        .with_alpha(p.alpha.into())
        .with_tol(p.tolerance.into())
        .with_max_iter(p.max_iterations.get().into())
}

fn elastic_net(p: parameters::ElasticNet) -> ElasticNetParameters {
    ElasticNetParameters::default()
        .with_alpha(p.alpha.into())
        .with_l1_ratio(p.l1_ratio.into())
        .with_tol(p.tolerance.into())
        .with_max_iter(p.max_iterations.get().into())
}

impl FitError {
    fn no_such(algorithm: Algorithm, task: Task) -> Self {
        let others = Algorithm::ALL.iter();
        let others = others.filter(|(_, _, tasks)| tasks.contains(&task));
        let others: Vec<&str> = others.map(|(_, name, _)| *name).collect();
        Self::NoSuchEstimator {
            algorithm,
            task,
            others: others.join(", "),
        }
    }
}
