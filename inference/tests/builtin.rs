//! The model inside the binary.

mod common;

use contract::config::{Builtin, ModelConfig};
use inference::artifact::{Algorithm, Report};
use inference::load;
use inference::table::Table;
use inference::train::save;

#[test]
fn the_builtin_model_is_what_training_gives_today() {
    let table = Table::open(&common::data("diabetes.csv")).unwrap();
    let mut options = common::options("Outcome", Algorithm::LogisticRegression);
    options.name = "diabetes".to_owned();
    options.version = Some(Builtin::Diabetes.version().to_owned());
    let bytes = save::encode(&common::train(&table, &options).unwrap(), true).unwrap();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/models/diabetes.json.gz");
        save::write(path.as_ref(), &bytes).unwrap();
        return;
    }
    let same = bytes == load::builtin(Builtin::Diabetes);
    assert!(
        same,
        "models/diabetes.json.gz is out of date: run `make gen`"
    );
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
