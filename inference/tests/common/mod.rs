//! What the tests of training and loading share.
// Each test binary compiles this file anew and uses a part of it; it holds no tests itself, so
// that clippy does not see that unwrapping is fine.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use contract::config::ModelConfig;
use inference::artifact::{Algorithm, ModelFile, Task};
use inference::load::{self, LoadError, LoadedModel};
use inference::table::Table;
use inference::train::{self, Options, TrainError, save};
use std::path::PathBuf;

pub fn data(name: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.join("../examples/data").join(name)
}

/// File, target and task of the examples.
pub const EXAMPLES: [(&str, &str, Task); 3] = [
    ("diabetes.csv", "Outcome", Task::Classification),
    ("wine.csv", "target", Task::Classification),
    ("diabetes-progression.csv", "target", Task::Regression),
];

pub fn options(target: &str, algorithm: Algorithm) -> Options {
    Options {
        target: target.to_owned(),
        algorithm,
        task: None,
        name: "test".to_owned(),
        version: None,
        seed: 42,
        test_share: 0.2,
        impute_missing: false,
        parameters: Vec::new(),
    }
}

pub fn train(table: &Table, options: &Options) -> Result<ModelFile, TrainError> {
    train::train(table, options, |_| ())
}

pub fn train_example(index: usize, algorithm: Algorithm) -> ModelFile {
    let (file, target, _) = EXAMPLES[index];
    let table = Table::open(&data(file)).unwrap();
    train(&table, &options(target, algorithm)).unwrap()
}

pub fn encode(file: &ModelFile) -> Vec<u8> {
    save::encode(file, false).unwrap()
}

pub fn load_bytes(bytes: &[u8]) -> Result<LoadedModel, LoadError> {
    load::from_bytes(bytes, &ModelConfig::default())
}
