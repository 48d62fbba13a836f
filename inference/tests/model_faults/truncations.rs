//! Files that end too early.

use crate::judge::load;
use crate::models::{Sample, sample, samples};
use contract::labels::LoadFailure;
use inference::artifact::{Algorithm, Task};

/// Lengths at which each sample is cut but for the one that is cut everywhere.
const CUTS: usize = 100;

fn cut(bytes: &[u8], step: usize) {
    for length in (0..bytes.len()).step_by(step) {
        let error = load(&bytes[..length]).unwrap_err();
        assert_eq!(
            error.reason,
            LoadFailure::Corrupt,
            "{length} bytes: {error}"
        );
    }
}

/// The file without the end of its line, which it does not need.
fn text(sample: &Sample) -> &[u8] {
    sample.plain.trim_ascii_end()
}

#[test]
fn every_truncation_is_corrupt() {
    let tree = sample(Task::Classification, Algorithm::DecisionTree);
    cut(text(tree), 1);
    cut(&tree.packed, 1);
}

#[test]
fn truncations_of_every_model_are_corrupt() {
    for sample in samples() {
        for bytes in [text(sample), &sample.packed] {
            cut(bytes, bytes.len() / CUTS);
        }
    }
}
