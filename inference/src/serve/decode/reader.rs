//! The state of reading a body: rows so far, and the first thing that is wrong.

use super::Rows;
use crate::serve::error::{Error, Problem};
use crate::serve::signature::Signature;

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
    /// Whether the rows are those of a list.
    pub(super) in_list: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(signature: &'a Signature, max_rows: usize) -> Self {
        Self {
            signature,
            max_rows,
            rows: 0,
            values: Vec::with_capacity(signature.width()),
            filled: Vec::new(),
            column: None,
            fault: None,
            in_list: false,
        }
    }

    pub(super) fn finish(self) -> Rows {
        Rows {
            values: self.values,
            filled: self.filled,
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

    pub(super) fn explain(self, error: &serde_json::Error) -> Error {
        if let Some(fault) = self.fault {
            return fault;
        }
        match self.column {
            // The parser's only complaint about a well-formed number.
            Some(column) if error.to_string().starts_with("number out of range") => {
                let problem = Problem::NotFinite;
                self.signature.fault(self.rows, column, problem)
            }
            _ if error.is_data() && self.in_list => {
                let row = self.rows;
                let expected = "expected an object of features or a list of numbers";
                Error::Invalid(format!("row {row}: {expected}"))
            }
            _ if error.is_data() => Error::Invalid(super::EXPECTED.to_owned()),
            _ => Error::Json(error.to_string()),
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
