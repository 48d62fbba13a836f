//! Tensors → rows → predictions → tensors, whatever the wire format.

use super::output::{self, Answer, Wish};
use super::tensor::{self, Tensor};
use crate::serve::error::{Echo, Error};
use crate::serve::job::Job;
use crate::serve::predict::score;
use std::hash::{BuildHasher as _, RandomState};
use std::time::SystemTime;

/// Longest `id` that is echoed, in bytes.
const LONGEST_ID: usize = 128;

/// The answer to one request.
#[derive(Debug)]
pub struct Inference {
    /// That of the request, or a new one.
    pub id: String,
    /// In the order in which they were wanted.
    pub outputs: Vec<Answer>,
}

/// Predicts and counts the rows of `inputs`, and gives what `wishes` name.
///
/// # Errors
/// Whatever is wrong with the request.
pub fn infer(
    served: &Job,
    id: Option<&str>,
    inputs: &[Tensor<'_>],
    wishes: &[Wish<'_>],
) -> Result<Inference, Error> {
    let id = match id {
        Some(id) => check_id(id)?.to_owned(),
        None => new_id(),
    };
    let selected = output::select(served, wishes)?;
    let rows = tensor::rows(inputs, &served.signature, served.max_rows());
    let rows = rows.inspect_err(|error| served.metrics.model.refused(error))?;
    let predictions = score(served, rows)?;
    let time = SystemTime::now();
    let outputs = selected.into_iter();
    let outputs = outputs.map(|output| output.tensor(served, &predictions, time));
    Ok(Inference {
        id,
        outputs: outputs.collect(),
    })
}

fn check_id(id: &str) -> Result<&str, Error> {
    match id.len() > LONGEST_ID {
        false => Ok(id),
        true => {
            let message = format!("id {} has more than {LONGEST_ID} bytes", Echo(id));
            Err(Error::Invalid(message))
        }
    }
}

/// An id for a request that came without.
fn new_id() -> String {
    // RandomState is seeded by the operating system.
    let random = RandomState::new().hash_one(SystemTime::now());
    format!("{random:016x}")
}
