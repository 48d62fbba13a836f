//! CSV of MLflow's `/invocations`: accepted rows are complete, finite and as wide as the model, and
//! the same if they are sent to `/predict`; what is refused is the client's fault.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
mod fixture;
#[cfg(not(fuzzing))]
use super::fixture;

use fixture::{MOST_ROWS, SIGNATURE, check_refusal, check_rows};
use inference::serve::decode::csv;

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));

pub(crate) fn run(data: &[u8]) {
    match csv::decode(data, &SIGNATURE, MOST_ROWS) {
        Ok(rows) => drop(check_rows(&rows)),
        Err(error) => check_refusal(&error),
    }
}
