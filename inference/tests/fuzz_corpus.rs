//! The fuzz targets on their corpora: what once failed, and inputs that lead to every corner that
//! fuzzing got to. `make fuzz` looks for more.
// Clippy does not take targets for tests.
#![allow(clippy::unwrap_used)]

#[path = "../fuzz/targets"]
mod targets {
    pub(crate) mod config;
    pub(crate) mod csv;
    pub(crate) mod estimator;
    mod fixture;
    pub(crate) mod infer_binary;
    pub(crate) mod infer_grpc;
    pub(crate) mod infer_json;
    pub(crate) mod inflate;
    pub(crate) mod invocations_csv;
    pub(crate) mod invocations_json;
    pub(crate) mod model_file;
    pub(crate) mod predict_json;
}

use rstest::rstest;
use std::path::Path;
use targets::*;

#[rstest]
#[case("config", config::run)]
#[case("csv", csv::run)]
#[case("estimator", estimator::run)]
#[case("infer_binary", infer_binary::run)]
#[case("infer_grpc", infer_grpc::run)]
#[case("infer_json", infer_json::run)]
#[case("inflate", inflate::run)]
#[case("invocations_csv", invocations_csv::run)]
#[case("invocations_json", invocations_json::run)]
#[case("model_file", model_file::run)]
#[case("predict_json", predict_json::run)]
fn a_target_holds_on_its_corpus(#[case] target: &str, #[case] run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut files = 0;
    for file in std::fs::read_dir(folder.join(target)).unwrap() {
        let path = file.unwrap().path();
        println!("{}", path.display()); // Shown if the target panics.
        run(&std::fs::read(path).unwrap());
        files += 1;
    }
    assert!(files > 0);
}
