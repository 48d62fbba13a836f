//! A table as text → rows: a header line of feature names, then a line for each row.

use super::Rows;
use super::reader::Reader;
use crate::serve::error::{Error, Problem};
use crate::serve::signature::Signature;
use csv::{ByteRecord, ReaderBuilder, Trim};
use serde::de::Error as _;

/// Reads a whole table. An empty cell is a missing value, and so is NaN, as pandas reads it.
///
/// # Errors
/// `Invalid`, `Value` or `TooManyRows`, for the first thing that is wrong.
pub fn decode(body: &[u8], signature: &Signature, max_rows: usize) -> Result<Rows, Error> {
    let expected = "expected a header line of feature names and a line for each row";
    let mut reader = Reader::new(signature, max_rows, expected);
    let read = read(&mut reader, body);
    reader.finish(read).map(|(rows, ())| rows)
}

fn read(reader: &mut Reader<'_>, body: &[u8]) -> serde_json::Result<()> {
    let mut lines = ReaderBuilder::new()
        .flexible(true)
        .trim(Trim::All)
        .from_reader(body);
    let mut columns = Vec::new();
    let header = lines.byte_headers().map_err(serde_json::Error::custom)?;
    for name in header {
        reader.add_column(&mut columns, &String::from_utf8_lossy(name))?;
    }
    let mut line = ByteRecord::new();
    while lines
        .read_byte_record(&mut line)
        .map_err(serde_json::Error::custom)?
    {
        read_line(reader, &line, &columns)?;
    }
    Ok(())
}

fn read_line(
    reader: &mut Reader<'_>,
    line: &ByteRecord,
    columns: &[usize],
) -> serde_json::Result<()> {
    let start = reader.begin_row()?;
    if line.len() != columns.len() {
        let (row, found, expected) = (reader.rows, line.len(), columns.len());
        return reader.invalid(format!("row {row}: {found} values, expected {expected}"));
    }
    for (cell, column) in line.iter().zip(columns) {
        reader.values[start + column] = match number(cell) {
            Ok(Some(number)) => number,
            Ok(None) => reader.fill(*column, Problem::Missing)?,
            Err(problem) => reader.problem(*column, problem)?,
        };
    }
    reader.end_row(start)
}

fn number(cell: &[u8]) -> Result<Option<f64>, Problem> {
    if cell.is_empty() {
        return Ok(None);
    }
    let text = std::str::from_utf8(cell).ok();
    match text.and_then(|text| text.parse::<f64>().ok()) {
        Some(number) if number.is_nan() => Ok(None),
        Some(number) if number.is_infinite() => Err(Problem::NotFinite),
        Some(number) => Ok(Some(number)),
        None => Err(Problem::NotANumber("text")),
    }
}
