//! The body of an inference request over REST: JSON, and after it the tensors that are bytes.

use super::binary::Pieces;
use super::output::Wish;
use super::parameters::{self, BINARY_DATA_SIZE, Parameters};
use super::tensor::{Data, Tensor};
use crate::capped::Capped;
use crate::object::{self, Object};
use crate::serve::error::{Echo, Error};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Longest piece of a parser's message that is answered with, in bytes.
const LONGEST_MESSAGE: usize = 128;

/// Inputs of one request, and outputs: more than a model has features.
const MOST_TENSORS: usize = 4096;
/// Dimensions of a tensor.
const MOST_DIMENSIONS: usize = 16;

/// The JSON, its tensors' data still unread. Fields that are not listed are allowed and ignored.
#[derive(Debug, Deserialize)]
pub(super) struct InferRequest<'a> {
    #[serde(borrow, default)]
    pub id: Option<Cow<'a, str>>,
    #[serde(default)]
    pub parameters: Option<Parameters>,
    #[serde(borrow)]
    inputs: Capped<Object<Input<'a>>, MOST_TENSORS>,
    #[serde(borrow, default)]
    outputs: Option<Capped<Object<Requested<'a>>, MOST_TENSORS>>,
}

/// One input.
#[derive(Debug, Deserialize)]
struct Input<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    shape: Capped<i64, MOST_DIMENSIONS>,
    #[serde(borrow)]
    datatype: Cow<'a, str>,
    #[serde(default)]
    parameters: Option<Parameters>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

/// One output that the client wants.
#[derive(Debug, Deserialize)]
struct Requested<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(default)]
    parameters: Option<Parameters>,
}

/// Reads all but the tensors' data.
pub(super) fn decode(json: &[u8]) -> Result<InferRequest<'_>, Error> {
    object::from_slice(json).map_err(|error| explain(&error))
}

impl InferRequest<'_> {
    /// The inputs; `pieces` has the bytes of those that are not in the JSON.
    pub(super) fn tensors<'a>(&'a self, mut pieces: Pieces<'a>) -> Result<Vec<Tensor<'a>>, Error> {
        let tensors = self
            .inputs
            .0
            .iter()
            .map(|Object(input)| input.tensor(&mut pieces));
        let tensors = tensors.collect::<Result<_, _>>()?;
        pieces.finish()?;
        Ok(tensors)
    }

    /// The outputs that the client names.
    pub(super) fn wishes(&self) -> Result<Vec<Wish<'_>>, Error> {
        let wanted = self.outputs.iter().flat_map(|wanted| &wanted.0);
        wanted
            .map(|Object(wanted)| Wish::new(&wanted.name, wanted.parameters.as_ref()))
            .collect()
    }
}

impl Input<'_> {
    fn tensor<'a>(&'a self, pieces: &mut Pieces<'a>) -> Result<Tensor<'a>, Error> {
        let parameters = self.parameters.as_ref();
        let size = parameters.map_or(Ok(None), |all| parameters::count(all, BINARY_DATA_SIZE))?;
        let refuse = |message| Error::Invalid(format!("input {} {message}", Echo(&self.name)));
        let data = match (self.data, size) {
            (Some(json), None) => Data::Json(json),
            (None, Some(size)) => Data::Raw(pieces.take(size)?),
            (None, None) => return Err(refuse("has no data")),
            (Some(_), Some(_)) => return Err(refuse("has both data and binary_data_size")),
        };
        Ok(Tensor {
            name: &self.name,
            datatype: &self.datatype,
            shape: &self.shape.0,
            data,
        })
    }
}

/// What the parser says, without a long piece of the request that it may quote.
pub(super) fn explain(error: &serde_json::Error) -> Error {
    let mut message = error.to_string();
    if !error.is_data() {
        return Error::Json(message);
    }
    message.truncate(message.floor_char_boundary(LONGEST_MESSAGE));
    Error::Invalid(message)
}
