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

    /// The batch as at most `parts` batches of about as many rows each, in order.
    pub fn split(&self, parts: usize) -> Vec<Self> {
        let rows = self.rows().div_ceil(parts.max(1));
        let chunks = self.values.chunks(rows * self.columns);
        let columns = self.columns;
        chunks
            .map(|values| Self {
                values: values.to_vec(),
                columns,
            })
            .collect()
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
    /// Adds the predictions of the rows that come after these. Both are of one model.
    pub fn append(&mut self, next: Self) {
        match (self, next) {
            (
                Self::Classes {
                    labels,
                    probabilities,
                },
                Self::Classes {
                    labels: more,
                    probabilities: likely,
                },
            ) => {
                labels.extend(more);
                if let (Some(probabilities), Some(likely)) = (probabilities, likely) {
                    probabilities.extend(likely);
                }
            }
            (Self::Values(values), Self::Values(more)) => values.extend(more),
            (Self::Classes { .. }, Self::Values(_)) | (Self::Values(_), Self::Classes { .. }) => {}
        }
    }

    /// Number of rows predicted.
    pub fn rows(&self) -> usize {
        match self {
            Self::Classes { labels, .. } => labels.len(),
            Self::Values(values) => values.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(1, &[7])]
    #[case(2, &[4, 3])]
    #[case(3, &[3, 3, 1])]
    #[case(7, &[1; 7])]
    #[case(100, &[1; 7])]
    #[case(0, &[7])]
    fn a_batch_is_split_by_rows(#[case] parts: usize, #[case] rows: &[usize]) {
        let values: Vec<f64> = (0..14).map(f64::from).collect();
        let batch = Batch::new(values.clone(), 2).unwrap();
        let split = batch.split(parts);
        assert!(split.iter().map(Batch::rows).eq(rows.iter().copied()));
        let joined = split.iter().flat_map(|part| part.values().to_vec());
        assert!(joined.eq(values));
    }

    #[test]
    fn predictions_are_joined_in_order() {
        let part = |label, probabilities: &[f64]| Predictions::Classes {
            labels: vec![label],
            probabilities: Some(probabilities.to_vec()),
        };
        let mut first = part(1, &[0.2, 0.8]);
        first.append(part(0, &[0.9, 0.1]));
        let expected = Predictions::Classes {
            labels: vec![1, 0],
            probabilities: Some(vec![0.2, 0.8, 0.9, 0.1]),
        };
        assert_eq!(first, expected);
        let mut values = Predictions::Values(vec![1.0]);
        values.append(Predictions::Values(vec![2.0]));
        assert_eq!(values, Predictions::Values(vec![1.0, 2.0]));
    }
}
