//! CSV of MLflow's `/invocations`: accepted rows are complete, finite and as wide as the model, and
//! the same if they are sent to `/predict`; what is refused is the client's fault.
#![cfg_attr(fuzzing, no_main)]

use contract::config::ModelConfig;
use inference::load::load;
use inference::model::Batch;
use inference::serve::decode::{Rows, csv, decode};
use inference::serve::error::Error;
use inference::serve::signature::Signature;
use std::sync::LazyLock;

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));

const MOST_ROWS: usize = 8;
const LONGEST_ERROR: usize = 1000;

/// Of three features, the second of which may be missing.
static SIGNATURE: LazyLock<Signature> = LazyLock::new(|| {
    let mut manifest = load(&ModelConfig::default()).unwrap().manifest;
    manifest.features.truncate(3);
    for (feature, name) in manifest.features.iter_mut().zip(["a", "b", "ç"]) {
        feature.name = name.to_owned();
    }
    manifest.features[1].fill = Some(0.5);
    Signature::new(&manifest)
});

pub(crate) fn run(data: &[u8]) {
    match csv::decode(data, &SIGNATURE, MOST_ROWS) {
        Ok(rows) => check(&rows),
        Err(error) => check_refusal(&error),
    }
}

fn check(rows: &Rows) {
    let batch = Batch::new(rows.values.clone(), SIGNATURE.width()).unwrap();
    assert!((1..=MOST_ROWS).contains(&batch.rows()));
    assert!(rows.filled.len() <= batch.rows());
    assert!(rows.filled.iter().all(|column| *column == 1));
    let lists: Vec<&[f64]> = batch.iter().collect();
    let (again, _) = decode(&serde_json::to_vec(&lists).unwrap(), &SIGNATURE, MOST_ROWS).unwrap();
    assert_eq!(again.values, rows.values);
}

fn check_refusal(error: &Error) {
    assert!(error.class().0.is_client_error());
    assert!(error.to_string().len() <= LONGEST_ERROR);
}
