//! JSON of the Open Inference Protocol: every output of an answer has as many values as its shape
//! says; what is refused is the client's fault.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
mod fixture;
#[cfg(not(fuzzing))]
use super::fixture;

use fixture::{MOST_ROWS, check_refusal, filling_job};
use inference::serve::open_inference::{Body, Framing, answer};
use serde_json::Value;

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));

pub(crate) fn run(data: &[u8]) {
    match answer(&filling_job(), Framing::Json, data) {
        Ok(body) => check(&body),
        Err(error) => check_refusal(&error),
    }
}

fn check(body: &Body) {
    let (json, mut bytes) = body.bytes.split_at(body.json.unwrap_or(body.bytes.len()));
    let answer: Value = serde_json::from_slice(json).unwrap();
    for output in answer["outputs"].as_array().unwrap() {
        let shape = output["shape"].as_array().unwrap();
        let sizes = shape.iter().map(|size| size.as_u64().unwrap() as usize);
        let count: usize = sizes.product();
        assert!((1..=2 * MOST_ROWS).contains(&count));
        match output["parameters"]["binary_data_size"].as_u64() {
            None => assert_eq!(output["data"].as_array().unwrap().len(), count),
            Some(size) => bytes = bytes.split_at(size as usize).1,
        }
    }
    assert!(bytes.is_empty());
}
