//! The body of an inference request, its tensors' data still unread.

use crate::serve::error::{Echo, Error};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::hash::{BuildHasher as _, RandomState};
use std::time::SystemTime;

/// Longest `id` that is echoed, in bytes.
const LONGEST_ID: usize = 128;

/// Fields that are not listed, `parameters` among them, are allowed and ignored.
#[derive(Debug, Deserialize)]
pub(super) struct InferRequest<'a> {
    #[serde(borrow, default)]
    pub id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub inputs: Vec<Tensor<'a>>,
    #[serde(borrow, default)]
    pub outputs: Option<Vec<Requested<'a>>>,
}

/// One input.
#[derive(Debug, Deserialize)]
pub(super) struct Tensor<'a> {
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    pub shape: Vec<i64>,
    #[serde(borrow)]
    pub datatype: Cow<'a, str>,
    #[serde(borrow)]
    pub data: &'a RawValue,
}

/// One output that the client wants.
#[derive(Debug, Deserialize)]
pub(super) struct Requested<'a> {
    #[serde(borrow)]
    pub name: Cow<'a, str>,
}

/// Reads all but the tensors' data.
pub(super) fn decode(body: &[u8]) -> Result<InferRequest<'_>, Error> {
    let request: InferRequest<'_> =
        serde_json::from_slice(body).map_err(|error| explain(&error))?;
    match &request.id {
        Some(id) if id.len() > LONGEST_ID => {
            let message = format!("id {} has more than {LONGEST_ID} bytes", Echo(id));
            Err(Error::Invalid(message))
        }
        _ => Ok(request),
    }
}

/// What the parser says, without a long piece of the request that it may quote.
pub(super) fn explain(error: &serde_json::Error) -> Error {
    let mut message = error.to_string();
    if !error.is_data() {
        return Error::Json(message);
    }
    message.truncate(message.floor_char_boundary(LONGEST_ID));
    Error::Invalid(message)
}

/// An id for a request that came without.
pub(super) fn new_id<'a>() -> Cow<'a, str> {
    // RandomState is seeded by the operating system.
    let random = RandomState::new().hash_one(SystemTime::now());
    format!("{random:016x}").into()
}
