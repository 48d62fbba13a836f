//! Tensors that are bytes: rows of FP64 alone have the outcomes that they have in JSON; what is
//! refused is the client's fault.
//!
//! The first two bytes of an input say how long its JSON is; 0 is the form that has none.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
mod fixture;
#[cfg(not(fuzzing))]
use super::fixture;

use fixture::{check_refusal, job};
use inference::serve::error::Error;
use inference::serve::open_inference::{Body, Framing, answer};
use serde_json::{Value, json};

const WIDTH: usize = 8;

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));

pub(crate) fn run(data: &[u8]) {
    let Some((length, body)) = data.split_first_chunk() else {
        return;
    };
    match usize::from(u16::from_le_bytes(*length)) {
        0 => check_raw(body),
        length => {
            let _ = judged(answer(&job(), Framing::Mixed(length), body));
        }
    }
}

/// A body of nothing but rows of FP64.
fn check_raw(body: &[u8]) {
    let Some(raw) = judged(answer(&job(), Framing::Raw, body)) else {
        return;
    };
    let (values, _) = body.as_chunks();
    let values: Vec<f64> = values.iter().copied().map(f64::from_le_bytes).collect();
    let shape = [values.len() / WIDTH, WIDTH];
    let input = json!({"name": "rows", "datatype": "FP64", "shape": shape, "data": values});
    let request = json!({ "inputs": [input], "outputs": [{ "name": "outcome" }] });
    let written = answer(&job(), Framing::Json, request.to_string().as_bytes()).unwrap();
    let written: Value = serde_json::from_slice(&written.bytes).unwrap();
    let outcomes = written["outputs"][0]["data"].as_array().unwrap();
    let outcomes = outcomes.iter().map(|outcome| outcome.as_i64().unwrap());
    // The outcome is the first output.
    let (bytes, _) = raw.bytes[raw.json.unwrap()..].as_chunks();
    assert!(outcomes.eq(bytes.iter().take(shape[0]).copied().map(i64::from_le_bytes)));
}

fn judged(outcome: Result<Body, Error>) -> Option<Body> {
    outcome.inspect_err(check_refusal).ok()
}
