//! JSON arrays, flat or nested as the shape says, read in one pass.

use super::Tensor;
use super::matrix::Place;
use crate::serve::error::{Error, Problem};
use crate::serve::open_inference::datatype::DataType;
use crate::serve::open_inference::request::explain;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// Reads the elements of `tensor`, which are `text`, into `place`.
pub(super) fn read(
    text: &RawValue,
    datatype: DataType,
    shape: &[usize],
    place: Place<'_>,
    tensor: &Tensor<'_>,
) -> Result<(), Error> {
    let count = shape.iter().product();
    let mut elements = Elements {
        tensor,
        datatype,
        place,
        count,
        read: 0,
        fault: None,
    };
    let array = Array {
        elements: &mut elements,
        shape,
        flat: true,
    };
    let outcome = array.deserialize(&mut serde_json::Deserializer::from_str(text.get()));
    match (elements.fault.take(), outcome) {
        (Some(fault), _) => Err(fault),
        (None, Err(error)) => Err(elements.explain(&error)),
        (None, Ok(())) if elements.read < count => {
            let found = elements.read;
            Err(tensor.refuse(format_args!("has {found} values, its shape {count}")))
        }
        (None, Ok(())) => Ok(()),
    }
}

/// What has been read so far.
struct Elements<'a> {
    tensor: &'a Tensor<'a>,
    datatype: DataType,
    place: Place<'a>,
    count: usize,
    read: usize,
    fault: Option<Error>,
}

impl Elements<'_> {
    fn put<E: serde::de::Error>(&mut self, value: Result<f64, Problem>) -> Result<Depth, E> {
        self.admit()?;
        let outcome = self.place.put(value);
        outcome
            .or_else(|fault| self.fail(fault))
            .map(|()| Depth::Number)
    }

    fn skip<E: serde::de::Error>(&mut self) -> Result<Depth, E> {
        self.admit()?;
        let outcome = self.place.skip();
        outcome
            .or_else(|fault| self.fail(fault))
            .map(|()| Depth::Number)
    }

    fn admit<E: serde::de::Error>(&mut self) -> Result<(), E> {
        if self.read == self.count {
            let count = self.count;
            return self.refuse(format_args!("has more values than its shape, {count}"));
        }
        self.read += 1;
        Ok(())
    }

    fn refuse<E: serde::de::Error>(&mut self, message: impl fmt::Display) -> Result<(), E> {
        self.fail(self.tensor.refuse(message))
    }

    fn fail<E: serde::de::Error>(&mut self, fault: Error) -> Result<(), E> {
        self.fault = Some(fault);
        Err(E::custom("refused"))
    }

    fn explain(&self, error: &serde_json::Error) -> Error {
        // The parser's only complaint about a well-formed number.
        if error.to_string().starts_with("number out of range") && self.read < self.count {
            return self.place.fault(Problem::NotFinite);
        }
        self.tensor.refuse(explain(error))
    }
}

/// An array of the data: all of it, or one of those nested in it.
struct Array<'e, 's, 'a> {
    elements: &'e mut Elements<'a>,
    /// Sizes from this array inwards.
    shape: &'s [usize],
    /// Whether numbers may be here though the shape has more dimensions.
    flat: bool,
}

impl<'de> DeserializeSeed<'de> for Array<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Array<'_, '_, '_> {
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
            false => self.elements.refuse("is not nested as its shape says"),
        }
    }
}

#[derive(PartialEq)]
enum Depth {
    Number,
    Array,
}

/// A number, or an array one level further in.
struct Item<'e, 's, 'a> {
    elements: &'e mut Elements<'a>,
    inner: &'s [usize],
}

impl<'de> DeserializeSeed<'de> for Item<'_, '_, '_> {
    type Value = Depth;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Depth, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Item<'_, '_, '_> {
    type Value = Depth;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Depth, E> {
        self.elements.put(self.elements.datatype.real(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Depth, E> {
        self.elements
            .put(self.elements.datatype.whole(value.into()))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Depth, E> {
        self.elements
            .put(self.elements.datatype.whole(value.into()))
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Depth, E> {
        self.elements.put(self.elements.datatype.boolean(value))
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Depth, E> {
        self.elements.skip()
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<Depth, E> {
        let problem = Problem::NotOf(self.elements.datatype);
        self.elements.put(Err(problem))
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Depth, A::Error> {
        self.visit_str("")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Depth, A::Error> {
        if self.inner.is_empty() {
            let problem = "is nested deeper than its shape says";
            return self.elements.refuse(problem).map(|()| Depth::Array);
        }
        let array = Array {
            elements: self.elements,
            shape: self.inner,
            flat: false,
        };
        array.visit_seq(items).map(|()| Depth::Array)
    }
}
