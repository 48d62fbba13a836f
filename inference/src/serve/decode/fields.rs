//! JSON of other protocols → rows: an object with the rows under one of several names.

use super::reader::{Expected, Reader};
use super::{Rest, Rows, columns, parse, read_list, split};
use crate::serve::error::Error;
use crate::serve::signature::Signature;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// A field that holds rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// `{"columns": [names], "data": [rows]}`
    DataframeSplit,
    /// A list of rows.
    DataframeRecords,
    /// A list of rows.
    Instances,
    /// A list of rows, or `{feature: [values]}`.
    Inputs,
}

impl Field {
    /// Its name in a body.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DataframeSplit => "dataframe_split",
            Self::DataframeRecords => "dataframe_records",
            Self::Instances => "instances",
            Self::Inputs => "inputs",
        }
    }
}

/// What a field that holds no rows must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Absent.
    Absent,
    /// An object or null, whose content means nothing to the model.
    Object,
}

/// The body of a protocol. Fields that it does not mention are ignored.
#[derive(Debug)]
pub struct Envelope {
    /// Of these exactly one is given.
    pub fields: &'static [Field],
    /// Other fields that are looked at, and what they are told if they break the rule.
    pub rules: &'static [(&'static str, Rule, &'static str)],
    /// What a body of any other shape is told.
    pub expected: &'static str,
}

/// Reads a body in the form of `envelope`; rows are read as `/predict` does. Gives the rows and
/// the field that they came in.
///
/// # Errors
/// `Json`, `Invalid`, `Value` or `TooManyRows`, for the first thing that is wrong.
pub fn decode(
    body: &[u8],
    envelope: &Envelope,
    signature: &Signature,
    max_rows: usize,
) -> Result<(Rows, Field), Error> {
    let mut reader = Reader::new(signature, max_rows, envelope.expected);
    let seed = Body {
        envelope,
        reader: &mut reader,
    };
    let field = parse(body, seed);
    reader.finish(field)
}

struct Body<'r, 'a> {
    envelope: &'r Envelope,
    reader: &'r mut Reader<'a>,
}

impl<'de> DeserializeSeed<'de> for Body<'_, '_> {
    type Value = Field;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Field, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Body<'_, '_> {
    type Value = Field;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.envelope.expected)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Field, A::Error> {
        let Self { envelope, reader } = self;
        let mut found = None;
        while let Some(key) = map.next_key::<String>()? {
            let mut fields = envelope.fields.iter();
            match fields.find(|field| field.as_str() == key) {
                None => read_other(envelope, reader, &key, &mut map)?,
                Some(field) if found.is_none() => {
                    found = Some(*field);
                    read_field(reader, *field, &mut map)?;
                }
                Some(_) => return reader.invalid(envelope.expected.to_owned()),
            }
        }
        match found {
            Some(field) => Ok(field),
            None => reader.invalid(envelope.expected.to_owned()),
        }
    }
}

fn read_field<'de, A: MapAccess<'de>>(
    reader: &mut Reader<'_>,
    field: Field,
    map: &mut A,
) -> Result<(), A::Error> {
    reader.expected = Expected::Text(match field {
        Field::DataframeSplit => {
            "dataframe_split: expected {\"columns\": [names], \"data\": [rows]}"
        }
        Field::DataframeRecords => "dataframe_records: expected a list of rows",
        Field::Instances => "instances: expected a list of rows",
        Field::Inputs => "inputs: expected a list of rows or an object of lists of values",
    });
    match field {
        Field::DataframeSplit => map.next_value_seed(split::Split(reader)),
        Field::DataframeRecords | Field::Instances => map.next_value_seed(Rest(reader)),
        Field::Inputs => map.next_value_seed(Tensors(reader)),
    }
}

fn read_other<'de, A: MapAccess<'de>>(
    envelope: &Envelope,
    reader: &mut Reader<'_>,
    name: &str,
    map: &mut A,
) -> Result<(), A::Error> {
    let mut rules = envelope.rules.iter();
    match rules.find(|(ruled, ..)| *ruled == name) {
        Some((_, Rule::Absent, told)) => reader.invalid((*told).to_owned()),
        Some((_, Rule::Object, told)) => {
            reader.expected = Expected::Text(told);
            map.next_value_seed(Ignored)
        }
        None => map.next_value::<IgnoredAny>().map(drop),
    }
}

/// Rows or columns.
struct Tensors<'r, 'a>(&'r mut Reader<'a>);

impl<'de> DeserializeSeed<'de> for Tensors<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tensors<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of rows or an object of lists of values")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, rows: A) -> Result<(), A::Error> {
        read_list(self.0, rows)
    }

    fn visit_map<A: MapAccess<'de>>(self, columns: A) -> Result<(), A::Error> {
        columns::read(self.0, columns)
    }
}

/// An object or null.
struct Ignored;

impl<'de> DeserializeSeed<'de> for Ignored {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Ignored {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(())
    }
}
