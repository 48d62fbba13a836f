//! Support vector machines. smartcore can neither save its own nor share them between threads, so
//! what it found (support vectors, weights, bias) is kept with the kernel and evaluated here.

use super::{Defect, Shape, fields, finite, length};
use crate::artifact::Task;
use crate::model::{Batch, Model, Predictions};
use serde::{Deserialize, Serialize};

/// Similarity of two rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Kernel {
    /// `x · y`
    Linear,
    /// `e^(-gamma ‖x - y‖²)`
    Rbf {
        /// How fast similarity falls with distance.
        gamma: f64,
    },
}

impl Kernel {
    /// In smartcore's order of operations, so that not one bit differs.
    fn apply(self, row: &[f64], vector: &[f64]) -> f64 {
        let pairs = row.iter().zip(vector);
        match self {
            Self::Linear => pairs.map(|(x, y)| x * y).sum(),
            Self::Rbf { gamma } => {
                let squares = pairs.map(|(x, y)| (x - y) * (x - y));
                (-gamma * squares.sum::<f64>()).exp()
            }
        }
    }
}

/// The estimator of a support vector machine: one machine for regression, one per pair of classes
/// for classification.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machines {
    /// The kernel of all of them.
    pub kernel: Kernel,
    /// In the order of the pairs (0, 1), (0, 2), …, (1, 2), ….
    pub machines: Vec<Machine>,
}

/// `bias + Σ weight · kernel(row, vector)`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Machine {
    /// Support vectors, as long as a row.
    #[serde(rename = "instances")]
    pub vectors: Vec<Vec<f64>>,
    /// One weight per support vector.
    #[serde(rename = "w")]
    pub weights: Vec<f64>,
    /// The constant part.
    #[serde(rename = "b")]
    pub bias: f64,
}

impl Machine {
    fn decide(&self, kernel: Kernel, row: &[f64]) -> f64 {
        let terms = self.weights.iter().zip(&self.vectors);
        terms.fold(self.bias, |sum, (weight, vector)| {
            sum + weight * kernel.apply(row, vector)
        })
    }

    fn check(&self, features: usize) -> Result<(), Defect> {
        length(
            "support vector weights",
            self.weights.len(),
            self.vectors.len(),
        )?;
        finite("bias", &[self.bias])?;
        finite("support vector weights", &self.weights)?;
        for vector in &self.vectors {
            length("values of a support vector", vector.len(), features)?;
            finite("a support vector", vector)?;
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Regression {
    kernel: Kernel,
    machine: Machine,
}

impl Model for Regression {
    fn predict(&self, batch: &Batch) -> Predictions {
        let decide = |row| self.machine.decide(self.kernel, row);
        Predictions::Values(batch.iter().map(decide).collect())
    }
}

#[derive(Debug)]
struct OneVersusOne {
    kernel: Kernel,
    /// Lower class, higher class, and the machine that decides between them.
    duels: Vec<(usize, usize, Machine)>,
    classes: usize,
}

impl OneVersusOne {
    /// The class that wins most duels, the lowest one among equals.
    fn label(&self, row: &[f64]) -> usize {
        let mut wins = vec![0_u32; self.classes];
        for (lower, higher, machine) in &self.duels {
            let won = machine.decide(self.kernel, row) > 0.0;
            wins[if won { *higher } else { *lower }] += 1;
        }
        let ranked = wins.iter().enumerate();
        let best = ranked.max_by_key(|(class, wins)| (**wins, std::cmp::Reverse(*class)));
        best.map_or(0, |(class, _)| class)
    }
}

impl Model for OneVersusOne {
    fn predict(&self, batch: &Batch) -> Predictions {
        Predictions::Classes {
            labels: batch.iter().map(|row| self.label(row)).collect(),
            probabilities: None,
        }
    }
}

/// Pairs of classes, lower first, in the order of [`Machines::machines`].
pub(crate) fn pairs(classes: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..classes).flat_map(move |lower| (lower + 1..classes).map(move |higher| (lower, higher)))
}

/// Support vector machines for either task.
pub(super) fn machines(shape: Shape, estimator: &str) -> Result<Box<dyn Model>, Defect> {
    let Machines {
        kernel,
        mut machines,
    } = fields(shape, estimator)?;
    if matches!(kernel, Kernel::Rbf { gamma } if !(gamma > 0.0 && gamma.is_finite())) {
        return Err(Defect::structure("gamma is not a finite number above 0"));
    }
    for machine in &machines {
        machine.check(shape.features)?;
    }
    if shape.task == Task::Classification {
        let pairs: Vec<_> = pairs(shape.classes).collect();
        length("machines", machines.len(), pairs.len())?;
        let duels = pairs.into_iter().zip(machines);
        return Ok(Box::new(OneVersusOne {
            kernel,
            duels: duels.map(|((a, b), machine)| (a, b, machine)).collect(),
            classes: shape.classes,
        }));
    }
    let only = machines.pop().filter(|_| machines.is_empty());
    let machine = only.ok_or_else(|| Defect::structure("regression takes exactly one machine"))?;
    Ok(Box::new(Regression { kernel, machine }))
}
