//! `{feature: [values]}` → rows: each value goes straight to its place.

use super::Number;
use super::reader::{Expected, Reader};
use crate::serve::error::Echo;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// Reads an object of columns, all of the same length.
pub(super) fn read<'de, A: MapAccess<'de>>(
    reader: &mut Reader<'_>,
    mut map: A,
) -> Result<(), A::Error> {
    let mut given = Vec::new();
    let mut rows = None;
    while let Some(name) = map.next_key::<String>()? {
        let column = reader.add_column(&mut given, &name)?;
        reader.expected = Expected::Values(column);
        rows = Some(map.next_value_seed(Column {
            reader,
            column,
            rows,
        })?);
    }
    reader.rows = 0;
    for row in 0..rows.unwrap_or(0) {
        reader.end_row(row * reader.signature.width())?;
    }
    Ok(())
}

/// One column; gives its number of values, which must be `rows` if that is known.
struct Column<'r, 'a> {
    reader: &'r mut Reader<'a>,
    column: usize,
    rows: Option<usize>,
}

impl Column<'_, '_> {
    fn uneven<T, E: serde::de::Error>(self, found: &str) -> Result<T, E> {
        let name = Echo(&self.reader.signature.features[self.column].name);
        let expected = self.rows.unwrap_or_default();
        let message = format!("feature {name} has {found} values, those before it {expected}");
        self.reader.invalid(message)
    }
}

impl<'de> DeserializeSeed<'de> for Column<'_, '_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Column<'_, '_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of values")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<usize, A::Error> {
        let column = self.column;
        self.reader.rows = 0;
        while self.rows != Some(self.reader.rows) {
            let reader = &mut *self.reader;
            let Some(value) = values.next_element_seed(Number { reader, column })? else {
                let found = self.reader.rows;
                return match self.rows {
                    Some(_) => self.uneven(&found.to_string()),
                    None => Ok(found),
                };
            };
            let row = self.reader.rows;
            if self.rows.is_none() {
                self.reader.begin_row()?;
            }
            self.reader.values[row * self.reader.signature.width() + column] = value;
            self.reader.rows += 1;
        }
        match values.next_element::<IgnoredAny>()? {
            Some(_) => self.uneven("more"),
            None => Ok(self.reader.rows),
        }
    }
}
