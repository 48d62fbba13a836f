//! A model file: what loads predicts any row, and says the same when it is saved and loaded again.
#![cfg_attr(fuzzing, no_main)]

use contract::config::ModelConfig;
use inference::artifact::ModelFile;
use inference::load::{LoadedModel, from_bytes};
use inference::model::Batch;
use inference::train::save::encode;

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));

pub(crate) fn run(data: &[u8]) {
    let config = ModelConfig::default();
    let model = match from_bytes(data, &config) {
        Ok(model) => model,
        Err(error) => return assert!(error.message.chars().count() <= 1001),
    };
    let said = predictions(&model);
    // What a packed file holds is not at hand here.
    let Ok(file) = serde_json::from_slice::<ModelFile>(data) else {
        return;
    };
    for gzip in [false, true] {
        let saved = encode(&file, gzip).unwrap();
        let again = from_bytes(&saved, &config).unwrap();
        assert_eq!(again.manifest, model.manifest);
        assert_eq!(predictions(&again), said);
    }
}

/// Of rows from near and far, as text: NaN is then equal to itself.
fn predictions(model: &LoadedModel) -> String {
    let columns = model.manifest.features.len();
    let rows = [0.0, 1.0, -1.0, 1e30, f64::MAX, f64::MIN].map(|value| vec![value; columns]);
    let batch = Batch::new(rows.concat(), columns).unwrap();
    let predictions = model.model.predict(&batch);
    assert_eq!(predictions.rows(), rows.len());
    format!("{predictions:?}")
}
