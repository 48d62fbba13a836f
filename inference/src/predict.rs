//! Rows of a table → predictions, by hand instead of by HTTP.

use crate::artifact::Manifest;
use crate::load::LoadedModel;
use crate::model::{Batch, BatchError, Predictions};
use crate::names::listed;
use crate::table::{CellProblem, Table, TableError};
use serde_json::{Map, Value, json};
use std::collections::HashSet;

/// Why rows cannot be predicted.
#[derive(Debug, thiserror::Error)]
pub enum RowsError {
    /// The table itself.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Columns that the model needs.
    #[error("the data lacks {missing}; the model needs {needed}; the data has {found}")]
    Missing {
        /// Features without a column.
        missing: String,
        /// All features.
        needed: String,
        /// The columns there are.
        found: String,
    },
    /// A number that is none.
    #[error(transparent)]
    Batch(#[from] BatchError),
}

/// The rows of `table` as the model takes them: features found by name, holes filled as in training.
///
/// # Errors
/// [`RowsError`] naming the columns or the cell in the way.
pub fn rows(manifest: &Manifest, table: &Table) -> Result<Batch, RowsError> {
    let features = &manifest.features;
    let there: HashSet<&String> = table.columns().iter().collect();
    let names = || features.iter().map(|feature| feature.name.as_str());
    let missing: Vec<&str> = names()
        .filter(|name| !there.contains(&(*name).to_owned()))
        .collect();
    if !missing.is_empty() {
        return Err(RowsError::Missing {
            missing: listed(missing),
            needed: listed(names()),
            found: listed(table.columns().iter().map(String::as_str)),
        });
    }
    let mut values = vec![0.0; table.rows() * features.len()];
    for (index, feature) in features.iter().enumerate() {
        let column = table.column(&feature.name)?;
        for (row, value) in table.numbers(column)?.into_iter().enumerate() {
            let value = value.or(feature.fill);
            let hole = || table.bad_cell(row, column, CellProblem::Empty);
            values[row * features.len() + index] = value.ok_or_else(hole)?;
        }
    }
    Ok(Batch::new(values, features.len())?)
}

/// Columns of `table` that the model does not look at.
pub fn ignored<'a>(manifest: &Manifest, table: &'a Table) -> Vec<&'a str> {
    let used: HashSet<&str> = manifest
        .features
        .iter()
        .map(|feature| feature.name.as_str())
        .collect();
    let columns = table.columns().iter().map(String::as_str);
    columns.filter(|column| !used.contains(column)).collect()
}

/// Predicts `batch` and says it in JSON, one value per row: `{"outcome", "probabilities"}` or
/// `{"value"}`.
pub fn predict(model: &LoadedModel, batch: &Batch) -> Vec<Value> {
    let classes = &model.manifest.classes;
    match model.model.predict(batch) {
        Predictions::Values(values) => values
            .iter()
            .map(|value| json!({ "value": value }))
            .collect(),
        Predictions::Classes {
            labels,
            probabilities: None,
        } => labels
            .iter()
            .map(|label| json!({"outcome": class(&classes[*label])}))
            .collect(),
        Predictions::Classes {
            labels,
            probabilities: Some(probabilities),
        } => {
            let rows = labels.iter().zip(probabilities.chunks(classes.len()));
            rows.map(|(label, shares)| {
                let shares = classes
                    .iter()
                    .cloned()
                    .zip(shares.iter().map(|share| json!(share)));
                json!({
                    "outcome": class(&classes[*label]),
                    "probabilities": Map::from_iter(shares),
                })
            })
            .collect()
        }
    }
}

/// A class name in JSON: a number if it is a whole one, else text.
pub fn class(name: &str) -> Value {
    match name.parse::<i64>() {
        Ok(number) if number.to_string() == name => json!(number),
        _ => json!(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_class_that_is_written_like_a_number_is_one() {
        assert_eq!(class("1"), json!(1));
        assert_eq!(class("-3"), json!(-3));
        for name in ["01", "+1", "1.0", "yes", ""] {
            assert_eq!(class(name), json!(name));
        }
    }
}
