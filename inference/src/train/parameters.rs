//! Hyper-parameters: one closed set per estimator, with defaults and bounds in their types.

mod keys;

pub use keys::{Admits, Key, help, of};

use crate::engine::Kernel;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use smartcore::svm::Kernels;
use std::collections::BTreeMap;
use std::num::{NonZeroU16, NonZeroUsize};

/// A hyper-parameter that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ParameterError {
    /// The algorithm has no such key.
    #[error("--param {key}: there is no such hyper-parameter; the algorithm has {known}")]
    Unknown {
        /// The key.
        key: String,
        /// The keys there are.
        known: String,
    },
    /// Of the wrong type or out of bounds.
    #[error("--param {key}={text}: {expected} is expected")]
    Refused {
        /// The key.
        key: String,
        /// The value as given.
        text: String,
        /// What is allowed.
        expected: String,
    },
    /// One key twice.
    #[error("--param {key} is given twice")]
    Twice {
        /// The key.
        key: String,
    },
}

/// A closed set of hyper-parameters.
pub trait Parameters: DeserializeOwned + Serialize + Default + Copy {
    /// Its members, in the order of declaration.
    fn keys() -> Vec<Key>;
}

/// Reads `given` pairs of key and value; what is not given keeps its default.
///
/// # Errors
/// [`ParameterError`] for the first pair that `P` does not admit.
pub fn read<P: Parameters>(given: &[(String, String)]) -> Result<P, ParameterError> {
    let keys = P::keys();
    let mut parameters = P::default();
    let mut map = Map::new();
    for (key, text) in given {
        let known = keys.iter().find(|known| known.name == key);
        let known = known.ok_or_else(|| ParameterError::unknown(key, &keys))?;
        let value = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone()));
        if map.insert(key.clone(), value).is_some() {
            return Err(ParameterError::Twice { key: key.clone() });
        }
        let read = serde_json::from_value(Value::Object(map.clone()));
        parameters = read.map_err(|_| ParameterError::Refused {
            key: key.clone(),
            text: text.clone(),
            expected: known.admitted.clone(),
        })?;
    }
    Ok(parameters)
}

impl ParameterError {
    fn unknown(key: &str, known: &[Key]) -> Self {
        let names: Vec<&str> = known.iter().map(|key| key.name).collect();
        let known = match names.as_slice() {
            [] => "none".to_owned(),
            names => names.join(", "),
        };
        let key = key.to_owned();
        Self::Unknown { key, known }
    }
}

/// What the model file says about them.
pub fn record(parameters: &impl Serialize) -> BTreeMap<String, Value> {
    match serde_json::to_value(parameters) {
        Ok(Value::Object(map)) => map.into_iter().collect(),
        _ => BTreeMap::new(),
    }
}

/// A strength or tolerance: above 0, at most `MOST`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Positive<const MOST: u32 = 10_000>(f64);

impl<const MOST: u32> TryFrom<f64> for Positive<MOST> {
    type Error = String;

    fn try_from(value: f64) -> Result<Self, Self::Error> {
        if value > 0.0 && value <= f64::from(MOST) {
            return Ok(Self(value));
        }
        Err(Self::admitted())
    }
}

impl<const MOST: u32> From<Positive<MOST>> for f64 {
    fn from(value: Positive<MOST>) -> Self {
        value.0
    }
}

/// 0 to 1.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Share(f64);

impl TryFrom<f64> for Share {
    type Error = String;

    fn try_from(value: f64) -> Result<Self, Self::Error> {
        let admitted = (0.0..=1.0).contains(&value);
        admitted.then_some(Self(value)).ok_or_else(Self::admitted)
    }
}

impl From<Share> for f64 {
    fn from(value: Share) -> Self {
        value.0
    }
}

/// Declares a closed set of hyper-parameters with their defaults.
macro_rules! parameters {
    ($($(#[$doc:meta])* $name:ident { $(#[doc = $meaning:literal] $field:ident: $type:ty = $default:expr,)* })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name { $(#[doc = $meaning] pub $field: $type,)* }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl Parameters for $name {
            fn keys() -> Vec<Key> {
                vec![$(Key::new::<$type>(stringify!($field), $meaning, $default),)*]
            }
        }
    )+};
}

parameters! {
    /// Of an estimator that has none.
    Nothing {}
    /// Of logistic regression and ridge.
    Penalty {
        /// Strength of the L2 penalty.
        alpha: Positive = Positive(1.0),
    }
    /// Of the lasso.
    Lasso {
        /// Strength of the L1 penalty.
        alpha: Positive = Positive(1.0),
        /// Gap at which the solver stops.
        tolerance: Positive = Positive(1e-4),
        /// Steps after which the solver stops.
        max_iterations: NonZeroU16 = THOUSAND,
    }
    /// Of the elastic net.
    ElasticNet {
        /// Strength of both penalties together.
        alpha: Positive = Positive(1.0),
        /// Share of the L1 penalty.
        l1_ratio: Share = Share(0.5),
        /// Gap at which the solver stops.
        tolerance: Positive = Positive(1e-4),
        /// Steps after which the solver stops.
        max_iterations: NonZeroU16 = THOUSAND,
    }
    /// Of a decision tree.
    Tree {
        /// Levels of the tree, the root included; null for no limit.
        max_depth: Option<NonZeroU16> = None,
        /// Rows that a leaf has at least.
        min_samples_leaf: NonZeroUsize = NonZeroUsize::MIN,
        /// Rows that a node needs to be split.
        min_samples_split: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1),
    }
    /// Of a forest.
    Forest {
        /// Number of trees.
        trees: NonZeroU16 = HUNDRED,
        /// Levels of a tree, the root included; null for no limit.
        max_depth: Option<NonZeroU16> = None,
        /// Rows that a leaf has at least.
        min_samples_leaf: NonZeroUsize = NonZeroUsize::MIN,
        /// Rows that a node needs to be split.
        min_samples_split: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1),
        /// Features looked at for a split; null for the square root of their number.
        max_features: Option<NonZeroUsize> = None,
    }
    /// Of nearest neighbours.
    Knn {
        /// Neighbours asked.
        k: NonZeroU16 = FIVE,
    }
    /// Of the support vector classifier.
    Svc {
        /// Similarity of rows.
        kernel: KernelName = KernelName::Rbf,
        /// Price of a row on the wrong side; smartcore's solver may not end if it is much higher.
        c: Positive<100> = Positive(1.0),
        /// Of the rbf kernel; null for 1 / number of features.
        gamma: Option<Positive> = None,
        /// Gap at which the solver stops.
        tolerance: Positive = Positive(1e-3),
        /// Passes over the rows.
        epochs: NonZeroU16 = TWO,
    }
    /// Of support vector regression.
    Svr {
        /// Similarity of rows.
        kernel: KernelName = KernelName::Rbf,
        /// Price of an error beyond `epsilon`.
        c: Positive = Positive(10.0),
        /// Of the rbf kernel; null for 1 / number of features.
        gamma: Option<Positive> = None,
        /// Gap at which the solver stops.
        tolerance: Positive = Positive(1e-3),
        /// Errors up to this are free, in the target's unit.
        epsilon: Positive = Positive(0.1),
    }
}

const TWO: NonZeroU16 = NonZeroU16::MIN.saturating_add(1);
const FIVE: NonZeroU16 = NonZeroU16::MIN.saturating_add(4);
const HUNDRED: NonZeroU16 = NonZeroU16::MIN.saturating_add(99);
const THOUSAND: NonZeroU16 = NonZeroU16::MIN.saturating_add(999);

/// Kernels by name.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KernelName {
    /// Inner product.
    Linear,
    /// Gaussian.
    Rbf,
}

impl KernelName {
    /// The kernel, for our engine.
    pub fn kernel(self, gamma: Option<Positive>, features: usize) -> Kernel {
        match self {
            Self::Linear => Kernel::Linear,
            Self::Rbf => Kernel::Rbf {
                gamma: gamma.map_or(1.0 / features as f64, f64::from),
            },
        }
    }
}

impl From<Kernel> for Kernels {
    fn from(kernel: Kernel) -> Self {
        match kernel {
            Kernel::Linear => Self::linear(),
            Kernel::Rbf { gamma } => Self::rbf().with_gamma(gamma),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn given(key: &str, value: &str) -> Vec<(String, String)> {
        vec![(key.to_owned(), value.to_owned())]
    }

    #[test]
    fn what_is_not_given_keeps_its_default() {
        let forest: Forest = read(&given("max_depth", "7")).unwrap();
        assert_eq!(forest.max_depth.unwrap().get(), 7);
        assert_eq!(forest.trees.get(), 100);
    }

    #[rstest]
    #[case("trees", "0", "a whole number from 1 to 65535 is expected")]
    #[case("trees", "many", "a whole number from 1 to 65535 is expected")]
    #[case("trees", "70000", "a whole number from 1 to 65535 is expected")]
    #[case(
        "max_depth",
        "0",
        "a whole number from 1 to 65535, or null is expected"
    )]
    #[case("min_samples_leaf", "-1", "a whole number from 1 is expected")]
    fn a_value_that_the_forest_does_not_admit_is_refused_with_those_it_does(
        #[case] key: &str,
        #[case] value: &str,
        #[case] expected: &str,
    ) {
        let error = read::<Forest>(&given(key, value)).unwrap_err().to_string();
        assert_eq!(error, format!("--param {key}={value}: {expected}"));
    }

    #[test]
    fn an_unknown_key_is_refused_with_those_that_the_algorithm_has() {
        let error = read::<Forest>(&given("tree", "7")).unwrap_err().to_string();
        let known = "trees, max_depth, min_samples_leaf, min_samples_split, max_features";
        let problem = "there is no such hyper-parameter; the algorithm has";
        assert_eq!(error, format!("--param tree: {problem} {known}"));
        let error = read::<Nothing>(&given("tree", "7"))
            .unwrap_err()
            .to_string();
        assert_eq!(error, format!("--param tree: {problem} none"));
    }

    #[rstest]
    #[case("alpha", "0", "above 0")]
    #[case("alpha", "-1", "above 0")]
    #[case("alpha", "1e5", "at most 10000")]
    #[case("l1_ratio", "1.5", "from 0 to 1")]
    fn numbers_out_of_bounds_are_refused(
        #[case] key: &str,
        #[case] value: &str,
        #[case] problem: &str,
    ) {
        let error = read::<ElasticNet>(&given(key, value)).unwrap_err();
        assert!(error.to_string().contains(problem), "{error}");
    }

    #[test]
    fn no_key_may_come_twice() {
        let twice = [given("k", "3"), given("k", "4")].concat();
        let error = read::<Knn>(&twice).unwrap_err().to_string();
        assert_eq!(error, "--param k is given twice");
    }
}
