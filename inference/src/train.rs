//! Table → model file.

pub mod data;
pub mod fit;
pub mod parameters;
pub mod profile;
pub mod save;
pub mod split;

use crate::artifact::{
    Algorithm, FORMAT, Golden, GoldenOutput, Manifest, ModelFile, Profile, Reference, Report, Task,
    Training,
};
use crate::engine::{self, Defect, Shape};
use crate::model::{Batch, BatchError, Model, Predictions};
use crate::report::report;
use crate::table::Table;
use data::{Data, DataError, Frame};
use fit::{FitError, Fitted};
use split::Split;

/// Held-out rows that go into the file with their predictions.
const GOLDEN_ROWS: usize = 8;

/// What to learn, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// Column to predict.
    pub target: String,
    /// How.
    pub algorithm: Algorithm,
    /// What; derived from the target if None, see [`data::MOST_CLASSES_BY_DEFAULT`].
    pub task: Option<Task>,
    /// Name of the model.
    pub name: String,
    /// Version of the model, if it is to have one of its own.
    pub version: Option<String>,
    /// Seed of the split and of the algorithm.
    pub seed: u64,
    /// Share of the rows to hold out, above 0 and below 1.
    pub test_share: f64,
    /// Whether empty cells are filled with the median of their column.
    pub impute_missing: bool,
    /// Hyper-parameters by name.
    pub parameters: Vec<(String, String)>,
}

/// What training is busy with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Checking and splitting the data.
    Prepare,
    /// Fitting the estimator.
    Fit,
    /// Predicting the held-out rows.
    Evaluate,
    /// Writing down the reference distributions.
    Profile,
}

impl Step {
    /// Every step, in order.
    pub const ALL: [Self; 4] = [Self::Prepare, Self::Fit, Self::Evaluate, Self::Profile];

    /// As a person reads it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Prepare => "checking and splitting the data",
            Self::Fit => "fitting",
            Self::Evaluate => "predicting the held-out rows",
            Self::Profile => "profiling",
        }
    }
}

/// Why there is no model.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The fit.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// An estimator that would not load.
    #[error("the fitted estimator cannot be served")]
    Defect(#[from] Defect),
    /// Rows that are none.
    #[error("the data cannot be predicted")]
    Batch(#[from] BatchError),
    /// Predictions of the wrong kind.
    #[error("the model predicts something else than the target")]
    OtherTask,
    /// A prediction that is not finite.
    #[error("the model predicts {0} for a held-out row: the data cannot be learnt this way")]
    NotFinite(f64),
}

/// Trains a model on `table`; the same table and options give the same file, byte for byte.
///
/// # Errors
/// [`TrainError`], which says what is wrong with the data or the options; never a panic.
pub fn train(
    table: &Table,
    options: &Options,
    mut progress: impl FnMut(Step),
) -> Result<ModelFile, TrainError> {
    progress(Step::Prepare);
    let frame = Frame::new(table, &options.target, options.task, options.impute_missing)?;
    let split = split::split(&frame.target.groups(), options.test_share, options.seed);
    let features = frame.features(&split.train)?;
    let seen = frame.rows(&split.train, &features);
    let held_out = frame.rows(&split.test, &features);

    progress(Step::Fit);
    let fitted = fit::fit(options.algorithm, &seen, &options.parameters, options.seed)?;

    progress(Step::Evaluate);
    let shape = shape(options, &seen);
    let model = engine::build(shape, fitted.scaling.as_ref(), fitted.estimator.get())?;
    let batch = Batch::new(held_out.values.clone(), shape.features)?;
    let predictions = model.predict(&batch);
    let report = evaluate(&predictions, &held_out)?;

    progress(Step::Profile);
    let manifest = Manifest {
        name: options.name.clone(),
        version: options.version.clone(),
        task: seen.target.task(),
        algorithm: options.algorithm,
        target: options.target.clone(),
        features,
        classes: seen.target.names().to_vec(),
        training: training(options, &split, report, &fitted),
        reference: reference(&seen, &predictions),
    };
    Ok(ModelFile {
        format: FORMAT,
        manifest,
        golden: golden(&*model, &batch)?,
        scaling: fitted.scaling,
        estimator: fitted.estimator,
    })
}

fn shape(options: &Options, data: &Data) -> Shape {
    Shape {
        task: data.target.task(),
        algorithm: options.algorithm,
        features: data.features.len(),
        classes: data.target.names().len(),
    }
}

fn evaluate(predictions: &Predictions, held_out: &Data) -> Result<Report, TrainError> {
    check_finite(predictions)?;
    report(predictions, &held_out.target).ok_or(TrainError::OtherTask)
}

fn check_finite(predictions: &Predictions) -> Result<(), TrainError> {
    let numbers = match predictions {
        Predictions::Values(values) => values.as_slice(),
        Predictions::Classes { probabilities, .. } => probabilities.as_deref().unwrap_or_default(),
    };
    match numbers.iter().find(|number| !number.is_finite()) {
        None => Ok(()),
        Some(number) => Err(TrainError::NotFinite(*number)),
    }
}

fn training(options: &Options, split: &Split, report: Report, fitted: &Fitted) -> Training {
    Training {
        rows: split.train.len(),
        test_rows: split.test.len(),
        seed: options.seed,
        parameters: fitted.parameters.clone(),
        report,
    }
}

fn reference(seen: &Data, held_out: &Predictions) -> Reference {
    let columns = seen.features.len();
    let column = |index| -> Vec<f64> {
        let values = seen.values.iter().skip(index).step_by(columns);
        values.copied().collect()
    };
    Reference {
        features: (0..columns)
            .map(|index| Profile::of(&column(index)))
            .collect(),
        prediction: Profile::of(&profile::watched(held_out)),
    }
}

/// Each row is predicted alone, as it will be when the file is loaded.
fn golden(model: &dyn Model, batch: &Batch) -> Result<Vec<Golden>, TrainError> {
    let rows = batch.iter().take(GOLDEN_ROWS);
    rows.map(|row| {
        let alone = Batch::new(row.to_vec(), row.len())?;
        let output = GoldenOutput::of(model.predict(&alone)).ok_or(TrainError::OtherTask)?;
        Ok(Golden {
            input: row.to_vec(),
            output,
        })
    })
    .collect()
}

impl GoldenOutput {
    /// The first row of `predictions`.
    pub fn of(predictions: Predictions) -> Option<Self> {
        match predictions {
            Predictions::Values(values) => values.first().copied().map(Self::Value),
            Predictions::Classes {
                labels,
                probabilities,
            } => labels.first().map(|label| Self::Class {
                label: *label,
                probabilities,
            }),
        }
    }
}
