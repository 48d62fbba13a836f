//! Golden rows predicted again: a model that answers otherwise than it did at training is refused.

use super::LoadError;
use crate::artifact::{Algorithm, Golden, GoldenOutput, ModelFile};
use crate::model::{Batch, Model};
use contract::labels::LoadFailure;

/// How far a number may be off, relative to its size. The arithmetic of most engines gives the same
/// bits everywhere, but `exp` is the C library's, and its last bit differs between libraries and
/// processors: a model trained on one must load on the other.
const fn tolerance(algorithm: Algorithm) -> f64 {
    match algorithm {
        Algorithm::LogisticRegression | Algorithm::GaussianNb | Algorithm::Svm => 1e-9,
        Algorithm::LinearRegression
        | Algorithm::Ridge
        | Algorithm::Lasso
        | Algorithm::ElasticNet
        | Algorithm::DecisionTree
        | Algorithm::RandomForest
        | Algorithm::ExtraTrees
        | Algorithm::Knn => 0.0,
    }
}

/// # Errors
/// [`LoadFailure::SelfTestFailed`] naming the first row that differs.
pub(super) fn run(file: &ModelFile, model: &dyn Model) -> Result<(), LoadError> {
    let tolerance = tolerance(file.manifest.algorithm);
    let mut rows = file.golden.iter().enumerate();
    rows.try_for_each(|(row, golden)| check(row, golden, model, tolerance))
}

fn check(row: usize, golden: &Golden, model: &dyn Model, tolerance: f64) -> Result<(), LoadError> {
    let batch = Batch::new(golden.input.clone(), golden.input.len())
        .map_err(|error| LoadError::corrupt(format!("golden row {row}: {error}")))?;
    let found = GoldenOutput::of(model.predict(&batch));
    match found {
        Some(found) if agree(&found, &golden.output, tolerance) => Ok(()),
        found => Err(LoadError::new(
            LoadFailure::SelfTestFailed,
            format!(
                "golden row {row}: the model predicts {found:?}, recorded is {:?}",
                golden.output
            ),
        )),
    }
}

fn agree(found: &GoldenOutput, recorded: &GoldenOutput, tolerance: f64) -> bool {
    use GoldenOutput::{Class, Value};
    let same = |a: &f64, b: &f64| close(*a, *b, tolerance);
    match (found, recorded) {
        (Value(found), Value(recorded)) => same(found, recorded),
        (
            Class {
                label: found,
                probabilities: None,
            },
            Class {
                label: recorded,
                probabilities: None,
            },
        ) => found == recorded,
        (
            Class {
                label: found,
                probabilities: Some(shares),
            },
            Class {
                label: recorded,
                probabilities: Some(expected),
            },
        ) => found == recorded && shares.iter().zip(expected).all(|(a, b)| same(a, b)),
        _ => false,
    }
}

/// Bit for bit, or both finite and within the tolerance; NaN is never equal.
fn close(found: f64, recorded: f64, tolerance: f64) -> bool {
    if !(found.is_finite() && recorded.is_finite()) {
        return false;
    }
    let size = found.abs().max(recorded.abs());
    found.to_bits() == recorded.to_bits() || (found - recorded).abs() < tolerance * size
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(1.0, 1.0, 0.0, true)]
    #[case(1.0, 1.0 + f64::EPSILON, 0.0, false)]
    #[case(1.0, 1.0 + f64::EPSILON, 1e-9, true)]
    #[case(1.0, 1.1, 1e-9, false)]
    #[case(0.0, -0.0, 0.0, false)]
    #[case(f64::NAN, f64::NAN, 1e-9, false)]
    #[case(f64::INFINITY, f64::INFINITY, 1e-9, false)]
    fn numbers_agree_bit_for_bit_or_within_the_tolerance(
        #[case] found: f64,
        #[case] recorded: f64,
        #[case] tolerance: f64,
        #[case] agree: bool,
    ) {
        assert_eq!(close(found, recorded, tolerance), agree);
    }
}
