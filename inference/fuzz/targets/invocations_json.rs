//! JSON of MLflow's `/invocations` and of KServe v1: accepted rows are complete, finite and as wide
//! as the model, and the same if they are sent to `/predict` or as CSV; what is refused is the
//! client's fault.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
mod fixture;
#[cfg(not(fuzzing))]
use super::fixture;

use fixture::{MOST_ROWS, SIGNATURE, check_refusal, check_rows};
use inference::model::Batch;
use inference::serve::decode::{Rows, csv, fields};
use inference::serve::error::Error;
use inference::serve::{kserve_v1, mlflow};

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));

pub(crate) fn run(data: &[u8]) {
    check(mlflow::read_json(data, &SIGNATURE, MOST_ROWS));
    let rows = fields::decode(data, &kserve_v1::BODY, &SIGNATURE, MOST_ROWS);
    check(rows.map(|(rows, _)| rows));
}

fn check(rows: Result<Rows, Error>) {
    match rows {
        Ok(rows) => check_table(&check_rows(&rows)),
        Err(error) => check_refusal(&error),
    }
}

/// The same rows as CSV.
fn check_table(batch: &Batch) {
    let line = |row: &[f64]| format!("{:?},{:?},{:?}\n", row[0], row[1], row[2]);
    let table = "a,b,ç\n".to_owned() + &batch.iter().map(line).collect::<String>();
    let again = csv::decode(table.as_bytes(), &SIGNATURE, MOST_ROWS).unwrap();
    assert_eq!(again.values, batch.values());
}
