//! Support vector machines: smartcore fits them, and what it found is taken out of it.

use super::FitError;
use crate::artifact::Algorithm;
use crate::engine::{Kernel, Machine, Machines, Matrix, pairs};
use crate::train::parameters::{Svc, Svr};
use serde::Serialize;
use smartcore::linalg::basic::arrays::{Array, Array2};
use smartcore::svm::Kernels;
use smartcore::svm::svc::{SVC, SVCParameters};
use smartcore::svm::svr::{SVR, SVRParameters};

/// One machine per pair of classes. smartcore's own one-versus-one breaks ties by the order of a
/// hash map, which differs from run to run, so the machines are fitted here one by one.
pub(super) fn classifier(
    x: &Matrix,
    y: &[u32],
    classes: usize,
    p: Svc,
    seed: u64,
) -> Result<Machines, FitError> {
    let kernel = p.kernel.kernel(p.gamma, x.shape().1);
    let smartcore = SVCParameters::<f64, u32, Matrix, Vec<u32>>::default()
        .with_c(p.c.into())
        .with_tol(p.tolerance.into())
        .with_epoch(p.epochs.get().into())
        .with_kernel(Kernels::from(kernel))
        .with_seed(Some(seed));
    let machines: Result<_, FitError> = pairs(classes)
        .map(|(lower, higher)| {
            let of_pair = |row: &usize| [lower, higher].contains(&(y[*row] as usize));
            let rows: Vec<usize> = (0..y.len()).filter(of_pair).collect();
            enough(rows.len(), x.shape().1)?;
            let (x, y) = (x.take(&rows, 0), rows.iter().map(|row| y[*row]).collect());
            machine(&SVC::fit(&x, &y, &smartcore)?)
        })
        .collect();
    Ok(Machines {
        kernel,
        machines: machines?,
    })
}

/// One machine.
pub(super) fn regressor(x: &Matrix, y: &Vec<f64>, p: Svr) -> Result<Machines, FitError> {
    let (rows, features) = x.shape();
    enough(rows, features)?;
    let kernel: Kernel = p.kernel.kernel(p.gamma, features);
    let smartcore = SVRParameters::default()
        .with_c(p.c.into())
        .with_tol(p.tolerance.into())
        .with_eps(p.epsilon.into())
        .with_kernel(kernel.into());
    Ok(Machines {
        kernel,
        machines: vec![machine(&SVR::fit(x, y, &smartcore)?)?],
    })
}

/// smartcore cuts its support vectors off after as many values as there are rows.
fn enough(rows: usize, features: usize) -> Result<(), FitError> {
    if rows >= features {
        return Ok(());
    }
    Err(FitError::Data {
        algorithm: Algorithm::Svm,
        problem: format!("{rows} rows to train on are fewer than the {features} features"),
    })
}

fn machine(fitted: &impl Serialize) -> Result<Machine, FitError> {
    Ok(serde_json::from_value(serde_json::to_value(fitted)?)?)
}
