//! A saved model against data with known answers.

use crate::artifact::{Report, Task};
use crate::load::LoadedModel;
use crate::names::listed;
use crate::predict::{self, RowsError};
use crate::report::report;
use crate::table::{Table, TableError};
use crate::train::data::{Target, class_name};

/// Why a model cannot be evaluated.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// The rows.
    #[error(transparent)]
    Rows(#[from] RowsError),
    /// The target column.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A class that the model was not trained on.
    #[error("{class:?} in column {target:?} is no class of the model; its classes are: {classes}")]
    UnknownClass {
        /// The class found.
        class: String,
        /// The target column.
        target: String,
        /// The classes of the model.
        classes: String,
    },
    /// Predictions of the wrong kind.
    #[error("the model predicts something else than the target")]
    OtherTask,
}

/// Quality of the model on all rows of `table`.
///
/// # Errors
/// [`EvaluateError`] naming the column, cell or class in the way.
pub fn evaluate(model: &LoadedModel, table: &Table) -> Result<Report, EvaluateError> {
    let batch = predict::rows(&model.manifest, table)?;
    let truth = truth(model, table)?;
    report(&model.model.predict(&batch), &truth).ok_or(EvaluateError::OtherTask)
}

fn truth(model: &LoadedModel, table: &Table) -> Result<Target, EvaluateError> {
    let manifest = &model.manifest;
    let column = table.column(&manifest.target)?;
    let text = table.text(column)?;
    if manifest.task == Task::Regression {
        let values = table.numbers(column)?.into_iter().flatten().collect();
        return Ok(Target::Values(values));
    }
    let label = |text: &&str| {
        let class = class_name(text);
        let index = manifest.classes.iter().position(|name| *name == class);
        index
            .map(|index| index as u32)
            .ok_or_else(|| EvaluateError::UnknownClass {
                class,
                target: manifest.target.clone(),
                classes: listed(manifest.classes.iter().map(String::as_str)),
            })
    };
    Ok(Target::Classes {
        labels: text.iter().map(label).collect::<Result<_, _>>()?,
        names: manifest.classes.clone(),
    })
}
