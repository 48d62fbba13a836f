//! Tensors → rows: one tensor of whole rows, or one tensor for each named feature.

use super::request::{Tensor, explain};
use super::response::DataType;
use crate::serve::decode::Rows;
use crate::serve::error::{Echo, Error, Problem};
use crate::serve::signature::Signature;
use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use std::fmt;

/// Reads `inputs`: a single tensor `[rows, features]` of any name that is not a feature's, or a
/// tensor `[rows]` or `[rows, 1]` for each feature.
pub(super) fn rows(
    inputs: &[Tensor<'_>],
    signature: &Signature,
    max_rows: usize,
) -> Result<Rows, Error> {
    let named = |tensor: &Tensor<'_>| signature.column(&tensor.name, 0).is_some();
    let values = match inputs {
        [] => return Err(Error::Invalid("no inputs".to_owned())),
        [matrix] if !named(matrix) => whole_rows(matrix, signature.width(), max_rows)?,
        columns => by_column(columns, signature, max_rows)?,
    };
    complete(values, signature)
}

fn whole_rows(tensor: &Tensor<'_>, width: usize, max_rows: usize) -> Result<Vec<f64>, Error> {
    let shape = shape(tensor, max_rows)?;
    match shape.as_slice() {
        [_, columns] if *columns == width => read(tensor, &shape),
        _ => Err(refuse(
            tensor,
            format!(
                "has shape {:?}, expected [rows, {width}]",
                brief(&tensor.shape)
            ),
        )),
    }
}

fn by_column(
    tensors: &[Tensor<'_>],
    signature: &Signature,
    max_rows: usize,
) -> Result<Vec<f64>, Error> {
    let width = signature.width();
    let mut values = Vec::new();
    let mut given = vec![false; width];
    for (at, tensor) in tensors.iter().enumerate() {
        let Some(column) = signature.column(&tensor.name, at) else {
            return Err(refuse(tensor, "is no feature of the model"));
        };
        if std::mem::replace(&mut given[column], true) {
            return Err(refuse(tensor, "is given twice"));
        }
        let shape = shape(tensor, max_rows)?;
        let (&[rows] | &[rows, 1]) = shape.as_slice() else {
            let message = format!(
                "has shape {:?}, expected [rows] or [rows, 1]",
                brief(&tensor.shape)
            );
            return Err(refuse(tensor, message));
        };
        let expected = values.len() / width;
        match expected {
            0 => values.resize(rows * width, f64::NAN),
            _ if expected == rows => {}
            _ => {
                let message = format!("has {rows} rows, the tensors before it have {expected}");
                return Err(refuse(tensor, message));
            }
        }
        let column = values.iter_mut().skip(column).step_by(width);
        column
            .zip(read(tensor, &shape)?)
            .for_each(|(value, read)| *value = read);
    }
    Ok(values)
}

/// Fills what is missing, where the model can do without.
fn complete(mut values: Vec<f64>, signature: &Signature) -> Result<Rows, Error> {
    let width = signature.width();
    let mut filled = Vec::new();
    for (at, value) in values.iter_mut().enumerate() {
        if value.is_nan() {
            let column = at % width;
            let fill = signature.features[column].fill;
            let missing = || signature.fault(at / width, column, Problem::Missing);
            *value = fill.ok_or_else(missing)?;
            filled.push(column);
        }
    }
    Ok(Rows { values, filled })
}

/// The shape as sizes: at least one row, not more than the limit, and a product that fits.
fn shape(tensor: &Tensor<'_>, max_rows: usize) -> Result<Vec<usize>, Error> {
    let sizes = tensor.shape.iter().map(|size| usize::try_from(*size).ok());
    let sizes = sizes.collect::<Option<Vec<_>>>();
    let product = |sizes: &Vec<usize>| {
        let mut sizes = sizes.iter();
        sizes.try_fold(1usize, |product, size| product.checked_mul(*size))
    };
    match sizes {
        Some(sizes) if product(&sizes).is_some_and(|product| product > 0) => match sizes.first() {
            Some(rows) if *rows > max_rows => Err(Error::TooManyRows(max_rows)),
            _ => Ok(sizes),
        },
        _ => {
            let message = format!("has the impossible shape {:?}", brief(&tensor.shape));
            Err(refuse(tensor, message))
        }
    }
}

/// At most a few sizes, since the client may have sent thousands.
fn brief(shape: &[i64]) -> &[i64] {
    &shape[..shape.len().min(4)]
}

fn refuse(tensor: &Tensor<'_>, message: impl fmt::Display) -> Error {
    Error::Invalid(format!("input {} {message}", Echo(&tensor.name)))
}

/// The elements of `tensor`, row-major; NaN for null.
fn read(tensor: &Tensor<'_>, shape: &[usize]) -> Result<Vec<f64>, Error> {
    let Some(datatype) = DataType::of_input(&tensor.datatype) else {
        let found = Echo(&tensor.datatype);
        let accepted = DataType::INPUTS.map(DataType::as_str).join(", ");
        let message = format!("has datatype {found}, expected one of {accepted}");
        return Err(refuse(tensor, message));
    };
    let count = shape.iter().product();
    let mut elements = Elements {
        datatype,
        count,
        values: Vec::with_capacity(count),
        problem: None,
    };
    let mut json = serde_json::Deserializer::from_str(tensor.data.get());
    let array = Array {
        elements: &mut elements,
        shape,
        flat: true,
    };
    let outcome = array.deserialize(&mut json);
    match (elements.problem, outcome) {
        (Some(problem), _) => Err(refuse(tensor, problem)),
        (None, Err(error)) => Err(refuse(tensor, explain(&error))),
        (None, Ok(())) if elements.values.len() < count => {
            let found = elements.values.len();
            Err(refuse(
                tensor,
                format!("has {found} values, its shape {count}"),
            ))
        }
        (None, Ok(())) => Ok(elements.values),
    }
}

/// What has been read so far.
struct Elements {
    datatype: DataType,
    count: usize,
    values: Vec<f64>,
    problem: Option<String>,
}

impl Elements {
    fn push<E: serde::de::Error>(&mut self, value: Option<f64>) -> Result<(), E> {
        let at = self.values.len();
        let Some(value) = value else {
            return self.fail(format!(
                "value {at} is not of datatype {}",
                self.datatype.as_str()
            ));
        };
        if at == self.count {
            return self.fail(format!("has more values than its shape, {}", self.count));
        }
        self.values.push(value);
        Ok(())
    }

    fn fail<E: serde::de::Error>(&mut self, problem: String) -> Result<(), E> {
        self.problem = Some(problem);
        Err(E::custom("refused"))
    }
}

/// An array of the data: all of it, or one of those nested in it.
struct Array<'e, 's> {
    elements: &'e mut Elements,
    /// Sizes from this array inwards.
    shape: &'s [usize],
    /// Whether numbers may be here though the shape has more dimensions.
    flat: bool,
}

impl<'de> DeserializeSeed<'de> for Array<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Array<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of values")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut length = 0;
        let mut nested = 0;
        while let Some(depth) = items.next_element_seed(Item {
            elements: &mut *self.elements,
            inner: self.shape.get(1..).unwrap_or_default(),
        })? {
            length += 1;
            nested += usize::from(depth == Depth::Array);
        }
        let numbers_allowed = self.flat || self.shape.len() == 1;
        let consistent = match nested {
            0 => numbers_allowed && (self.flat || Some(&length) == self.shape.first()),
            _ => nested == length && Some(&length) == self.shape.first(),
        };
        match consistent {
            true => Ok(()),
            false => self
                .elements
                .fail("is not nested as its shape says".to_owned()),
        }
    }
}

#[derive(PartialEq)]
enum Depth {
    Number,
    Array,
}

/// A number, or an array one level further in.
struct Item<'e, 's> {
    elements: &'e mut Elements,
    inner: &'s [usize],
}

impl<'de> DeserializeSeed<'de> for Item<'_, '_> {
    type Value = Depth;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Depth, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Item<'_, '_> {
    type Value = Depth;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Depth, E> {
        let value = self.elements.datatype.real(value);
        self.elements.push(value).map(|()| Depth::Number)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Depth, E> {
        let value = self.elements.datatype.whole(value.into());
        self.elements.push(value).map(|()| Depth::Number)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Depth, E> {
        let value = self.elements.datatype.whole(value.into());
        self.elements.push(value).map(|()| Depth::Number)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Depth, E> {
        let value = self.elements.datatype.boolean(value);
        self.elements.push(value).map(|()| Depth::Number)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Depth, E> {
        self.elements.push(Some(f64::NAN)).map(|()| Depth::Number)
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<Depth, E> {
        self.elements.push(None).map(|()| Depth::Number)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Depth, A::Error> {
        if self.inner.is_empty() {
            let problem = "is nested deeper than its shape says".to_owned();
            return self.elements.fail(problem).map(|()| Depth::Array);
        }
        let array = Array {
            elements: self.elements,
            shape: self.inner,
            flat: false,
        };
        array.visit_seq(items).map(|()| Depth::Array)
    }
}
