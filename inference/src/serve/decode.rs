//! JSON of `/predict` → rows, in one pass: every number goes straight into the row-major vector.
//! The forms of other protocols are read by the same rules.

mod columns;
pub mod csv;
pub mod fields;
pub mod python;
mod reader;
mod split;

use super::error::{Echo, Error, Problem};
use super::signature::Signature;
use reader::{Expected, Reader};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// Key under which a client may wrap its list of rows.
const INSTANCES: &str = "instances";

/// What a body of any other shape is told.
const EXPECTED: &str = "expected an object of features, a list of them, or {\"instances\": [rows]}";

/// Rows as a client sent them, complete and finite.
#[derive(Debug, PartialEq)]
pub struct Rows {
    /// `rows × columns`, row-major.
    pub values: Vec<f64>,
    /// Columns of the values that were missing and have been filled, one entry each.
    pub filled: Vec<usize>,
}

/// How the answer is to be shaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One object for one object.
    Single,
    /// A list for a list.
    List,
}

/// Reads a body: one object of named features, a list of rows, or `{"instances": [rows]}`; a row
/// is an object of named features or a list of as many numbers as the model has features.
///
/// # Errors
/// `Json`, `Invalid`, `Value` or `TooManyRows`, for the first thing that is wrong.
pub fn decode(body: &[u8], signature: &Signature, max_rows: usize) -> Result<(Rows, Form), Error> {
    let mut reader = Reader::new(signature, max_rows, EXPECTED);
    let form = parse(body, Body(&mut reader));
    reader.finish(form)
}

/// Reads the whole of `body`, and nothing after it.
fn parse<'de, S: DeserializeSeed<'de>>(body: &'de [u8], seed: S) -> serde_json::Result<S::Value> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = seed.deserialize(&mut json)?;
    json.end()?;
    Ok(value)
}

/// The whole body.
struct Body<'r, 'a>(&'r mut Reader<'a>);

impl<'de> DeserializeSeed<'de> for Body<'_, '_> {
    type Value = Form;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Form, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Body<'_, '_> {
    type Value = Form;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, rows: A) -> Result<Form, A::Error> {
        read_list(self.0, rows)?;
        Ok(Form::List)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Form, A::Error> {
        let first = map.next_key_seed(Key::first(self.0))?;
        if let Some(Named::Instances) = first {
            map.next_value_seed(Rest(self.0))?;
            if map.next_key::<serde::de::IgnoredAny>()?.is_some() {
                return self.0.invalid("\"instances\" must be alone".to_owned());
            }
            return Ok(Form::List);
        }
        let first = match first {
            Some(Named::Column(column)) => Some(column),
            Some(Named::Instances) | None => None,
        };
        read_named(self.0, map, first)?;
        Ok(Form::Single)
    }
}

/// The list under `instances`.
struct Rest<'r, 'a>(&'r mut Reader<'a>);

impl<'de> DeserializeSeed<'de> for Rest<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Rest<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, rows: A) -> Result<(), A::Error> {
        read_list(self.0, rows)
    }
}

fn read_list<'de, A: SeqAccess<'de>>(reader: &mut Reader<'_>, mut rows: A) -> Result<(), A::Error> {
    reader.expected = Expected::Row;
    while rows.next_element_seed(Row(reader))?.is_some() {}
    Ok(())
}

/// One row of a list.
struct Row<'r, 'a>(&'r mut Reader<'a>);

impl<'de> DeserializeSeed<'de> for Row<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Row<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of features or a list of numbers")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        read_named(self.0, map, None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, row: A) -> Result<(), A::Error> {
        let width = self.0.signature.width();
        read_values(self.0, row, 0..width)
    }
}

/// Reads a row of values for `columns`, in that order.
fn read_values<'de, A: SeqAccess<'de>>(
    reader: &mut Reader<'_>,
    mut row: A,
    columns: impl ExactSizeIterator<Item = usize>,
) -> Result<(), A::Error> {
    let width = columns.len();
    let start = reader.begin_row()?;
    for (at, column) in columns.enumerate() {
        let Some(value) = row.next_element_seed(Number { reader, column })? else {
            let row = reader.rows;
            return reader.invalid(format!("row {row}: {at} values, expected {width}"));
        };
        reader.values[start + column] = value;
    }
    if row.next_element::<serde::de::IgnoredAny>()?.is_some() {
        let row = reader.rows;
        return reader.invalid(format!("row {row}: more than {width} values"));
    }
    reader.end_row(start)
}

/// Reads the rest of an object of named features; the key of `first` has been read already.
fn read_named<'de, A: MapAccess<'de>>(
    reader: &mut Reader<'_>,
    mut map: A,
    first: Option<usize>,
) -> Result<(), A::Error> {
    let start = reader.begin_row()?;
    let mut next = first;
    let mut guess = 0;
    loop {
        let column = match next.take() {
            Some(column) => column,
            None => match map.next_key_seed(Key::of_row(reader, guess))? {
                Some(Named::Column(column)) => column,
                Some(Named::Instances) | None => break,
            },
        };
        if !reader.values[start + column].is_nan() {
            return reader.problem(column, Problem::Duplicate);
        }
        reader.values[start + column] = map.next_value_seed(Number { reader, column })?;
        guess = column + 1;
    }
    reader.end_row(start)
}

/// What a key names.
enum Named {
    Column(usize),
    Instances,
}

/// A key of a row, or the first key of the body.
struct Key<'r, 'a> {
    reader: &'r mut Reader<'a>,
    guess: usize,
    first: bool,
}

impl<'r, 'a> Key<'r, 'a> {
    fn first(reader: &'r mut Reader<'a>) -> Self {
        Self {
            reader,
            guess: 0,
            first: true,
        }
    }

    fn of_row(reader: &'r mut Reader<'a>, guess: usize) -> Self {
        Self {
            reader,
            guess,
            first: false,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Key<'_, '_> {
    type Value = Named;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Named, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_, '_> {
    type Value = Named;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a feature's name")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Named, E> {
        if let Some(column) = self.reader.signature.column(name, self.guess) {
            return Ok(Named::Column(column));
        }
        if self.first && name == INSTANCES {
            return Ok(Named::Instances);
        }
        let row = self.reader.rows;
        let unknown = format!("row {row}: unknown feature {}", Echo(name));
        self.reader.invalid(unknown)
    }
}

/// The value of a feature.
struct Number<'r, 'a> {
    reader: &'r mut Reader<'a>,
    column: usize,
}

impl Number<'_, '_> {
    fn refuse<E: serde::de::Error>(self, found: &'static str) -> Result<f64, E> {
        let problem = Problem::NotANumber(found);
        self.reader.problem(self.column, problem)
    }
}

impl<'de> DeserializeSeed<'de> for Number<'_, '_> {
    type Value = f64;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<f64, D::Error> {
        self.reader.column = Some(self.column);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Number<'_, '_> {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<f64, E> {
        self.reader.column = None;
        Ok(value)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<f64, E> {
        self.visit_f64(value as f64)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<f64, E> {
        self.visit_f64(value as f64)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<f64, E> {
        self.reader.column = None;
        self.reader.fill(self.column, Problem::Null)
    }

    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<f64, E> {
        self.refuse("a boolean")
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<f64, E> {
        self.refuse("a string")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<f64, A::Error> {
        self.refuse("a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<f64, A::Error> {
        self.refuse("an object")
    }
}
