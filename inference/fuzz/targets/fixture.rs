//! What several targets share: models that are served, and what is true of whatever they answer.
// Each target compiles this file anew and uses a part of it.
#![allow(dead_code)]

use contract::config::{Limits, ModelConfig};
use inference::load::{LoadedModel, load};
use inference::model::Batch;
use inference::serve::decode::{Rows, decode};
use inference::serve::error::Error;
use inference::serve::job::{Deadline, Job};
use inference::serve::served::{Current, Served};
use inference::serve::signature::Signature;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// Rows in one request.
pub(crate) const MOST_ROWS: usize = 8;
const LONGEST_ERROR: usize = 1000;

/// Of three features, the second of which may be missing.
pub(crate) static SIGNATURE: LazyLock<Signature> = LazyLock::new(|| {
    let mut manifest = builtin().manifest;
    manifest.features.truncate(3);
    for (feature, name) in manifest.features.iter_mut().zip(["a", "b", "ç"]) {
        feature.name = name.to_owned();
    }
    manifest.features[1].fill = Some(0.5);
    Signature::new(&manifest)
});

/// The built-in model.
static COMPLETE: LazyLock<Arc<Served>> = LazyLock::new(|| served(builtin()));

/// The same, but it can do without its second feature.
static FILLING: LazyLock<Arc<Served>> = LazyLock::new(|| {
    let mut model = builtin();
    model.manifest.features[1].fill = Some(117.0);
    served(model)
});

fn builtin() -> LoadedModel {
    load(&ModelConfig::default()).unwrap()
}

fn served(model: LoadedModel) -> Arc<Served> {
    let limits = Limits {
        max_batch_rows: MOST_ROWS as u32,
        ..Limits::default()
    };
    Arc::new(Served::new(model, limits).unwrap())
}

/// A request to the built-in model.
pub(crate) fn job() -> Job {
    Job::new(
        Current::from(Arc::clone(&COMPLETE)),
        Deadline::after(Duration::MAX),
    )
}

/// A request to the built-in model that can do without its second feature.
pub(crate) fn filling_job() -> Job {
    Job::new(
        Current::from(Arc::clone(&FILLING)),
        Deadline::after(Duration::MAX),
    )
}

/// What is refused is the client's fault, and said in a few words.
pub(crate) fn check_refusal(error: &Error) {
    assert!(error.class().0.is_client_error());
    assert!(error.to_string().len() <= LONGEST_ERROR);
}

/// Rows of [`SIGNATURE`] are complete, finite, as wide as the model and not too many, and the same
/// if they are sent to `/predict` as lists of numbers.
pub(crate) fn check_rows(rows: &Rows) -> Batch {
    let batch = Batch::new(rows.values.clone(), SIGNATURE.width()).unwrap();
    assert!((1..=MOST_ROWS).contains(&batch.rows()));
    assert!(rows.filled.len() <= batch.rows());
    assert!(rows.filled.iter().all(|column| *column == 1));
    let lists: Vec<&[f64]> = batch.iter().collect();
    let (again, _) = decode(&serde_json::to_vec(&lists).unwrap(), &SIGNATURE, MOST_ROWS).unwrap();
    assert_eq!(again.values, rows.values);
    assert!(again.filled.is_empty());
    batch
}
