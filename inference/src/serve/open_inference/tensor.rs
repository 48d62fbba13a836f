//! Tensors → rows: one tensor of whole rows, or one tensor for each named feature, each element
//! written straight to its place in the row-major matrix.

mod json;
mod matrix;

use super::datatype::{ACCEPTED, DataType};
use crate::serve::decode::Rows;
use crate::serve::error::{Echo, Error, Problem};
use crate::serve::signature::Signature;
use matrix::{Matrix, Place};
use serde_json::value::RawValue;
use std::fmt;

/// An input in any wire format.
#[derive(Debug)]
pub struct Tensor<'a> {
    /// Name of a feature, or any other for a tensor of whole rows.
    pub name: &'a str,
    /// Element type by the protocol's name.
    pub datatype: &'a str,
    /// Sizes; the first is the number of rows.
    pub shape: &'a [i64],
    /// Elements, still unread.
    pub data: Data<'a>,
}

/// Elements of a tensor as they were sent.
#[derive(Debug, Clone, Copy)]
pub enum Data<'a> {
    /// A JSON array, flat or nested as the shape says.
    Json(&'a RawValue),
    /// Row-major, little-endian, without padding.
    Raw(&'a [u8]),
    /// Row-major numbers of the type that the protocol buffer has for them.
    Typed(Typed<'a>),
}

/// Row-major elements of the protocol buffer.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Typed<'a> {
    Bool(&'a [bool]),
    Int(&'a [i32]),
    Int64(&'a [i64]),
    Uint(&'a [u32]),
    Uint64(&'a [u64]),
    Fp32(&'a [f32]),
    Fp64(&'a [f64]),
}

impl Typed<'_> {
    /// Number of elements.
    pub const fn len(&self) -> usize {
        match self {
            Self::Bool(all) => all.len(),
            Self::Int(all) => all.len(),
            Self::Int64(all) => all.len(),
            Self::Uint(all) => all.len(),
            Self::Uint64(all) => all.len(),
            Self::Fp32(all) => all.len(),
            Self::Fp64(all) => all.len(),
        }
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Reads `inputs`: a single tensor `[rows, features]` of any name that is not a feature's, or a
/// tensor `[rows]` or `[rows, 1]` for each feature. A feature that is left out, `null` or NaN is
/// filled where the model can do without it.
///
/// # Errors
/// `Invalid` for a tensor that is wrong as a whole, `Value` for a wrong element, `TooManyRows`.
pub(super) fn rows(
    inputs: &[Tensor<'_>],
    signature: &Signature,
    max_rows: usize,
) -> Result<Rows, Error> {
    let named = |tensor: &Tensor<'_>| signature.column(tensor.name, 0).is_some();
    match inputs {
        [] => Err(Error::Invalid("no inputs".to_owned())),
        [whole] if !named(whole) => whole_rows(whole, signature, max_rows),
        columns => by_column(columns, signature, max_rows),
    }
}

fn whole_rows(tensor: &Tensor<'_>, signature: &Signature, max_rows: usize) -> Result<Rows, Error> {
    let shape = tensor.sizes(max_rows)?;
    let width = signature.width();
    if shape.len() != 2 || shape[1] != width {
        return Err(tensor.misshapen(format_args!("[rows, {width}]")));
    }
    tensor.check(&shape)?;
    let mut matrix = Matrix::new(signature, shape[0]);
    tensor.read(&shape, matrix.all())?;
    matrix.finish()
}

fn by_column(
    tensors: &[Tensor<'_>],
    signature: &Signature,
    max_rows: usize,
) -> Result<Rows, Error> {
    let mut given = vec![false; signature.width()];
    let mut matrix = Matrix::new(signature, 0);
    for (at, tensor) in tensors.iter().enumerate() {
        let Some(column) = signature.column(tensor.name, at) else {
            return Err(tensor.refuse("is no feature of the model"));
        };
        if std::mem::replace(&mut given[column], true) {
            return Err(tensor.refuse("is given twice"));
        }
        let shape = tensor.sizes(max_rows)?;
        let (&[rows] | &[rows, 1]) = shape.as_slice() else {
            return Err(tensor.misshapen("[rows] or [rows, 1]"));
        };
        tensor.check(&shape)?;
        match matrix.rows() {
            0 => matrix = Matrix::new(signature, rows),
            expected if expected == rows => {}
            expected => {
                let message = format!("has {rows} rows, the tensors before it have {expected}");
                return Err(tensor.refuse(message));
            }
        }
        tensor.read(&shape, matrix.column(column))?;
    }
    matrix.finish()
}

impl Tensor<'_> {
    /// The shape as sizes: at least one row, not more than the limit, and a product that fits.
    fn sizes(&self, max_rows: usize) -> Result<Vec<usize>, Error> {
        let sizes = self.shape.iter().map(|size| usize::try_from(*size).ok());
        let sizes = sizes.collect::<Option<Vec<_>>>().unwrap_or_default();
        let product = sizes
            .iter()
            .try_fold(1usize, |p, size| p.checked_mul(*size));
        match (product, sizes.first()) {
            (None | Some(0), _) | (_, None) => {
                let shape = brief(self.shape);
                Err(self.refuse(format_args!("has the impossible shape {shape:?}")))
            }
            (Some(_), Some(rows)) if *rows > max_rows => Err(Error::TooManyRows(max_rows)),
            (Some(_), Some(_)) => Ok(sizes),
        }
    }

    fn datatype(&self) -> Result<DataType, Error> {
        DataType::of_input(self.datatype).ok_or_else(|| {
            let found = Echo(self.datatype);
            self.refuse(format_args!(
                "has datatype {found}, expected one of {ACCEPTED}"
            ))
        })
    }

    /// Whether there are as many elements as the shape says, where that is known beforehand.
    fn check(&self, shape: &[usize]) -> Result<(), Error> {
        let expected = shape.iter().product::<usize>();
        let datatype = self.datatype()?;
        let (found, unit, expected) = match &self.data {
            // Each element takes a character at least, and a comma before the next.
            Data::Json(text) if text.get().len() / 2 + 1 < expected => {
                let message = format!("has fewer values than its shape, {expected}");
                return Err(self.refuse(message));
            }
            Data::Json(_) => return Ok(()),
            Data::Raw(bytes) => (
                bytes.len(),
                "bytes",
                expected.saturating_mul(datatype.size()),
            ),
            Data::Typed(typed) => (typed.len(), "values", expected),
        };
        match found == expected {
            true => Ok(()),
            false => Err(self.refuse(format_args!("has {found} {unit}, its shape {expected}"))),
        }
    }

    /// Reads the elements, of which there are as many as `shape` says, into `place`.
    fn read(&self, shape: &[usize], mut place: Place<'_>) -> Result<(), Error> {
        let datatype = self.datatype()?;
        match self.data {
            Data::Json(text) => json::read(text, datatype, shape, place, self),
            Data::Raw(bytes) => {
                let mut elements = bytes.chunks_exact(datatype.size());
                elements.try_for_each(|bytes| place.put(datatype.element(bytes)))
            }
            Data::Typed(typed) => read_typed(typed, datatype, &mut place),
        }
    }

    fn misshapen(&self, expected: impl fmt::Display) -> Error {
        let shape = brief(self.shape);
        self.refuse(format_args!("has shape {shape:?}, expected {expected}"))
    }

    fn refuse(&self, message: impl fmt::Display) -> Error {
        Error::Invalid(format!("input {} {message}", Echo(self.name)))
    }
}

fn read_typed(typed: Typed<'_>, datatype: DataType, place: &mut Place<'_>) -> Result<(), Error> {
    fn put<T: Copy>(
        all: &[T],
        place: &mut Place<'_>,
        convert: impl Fn(T) -> Result<f64, Problem>,
    ) -> Result<(), Error> {
        all.iter().try_for_each(|value| place.put(convert(*value)))
    }
    match typed {
        Typed::Bool(all) => put(all, place, |value| datatype.boolean(value)),
        Typed::Int(all) => put(all, place, |value| datatype.whole(value.into())),
        Typed::Int64(all) => put(all, place, |value| datatype.whole(value.into())),
        Typed::Uint(all) => put(all, place, |value| datatype.whole(value.into())),
        Typed::Uint64(all) => put(all, place, |value| datatype.whole(value.into())),
        Typed::Fp32(all) => put(all, place, |value| datatype.real(value.into())),
        Typed::Fp64(all) => put(all, place, |value| datatype.real(value)),
    }
}

/// At most a few sizes, since the client may have sent thousands.
fn brief(shape: &[i64]) -> &[i64] {
    &shape[..shape.len().min(4)]
}
