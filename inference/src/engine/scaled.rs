//! Standardisation in front of an engine, for algorithms that compare features with each other.

use super::{Defect, finite, length};
use crate::artifact::Scaling;
use crate::model::{Batch, Model, Predictions};

/// Standardised values are held within this bound, so that squared distances stay finite however
/// large the row is.
const BOUND: f64 = 1e150;

impl Scaling {
    /// Learns from row-major `values` of `columns` columns.
    pub fn fit(values: &[f64], columns: usize) -> Self {
        let rows = (values.len() / columns) as f64;
        let column = |index| values.iter().skip(index).step_by(columns);
        let mean: Vec<f64> = (0..columns)
            .map(|index| column(index).sum::<f64>() / rows)
            .collect();
        let deviation = (0..columns)
            .map(|index| {
                let squares = column(index).map(|value| (value - mean[index]).powi(2));
                let deviation = (squares.sum::<f64>() / rows).sqrt();
                if deviation.is_normal() {
                    deviation
                } else {
                    1.0
                }
            })
            .collect();
        Self { mean, deviation }
    }

    /// Standard scores of row-major `values`.
    pub fn apply(&self, values: &[f64]) -> Vec<f64> {
        let scale = |(value, (mean, deviation)): (&f64, (&f64, &f64))| {
            ((value - mean) / deviation).clamp(-BOUND, BOUND)
        };
        let columns = self.mean.len();
        let parameters = || self.mean.iter().zip(&self.deviation);
        values
            .chunks_exact(columns)
            .flat_map(|row| row.iter().zip(parameters()).map(scale))
            .collect()
    }

    pub(super) fn check(&self, features: usize) -> Result<(), Defect> {
        length("scaling means", self.mean.len(), features)?;
        length("scaling deviations", self.deviation.len(), features)?;
        finite("scaling means", &self.mean)?;
        finite("scaling deviations", &self.deviation)?;
        if self.deviation.iter().all(|deviation| *deviation > 0.0) {
            return Ok(());
        }
        Err(Defect::structure("a scaling deviation is not above 0"))
    }
}

/// An engine that is given standard scores.
#[derive(Debug)]
pub(super) struct Scaled {
    scaling: Scaling,
    inner: Box<dyn Model>,
}

impl Scaled {
    pub(super) fn new(scaling: Scaling, inner: Box<dyn Model>) -> Self {
        Self { scaling, inner }
    }
}

impl Model for Scaled {
    fn predict(&self, batch: &Batch) -> Predictions {
        self.inner
            .predict(&batch.map(|values| self.scaling.apply(values)))
    }
}
