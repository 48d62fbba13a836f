//! What must hold for every file.

use crate::AT_ONCE;
use crate::common::load_bytes;
use inference::artifact::{GoldenOutput, ModelFile};
use inference::load::{LoadError, LoadedModel};
use inference::model::{Batch, Predictions};
use std::time::Instant;

/// How far a number that needs `exp` may be off, relative to its size.
const TOLERANCE: f64 = 1e-9;
const RANDOM_ROWS: usize = 300;
const LONGEST_MESSAGE: usize = 1001;

/// Loads a plain file; a refusal comes in time, a model does what it says.
pub(crate) fn judge(json: &[u8], random: &mut fastrand::Rng) -> Result<LoadedModel, LoadError> {
    let model = load(json)?;
    let file: ModelFile = serde_json::from_slice(json).unwrap();
    for golden in &file.golden {
        let batch = Batch::new(golden.input.clone(), golden.input.len()).unwrap();
        let found = GoldenOutput::of(model.model.predict(&batch)).unwrap();
        assert!(
            agree(&found, &golden.output),
            "{found:?}, {:?}",
            golden.output
        );
    }
    predict_random_rows(&model, random);
    Ok(model)
}

/// Loads any file; a refusal comes in time and is one line that a person can read.
pub(crate) fn load(bytes: &[u8]) -> Result<LoadedModel, LoadError> {
    let begin = Instant::now();
    let loaded = load_bytes(bytes);
    assert!(begin.elapsed() < AT_ONCE, "{:?}", begin.elapsed());
    if let Err(error) = &loaded {
        let length = error.message.chars().count();
        assert!((1..=LONGEST_MESSAGE).contains(&length), "{length}");
        assert!(!error.message.contains(char::is_control), "{error}");
    }
    loaded
}

fn agree(found: &GoldenOutput, recorded: &GoldenOutput) -> bool {
    let close = |a: &f64, b: &f64| (a - b).abs() <= TOLERANCE * a.abs().max(b.abs());
    match (found, recorded) {
        (GoldenOutput::Value(a), GoldenOutput::Value(b)) => close(a, b),
        (
            GoldenOutput::Class {
                label: a,
                probabilities: shares,
            },
            GoldenOutput::Class {
                label: b,
                probabilities: recorded,
            },
        ) => {
            let shares = shares.iter().flatten();
            a == b
                && shares
                    .zip(recorded.iter().flatten())
                    .all(|(a, b)| close(a, b))
        }
        _ => false,
    }
}

/// Predicts rows from near and far, together and alone.
fn predict_random_rows(model: &LoadedModel, random: &mut fastrand::Rng) {
    let columns = model.manifest.features.len();
    let values = (0..RANDOM_ROWS * columns).map(|_| number(random));
    let batch = Batch::new(values.collect(), columns).unwrap();
    check(model, &model.model.predict(&batch), RANDOM_ROWS);
    for row in batch.iter().take(10) {
        let alone = Batch::new(row.to_vec(), columns).unwrap();
        check(model, &model.model.predict(&alone), 1);
    }
}

fn number(random: &mut fastrand::Rng) -> f64 {
    match random.u8(..8) {
        0 => 0.0,
        1 => f64::MAX,
        2 => f64::MIN,
        3 => f64::MIN_POSITIVE,
        4 => (random.f64() - 0.5) * 1e30,
        _ => (random.f64() - 0.5) * 30.0,
    }
}

fn check(model: &LoadedModel, predictions: &Predictions, rows: usize) {
    let classes = model.manifest.classes.len();
    assert_eq!(predictions.rows(), rows);
    match predictions {
        Predictions::Values(_) => assert_eq!(classes, 0),
        Predictions::Classes {
            labels,
            probabilities,
        } => {
            assert!(labels.iter().all(|label| *label < classes));
            let shares = probabilities.as_ref().map(Vec::len);
            assert!(shares.is_none_or(|shares| shares == rows * classes));
        }
    }
}
