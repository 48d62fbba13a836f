//! Table → rows as the model takes them, and how widely each of their columns spreads.

use crate::names::listed;
use crate::table::{Table, TableError};
use std::collections::HashSet;

/// Why a table has no rows for the model.
#[derive(Debug, thiserror::Error)]
pub enum RowsError {
    /// The table itself.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Columns that the model takes.
    #[error("the data lacks {missing}; the model takes {taken}")]
    Missing {
        /// Features without a column.
        missing: String,
        /// All features.
        taken: String,
    },
    /// Nothing to shift by.
    #[error("every column has one value only: there is no standard deviation for --drift")]
    NoSpread,
}

/// Rows of numbers, columns in the model's order.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// Columns of a row, at least 1.
    pub width: usize,
    /// `rows × width`, row-major; None where a cell is empty.
    pub values: Vec<Option<f64>>,
    /// Standard deviation of each column, 0 if all its values are the same.
    pub spreads: Vec<f64>,
    /// Columns of the table that the model does not take, but for the target.
    pub ignored: Vec<String>,
}

impl Rows {
    /// Takes the columns named `features` from `table`, but not `target`.
    ///
    /// # Errors
    /// [`RowsError`] naming the column or the cell in the way.
    pub fn new(
        table: &Table,
        target: Option<&str>,
        features: &[String],
    ) -> Result<Self, RowsError> {
        if let Some(target) = target {
            table.column(target)?;
        }
        let is_target = |column: &String| Some(column.as_str()) == target;
        let columns = table.columns().iter().filter(|column| !is_target(column));
        let columns: Vec<&String> = columns.collect();
        check_complete(&columns, features)?;
        let numbers = features.iter().map(|feature| {
            let column = table.column(feature)?;
            table.numbers(column)
        });
        let numbers = numbers.collect::<Result<Vec<_>, _>>()?;
        let ignored = columns
            .into_iter()
            .filter(|column| !features.contains(column));
        Ok(Self {
            width: features.len(),
            values: (0..table.rows())
                .flat_map(|row| numbers.iter().map(move |column| column[row]))
                .collect(),
            spreads: numbers.iter().map(|column| spread(column)).collect(),
            ignored: ignored.cloned().collect(),
        })
    }

    /// Number of rows, at least 1.
    pub fn count(&self) -> usize {
        self.values.len() / self.width
    }

    /// Row `index`, from 0.
    pub fn row(&self, index: usize) -> &[Option<f64>] {
        &self.values[index * self.width..][..self.width]
    }
}

fn check_complete(columns: &[&String], features: &[String]) -> Result<(), RowsError> {
    let there: HashSet<&String> = columns.iter().copied().collect();
    let missing = features.iter().filter(|feature| !there.contains(feature));
    let missing: Vec<&str> = missing.map(String::as_str).collect();
    match missing.is_empty() {
        true => Ok(()),
        false => Err(RowsError::Missing {
            missing: listed(missing),
            taken: listed(features.iter().map(String::as_str)),
        }),
    }
}

fn spread(column: &[Option<f64>]) -> f64 {
    let values = || column.iter().flatten();
    let count = values().count().max(1) as f64;
    let mean = values().sum::<f64>() / count;
    let squares: f64 = values().map(|value| (value - mean).powi(2)).sum();
    (squares / count).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn rows(text: &str, target: Option<&str>) -> Result<Rows, RowsError> {
        let features = ["a", "b"].map(str::to_owned);
        Rows::new(&Table::read(text.as_bytes()).unwrap(), target, &features)
    }

    #[test]
    fn columns_are_taken_by_name_and_empty_cells_stay_empty() {
        let rows = rows("y,b,x,a\n1,10,0,1\n0,,0,3\n", Some("y")).unwrap();
        let values = [Some(1.0), Some(10.0), Some(3.0), None];
        assert_eq!(rows.values, values);
        assert_eq!((rows.count(), rows.row(1)), (2, &values[2..]));
        assert_eq!(rows.spreads, [1.0, 0.0]);
        assert_eq!(rows.ignored, ["x"]);
    }

    #[rstest]
    #[case("a,c\n1,2\n", None, "the data lacks b; the model takes a, b")]
    #[case("a,b\n1,2\n", Some("b"), "the data lacks b; the model takes a, b")]
    #[case(
        "a,b\n1,2\n",
        Some("y"),
        "there is no column \"y\"; the columns are: a, b"
    )]
    #[case("a,b\n1,2\n3,x\n", None, "line 3, column \"b\": \"x\" is not a number")]
    fn what_is_not_there_is_named(
        #[case] text: &str,
        #[case] target: Option<&str>,
        #[case] message: &str,
    ) {
        assert_eq!(rows(text, target).unwrap_err().to_string(), message);
    }

    #[test]
    fn a_column_that_the_model_does_not_take_may_hold_text() {
        let rows = rows("a,b,name\n1,2,Ada\n", None).unwrap();
        assert_eq!(rows.ignored, ["name"]);
    }
}
