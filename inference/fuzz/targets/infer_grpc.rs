//! Messages of the Open Inference Protocol: every output of an answer has as many values as its
//! shape says, and is raw if the request is; what is refused is the client's fault.
#![cfg_attr(fuzzing, no_main)]

use contract::config::{Limits, ModelConfig};
use inference::load::load;
use inference::serve::grpc::answer;
use inference::serve::grpc::proto::{InferTensorContents, ModelInferRequest, ModelInferResponse};
use inference::serve::job::{Deadline, Job};
use inference::serve::served::Served;
use prost::Message as _;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));

const LONGEST_ERROR: usize = 1000;

/// The built-in model; it can do without its second feature.
static SERVED: LazyLock<Arc<Served>> = LazyLock::new(|| {
    let mut model = load(&ModelConfig::default()).unwrap();
    model.manifest.features[1].fill = Some(117.0);
    let limits = Limits {
        max_batch_rows: 8,
        ..Limits::default()
    };
    Arc::new(Served::new(model, limits).unwrap())
});

fn job() -> Job {
    Job::new(Arc::clone(&SERVED), Deadline::after(Duration::MAX))
}

pub(crate) fn run(data: &[u8]) {
    match answer(&job(), data) {
        Ok(message) => check(data, &message),
        Err(error) => {
            assert!(error.class().0.is_client_error());
            assert!(error.to_string().len() <= LONGEST_ERROR);
        }
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
