//! `{"columns": [names], "data": [rows]}` → rows, as pandas writes a table.

use super::reader::{Expected, Reader};
use super::{Row, read_values};
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;
use std::fmt;

/// The whole table. Without `columns` the rows have the model's features in order; what else
/// there may be, as pandas' index, is ignored.
pub(super) struct Split<'r, 'a>(pub(super) &'r mut Reader<'a>);

impl<'de> DeserializeSeed<'de> for Split<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Split<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with columns and data")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let reader = self.0;
        let (mut columns, mut data) = (None, Found::Nothing);
        while let Some(key) = map.next_key::<String>()? {
            match (key.as_str(), &columns, &data) {
                ("columns", None, _) => columns = Some(map.next_value_seed(Names(reader))?),
                ("data", Some(columns), Found::Nothing) => {
                    map.next_value_seed(Data { reader, columns })?;
                    data = Found::Read;
                }
                ("data", None, Found::Nothing) => data = Found::Waiting(map.next_value()?),
                ("columns" | "data", ..) => {
                    return reader.invalid(format!("dataframe_split: {key} is given twice"));
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        match data {
            Found::Read => Ok(()),
            Found::Waiting(data) => read_waiting(reader, columns, data).map_err(A::Error::custom),
            Found::Nothing => reader.invalid("dataframe_split: data is missing".to_owned()),
        }
    }
}

/// The rows that there were so far.
enum Found<'de> {
    Nothing,
    /// Of columns that are still unknown.
    Waiting(&'de RawValue),
    Read,
}

fn read_waiting(
    reader: &mut Reader<'_>,
    columns: Option<Vec<usize>>,
    data: &RawValue,
) -> serde_json::Result<()> {
    let columns = columns.unwrap_or_else(|| (0..reader.signature.width()).collect());
    let columns = columns.as_slice();
    let mut json = serde_json::Deserializer::from_str(data.get());
    Data { reader, columns }.deserialize(&mut json)
}

/// The names of the columns, as indices of the model's.
struct Names<'r, 'a>(&'r mut Reader<'a>);

impl<'de> DeserializeSeed<'de> for Names<'_, '_> {
    type Value = Vec<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Names<'_, '_> {
    type Value = Vec<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of names")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<Self::Value, A::Error> {
        let mut columns = Vec::new();
        while let Some(name) = names.next_element::<String>()? {
            self.0.add_column(&mut columns, &name)?;
        }
        Ok(columns)
    }
}

/// Rows of values for `columns`.
struct Data<'r, 'a> {
    reader: &'r mut Reader<'a>,
    columns: &'r [usize],
}

impl<'de> DeserializeSeed<'de> for Data<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Data<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<(), A::Error> {
        let Self { reader, columns } = self;
        reader.expected = Expected::Row;
        while rows
            .next_element_seed(Ordered { reader, columns })?
            .is_some()
        {}
        Ok(())
    }
}

/// One row: as a list in the order of `columns`, or as an object of features.
struct Ordered<'r, 'a> {
    reader: &'r mut Reader<'a>,
    columns: &'r [usize],
}

impl<'de> DeserializeSeed<'de> for Ordered<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Ordered<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of numbers")
    }

    fn visit_map<A: MapAccess<'de>>(self, row: A) -> Result<(), A::Error> {
        Row(self.reader).visit_map(row)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, row: A) -> Result<(), A::Error> {
        read_values(self.reader, row, self.columns.iter().copied())
    }
}
