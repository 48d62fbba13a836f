//! What every model is to the server: rows in, predictions out, synchronously.

use std::fmt::Debug;

/// A trained model, ready to predict. The server never knows the algorithm behind it.
pub trait Model: Send + Sync + Debug {
    /// Predicts every row of `batch`, in order.
    ///
    /// `batch` has the model's number of columns and only finite numbers: [`Batch::new`] and the
    /// signature check see to that. Never panics on such a batch.
    fn predict(&self, batch: &Batch) -> Predictions;
}

/// Rows of finite numbers: `rows × columns`, row-major, at least one row and one column.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    values: Vec<f64>,
    columns: usize,
}

/// Why values do not make a [`Batch`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// No rows or no columns.
    #[error("a batch needs at least one row and one column")]
    Empty,
    /// The number of values is not a multiple of the columns.
    #[error("{values} values do not fill rows of {columns} columns")]
    Ragged {
        /// Number of values given.
        values: usize,
        /// Columns of a row.
        columns: usize,
    },
    /// NaN or an infinity.
    #[error("row {row}, column {column} is not a finite number")]
    NotFinite {
        /// Row, from 0.
        row: usize,
        /// Column, from 0.
        column: usize,
    },
}

impl Batch {
    /// Makes a batch of row-major `values`.
    pub fn new(values: Vec<f64>, columns: usize) -> Result<Self, BatchError> {
        if values.is_empty() || columns == 0 {
            return Err(BatchError::Empty);
        }
        if !values.len().is_multiple_of(columns) {
            return Err(BatchError::Ragged {
                values: values.len(),
                columns,
            });
        }
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            return Err(BatchError::NotFinite {
                row: at / columns,
                column: at % columns,
            });
        }
        Ok(Self { values, columns })
    }

    /// The batch with other values. `map` keeps their number and their being finite.
    pub(crate) fn map(&self, map: impl FnOnce(&[f64]) -> Vec<f64>) -> Self {
        let (values, columns) = (map(&self.values), self.columns);
        debug_assert_eq!(values.len(), self.values.len());
        Self { values, columns }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.values.len() / self.columns
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// All values, row-major.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The rows in order, each of [`Batch::columns`] values.
    pub fn iter(&self) -> std::slice::ChunksExact<'_, f64> {
        self.values.chunks_exact(self.columns)
    }
}

/// What a model says about every row of a batch, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Predictions {
    /// Classification.
    Classes {
        /// Index of the predicted class, one per row.
        labels: Vec<usize>,
        /// `rows × classes`, row-major; each row sums to 1. None if the algorithm has none.
        probabilities: Option<Vec<f64>>,
    },
    /// Regression: one value per row.
    Values(Vec<f64>),
}

impl Predictions {
    /// Number of rows predicted.
    pub fn rows(&self) -> usize {
        match self {
            Self::Classes { labels, .. } => labels.len(),
            Self::Values(values) => values.len(),
        }
    }
}
