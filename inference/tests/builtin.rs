//! The model inside the binary.
#![allow(clippy::unwrap_used)] // Clippy does not take helpers outside of #[test] for tests.

mod common;

use contract::config::{Builtin, Limits, ModelConfig};
use flate2::read::GzDecoder;
use inference::artifact::{Algorithm, Report};
use inference::load;
use inference::model::Batch;
use inference::serve::served::Served;
use inference::table::Table;
use inference::train::save;
use serde_json::Value;
use std::io::Read;

#[test]
fn the_builtin_model_is_what_training_gives_today() {
    let table = Table::open(&common::data("diabetes.csv")).unwrap();
    let mut options = common::options("Outcome", Algorithm::LogisticRegression);
    options.name = "diabetes".to_owned();
    options.version = Some(Builtin::Diabetes.version().to_owned());
    let file = common::train(&table, &options).unwrap();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/models/diabetes.json.gz");
        save::write(path.as_ref(), &save::encode(&file, true).unwrap()).unwrap();
        return;
    }
    let mut shipped = String::new();
    GzDecoder::new(load::builtin(Builtin::Diabetes))
        .read_to_string(&mut shipped)
        .unwrap();
    let shipped: Value = serde_json::from_str(&shipped).unwrap();
    let trained: Value = serde_json::from_slice(&common::encode(&file)).unwrap();
    let message = "models/diabetes.json.gz is out of date: run `make gen`";
    assert!(agree(&trained, &shipped), "{message}");
}

/// Equal but for the last digits of numbers: fitting needs `exp`, whose last bit differs between
/// processors with and without fused multiply-add, and between C libraries.
fn agree(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            (a - b).abs() <= 1e-6 * a.abs().max(b.abs())
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| agree(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let pairs = || a.iter().zip(b);
            a.len() == b.len() && pairs().all(|((a, x), (b, y))| a == b && agree(x, y))
        }
        _ => a == b,
    }
}

#[test]
fn the_builtin_model_loads_and_is_any_good() {
    let model = load::load(&ModelConfig::default()).unwrap();
    assert_eq!(model.name, "diabetes");
    assert_eq!(model.version, Builtin::Diabetes.version());
    assert_eq!(model.manifest.classes, ["0", "1"]);
    let Report::Classification(report) = &model.manifest.training.report else {
        panic!("a classifier has another report");
    };
    assert!(report.accuracy > 0.74 && report.roc_auc.unwrap() > 0.8);
}

#[test]
fn a_batch_that_is_split_over_cores_is_answered_as_a_whole() {
    let model = load::load(&ModelConfig::default()).unwrap();
    let whole = load::load(&ModelConfig::default()).unwrap().model;
    let served = Served::new(model, Limits::default()).unwrap();
    let values = (0..400_000).map(|at| f64::from(at % 977) / 7.0).collect();
    let batch = Batch::new(values, 8).unwrap();
    assert_eq!(served.predict(&batch), whole.predict(&batch));
}
