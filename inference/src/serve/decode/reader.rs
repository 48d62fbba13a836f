//! The state of reading a body: rows so far, and the first thing that is wrong.

use super::Rows;
use crate::serve::error::{Echo, Error, Problem};
use crate::serve::signature::Signature;

/// What the parser is about to read, for errors that it finds by itself.
#[derive(Debug, Clone, Copy)]
pub(super) enum Expected {
    /// One of the forms that a text describes.
    Text(&'static str),
    /// A row of a list.
    Row,
    /// All values of a column.
    Values(usize),
}

/// What has been read so far.
pub(super) struct Reader<'a> {
    pub(super) signature: &'a Signature,
    max_rows: usize,
    /// Rows read completely.
    pub(super) rows: usize,
    /// Row-major; the row being read is at the end, NaN where nothing has been given yet.
    pub(super) values: Vec<f64>,
    filled: Vec<usize>,
    /// Column being read, for errors that the JSON parser finds.
    pub(super) column: Option<usize>,
    fault: Option<Error>,
    pub(super) expected: Expected,
}

impl<'a> Reader<'a> {
    /// Nothing yet of a body that should look like `expected`.
    pub(super) fn new(signature: &'a Signature, max_rows: usize, expected: &'static str) -> Self {
        Self {
            signature,
            max_rows,
            rows: 0,
            values: Vec::with_capacity(signature.width()),
            filled: Vec::new(),
            column: None,
            fault: None,
            expected: Expected::Text(expected),
        }
    }

    /// All that has been read, and `form`, unless reading stopped early.
    pub(super) fn finish<T>(mut self, form: serde_json::Result<T>) -> Result<(Rows, T), Error> {
        let form = form.map_err(|error| self.explain(&error))?;
        match self.rows {
            0 => Err(Error::Invalid("no rows".to_owned())),
            _ => Ok((self.into_rows(), form)),
        }
    }

    /// Keeps `error` for [`Self::explain`] and stops the parser.
    pub(super) fn fail<T, E: serde::de::Error>(&mut self, error: Error) -> Result<T, E> {
        self.fault = Some(error);
        Err(E::custom("refused"))
    }

    pub(super) fn invalid<T, E: serde::de::Error>(&mut self, message: String) -> Result<T, E> {
        self.fail(Error::Invalid(message))
    }

    pub(super) fn problem<T, E: serde::de::Error>(
        &mut self,
        column: usize,
        it: Problem,
    ) -> Result<T, E> {
        let fault = self.signature.fault(self.rows, column, it);
        self.fail(fault)
    }

    fn into_rows(self) -> Rows {
        Rows {
            values: self.values,
            filled: self.filled,
        }
    }

    fn explain(&mut self, error: &serde_json::Error) -> Error {
        if let Some(fault) = self.fault.take() {
            return fault;
        }
        match self.column {
            // The parser's only complaint about a well-formed number.
            Some(column) if error.to_string().starts_with("number out of range") => {
                let problem = Problem::NotFinite;
                self.signature.fault(self.rows, column, problem)
            }
            _ if error.is_data() => Error::Invalid(self.wish()),
            _ => Error::Json(error.to_string()),
        }
    }

    fn wish(&self) -> String {
        match self.expected {
            Expected::Text(text) => text.to_owned(),
            Expected::Row => {
                let expected = "expected an object of features or a list of numbers";
                format!("row {}: {expected}", self.rows)
            }
            Expected::Values(column) => {
                let name = Echo(&self.signature.features[column].name);
                format!("feature {name}: expected a list of values")
            }
        }
    }

    /// Adds the column called `name` to `columns`, which have no other of that name.
    pub(super) fn add_column<E: serde::de::Error>(
        &mut self,
        columns: &mut Vec<usize>,
        name: &str,
    ) -> Result<usize, E> {
        match self.signature.column(name, columns.len()) {
            None => self.invalid(format!("unknown feature {}", Echo(name))),
            Some(column) if columns.contains(&column) => {
                self.invalid(format!("feature {} is given twice", Echo(name)))
            }
            Some(column) => {
                columns.push(column);
                Ok(column)
            }
        }
    }

    /// Begins a row of unknown values.
    pub(super) fn begin_row<E: serde::de::Error>(&mut self) -> Result<usize, E> {
        if self.rows >= self.max_rows {
            let limit = self.max_rows;
            return self.fail(Error::TooManyRows(limit));
        }
        let start = self.values.len();
        // JSON has no NaN, so it marks what has not been given.
        self.values.resize(start + self.signature.width(), f64::NAN);
        Ok(start)
    }

    /// Fills what the row that begins at `start` lacks.
    pub(super) fn end_row<E: serde::de::Error>(&mut self, start: usize) -> Result<(), E> {
        for column in 0..self.signature.width() {
            if self.values[start + column].is_nan() {
                self.values[start + column] = self.fill(column, Problem::Missing)?;
            }
        }
        self.rows += 1;
        Ok(())
    }

    pub(super) fn fill<E: serde::de::Error>(
        &mut self,
        column: usize,
        problem: Problem,
    ) -> Result<f64, E> {
        match self.signature.features[column].fill {
            Some(value) => {
                self.filled.push(column);
                Ok(value)
            }
            None => self.problem(column, problem),
        }
    }
}
