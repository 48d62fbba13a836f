//! JSON of `/predict`: accepted rows are complete, finite and as wide as the model, and the same if
//! they are sent as lists of numbers; what is refused is the client's fault.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
mod fixture;
#[cfg(not(fuzzing))]
use super::fixture;

use fixture::{MOST_ROWS, SIGNATURE, check_refusal, check_rows};
use inference::serve::decode::{Form, Rows, decode};

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));

pub(crate) fn run(data: &[u8]) {
    match decode(data, &SIGNATURE, MOST_ROWS) {
        Ok((rows, form)) => check(&rows, form),
        Err(error) => check_refusal(&error),
    }
}

fn check(rows: &Rows, form: Form) {
    let batch = check_rows(rows);
    assert!(form == Form::List || batch.rows() == 1);
}
