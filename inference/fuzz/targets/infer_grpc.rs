//! Messages of the Open Inference Protocol: every output of an answer has as many values as its
//! shape says, and is raw if the request is; what is refused is the client's fault.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
mod fixture;
#[cfg(not(fuzzing))]
use super::fixture;

use fixture::{check_refusal, filling_job};
use inference::serve::grpc::answer;
use inference::serve::grpc::proto::{InferTensorContents, ModelInferRequest, ModelInferResponse};
use prost::Message as _;

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));

pub(crate) fn run(data: &[u8]) {
    match answer(&filling_job(), data) {
        Ok(message) => check(data, &message),
        Err(error) => check_refusal(&error),
    }
}

fn check(request: &[u8], answer: &[u8]) {
    let request = ModelInferRequest::decode(request).unwrap();
    let answer = ModelInferResponse::decode(answer).unwrap();
    let raw = !request.raw_input_contents.is_empty();
    let pieces = if raw { answer.outputs.len() } else { 0 };
    assert_eq!(answer.raw_output_contents.len(), pieces);
    for output in &answer.outputs {
        assert_eq!(output.contents.is_none(), raw);
        let count = output.shape.iter().product::<i64>() as usize;
        assert!(
            raw || output
                .contents
                .as_ref()
                .is_some_and(|all| values(all) == count)
        );
    }
}

fn values(contents: &InferTensorContents) -> usize {
    contents.int64_contents.len() + contents.fp64_contents.len() + contents.bytes_contents.len()
}
