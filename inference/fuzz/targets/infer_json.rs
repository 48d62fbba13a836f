//! JSON of the Open Inference Protocol: every output of an answer has as many values as its shape
//! says; what is refused is the client's fault.
#![cfg_attr(fuzzing, no_main)]

use contract::config::{Limits, ModelConfig};
use inference::load::load;
use inference::serve::job::{Deadline, Job};
use inference::serve::open_inference::{Body, Framing, answer};
use inference::serve::served::Served;
use serde_json::Value;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));

const MOST_ROWS: u32 = 8;
const LONGEST_ERROR: usize = 1000;

/// The built-in model; it can do without its second feature.
static SERVED: LazyLock<Arc<Served>> = LazyLock::new(|| {
    let mut model = load(&ModelConfig::default()).unwrap();
    model.manifest.features[1].fill = Some(117.0);
    let limits = Limits {
        max_batch_rows: MOST_ROWS,
        ..Limits::default()
    };
    Arc::new(Served::new(model, limits).unwrap())
});

fn job() -> Job {
    Job::new(Arc::clone(&SERVED), Deadline::after(Duration::MAX))
}

pub(crate) fn run(data: &[u8]) {
    match answer(&job(), Framing::Json, data) {
        Ok(body) => check(&body),
        Err(error) => {
            assert!(error.class().0.is_client_error());
            assert!(error.to_string().len() <= LONGEST_ERROR);
        }
    }
}

fn check(body: &Body) {
    let (json, mut bytes) = body.bytes.split_at(body.json.unwrap_or(body.bytes.len()));
    let answer: Value = serde_json::from_slice(json).unwrap();
    for output in answer["outputs"].as_array().unwrap() {
        let shape = output["shape"].as_array().unwrap();
        let sizes = shape.iter().map(|size| size.as_u64().unwrap() as usize);
        let count: usize = sizes.product();
        assert!((1..=2 * MOST_ROWS as usize).contains(&count));
        match output["parameters"]["binary_data_size"].as_u64() {
            None => assert_eq!(output["data"].as_array().unwrap().len(), count),
            Some(size) => bytes = bytes.split_at(size as usize).1,
        }
    }
    assert!(bytes.is_empty());
}
