//! Tensors as bytes after the JSON, as Triton's `protocol/extension_binary_data.md` has it.

use super::datatype::DataType;
use super::tensor::{Data, Tensor};
use crate::serve::error::{Echo, Error};
use http::HeaderMap;

/// Bytes of the JSON, where more follows it.
pub(super) const HEADER: &str = "inference-header-content-length";

/// What a body is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// JSON and nothing else.
    Json,
    /// So many bytes of JSON, then the bytes of the tensors that are not in it.
    Mixed(usize),
    /// The bytes of one tensor, without JSON; the answer has all outputs as bytes.
    Raw,
}

impl Framing {
    /// As the headers of a request say.
    ///
    /// # Errors
    /// `Invalid` if the header is no number.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Error> {
        let Some(value) = headers.get(HEADER) else {
            return Ok(Self::Json);
        };
        let text = value.to_str().unwrap_or_default();
        match text.parse() {
            Ok(0) => Ok(Self::Raw),
            Ok(length) => Ok(Self::Mixed(length)),
            Err(_) => {
                let found = Echo(text);
                let message = format!("header {HEADER} must be a number of bytes, not {found}");
                Err(Error::Invalid(message))
            }
        }
    }

    /// The JSON and the bytes after it.
    ///
    /// # Errors
    /// `Invalid` if the body is shorter than its header says.
    pub(super) fn split(self, body: &[u8]) -> Result<(&[u8], Pieces<'_>), Error> {
        let length = match self {
            Self::Json => body.len(),
            Self::Mixed(length) => length,
            Self::Raw => 0,
        };
        match body.split_at_checked(length) {
            Some((json, rest)) => Ok((json, Pieces { rest })),
            None => {
                let found = body.len();
                let message = format!("header {HEADER} is {length}, the body has {found} bytes");
                Err(Error::Invalid(message))
            }
        }
    }
}

/// The bytes after the JSON, taken piece by piece in the order of the tensors.
#[derive(Debug)]
pub(super) struct Pieces<'a> {
    rest: &'a [u8],
}

impl<'a> Pieces<'a> {
    /// The next `size` bytes.
    ///
    /// # Errors
    /// `Invalid` if there are not as many.
    pub(super) fn take(&mut self, size: usize) -> Result<&'a [u8], Error> {
        let Some((piece, rest)) = self.rest.split_at_checked(size) else {
            let found = self.rest.len();
            let message = format!("binary_data_size is {size}, the body has {found} more bytes");
            return Err(Error::Invalid(message));
        };
        self.rest = rest;
        Ok(piece)
    }

    /// # Errors
    /// `Invalid` if there are bytes that belong to no tensor.
    pub(super) fn finish(self) -> Result<(), Error> {
        match self.rest.len() {
            0 => Ok(()),
            left => {
                let message = format!("the body has {left} bytes that belong to no input");
                Err(Error::Invalid(message))
            }
        }
    }
}

/// Shape of a body that is nothing but FP64 rows of `columns`.
pub(super) fn raw_shape(body: &[u8], columns: usize) -> [i64; 2] {
    let row = columns * DataType::Fp64.size();
    [(body.len() / row) as i64, columns as i64]
}

/// A body that is nothing but FP64 rows, of the shape that [`raw_shape`] says.
pub(super) const fn raw<'a>(body: &'a [u8], shape: &'a [i64; 2]) -> Tensor<'a> {
    Tensor {
        name: "",
        datatype: DataType::Fp64.as_str(),
        shape,
        data: Data::Raw(body),
    }
}
