//! What the model offers, what a client wants of it, and the tensors that answer.

use super::datatype::DataType;
use super::parameters::{self, BINARY_DATA, CLASSIFICATION, Parameters};
use crate::artifact::Task;
use crate::model::Predictions;
use crate::serve::encode::issue;
use crate::serve::error::{Echo, Error};
use crate::serve::served::Served;
use std::time::SystemTime;

/// A tensor that the server can answer with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Predicted class, `[rows]`.
    Outcome,
    /// Probability of each class, `[rows, classes]`.
    Probabilities,
    /// Predicted value, `[rows]`.
    Value,
    /// What to send to `/feedback`, `[rows]`.
    PredictionId,
}

impl Output {
    /// Its name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Outcome => "outcome",
            Self::Probabilities => "probabilities",
            Self::Value => "value",
            Self::PredictionId => "prediction_id",
        }
    }

    /// Outputs of the served model, in the order in which all are given.
    pub fn offered(served: &Served) -> &'static [Self] {
        match (served.signature.task, served.probe.has_probabilities()) {
            (Task::Classification, true) => {
                &[Self::Outcome, Self::Probabilities, Self::PredictionId]
            }
            (Task::Classification, false) => &[Self::Outcome, Self::PredictionId],
            (Task::Regression, _) => &[Self::Value, Self::PredictionId],
        }
    }

    /// Type of its elements.
    pub fn datatype(self, served: &Served) -> DataType {
        match self {
            Self::Outcome if served.signature.whole_classes() => DataType::Int64,
            Self::Outcome | Self::PredictionId => DataType::Bytes,
            Self::Probabilities | Self::Value => DataType::Fp64,
        }
    }

    /// Size after the first, which is the number of rows.
    pub fn inner_size(self, served: &Served) -> Option<usize> {
        match self {
            Self::Probabilities => Some(served.signature.classes.len()),
            Self::Outcome | Self::Value | Self::PredictionId => None,
        }
    }
}

/// An output that a client names.
#[derive(Debug)]
pub struct Wish<'a> {
    name: &'a str,
    /// How many of the likeliest classes to name instead.
    classes: Option<usize>,
    /// Whether it is to be bytes; None if the client does not say.
    binary: Option<bool>,
}

impl<'a> Wish<'a> {
    /// The output called `name`, as `parameters` say.
    ///
    /// # Errors
    /// `Invalid` if a parameter has no sensible value.
    pub fn new(name: &'a str, parameters: Option<&Parameters>) -> Result<Self, Error> {
        let none = Parameters::default();
        let parameters = parameters.unwrap_or(&none);
        Ok(Self {
            name,
            classes: parameters::count(parameters, CLASSIFICATION)?.filter(|classes| *classes > 0),
            binary: parameters::flag(parameters, BINARY_DATA)?,
        })
    }
}

/// An output that is to be answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Selected {
    output: Output,
    classes: Option<usize>,
    binary: Option<bool>,
}

/// The outputs that a client wants; all without a wish.
///
/// # Errors
/// `Invalid` for an output that there is not, or that is wanted twice.
pub(super) fn select(served: &Served, wishes: &[Wish<'_>]) -> Result<Vec<Selected>, Error> {
    let offered = Output::offered(served);
    if wishes.is_empty() {
        return Ok(offered.iter().copied().map(Selected::plain).collect());
    }
    let mut selected: Vec<Selected> = Vec::with_capacity(offered.len());
    for wish in wishes {
        let name = Echo(wish.name);
        let output = offered.iter().find(|output| output.as_str() == wish.name);
        let Some(output) = output.copied() else {
            let names = offered.iter().map(|output| output.as_str());
            let names = names.collect::<Vec<_>>().join(", ");
            let message = format!("no output {name}, expected some of {names}");
            return Err(Error::Invalid(message));
        };
        if selected.iter().any(|other| other.output == output) {
            return Err(Error::Invalid(format!("output {name} is wanted twice")));
        }
        if wish.classes.is_some() && output != Output::Probabilities {
            let message = format!("output {name} has no classification: probabilities may have");
            return Err(Error::Invalid(message));
        }
        let Wish {
            classes, binary, ..
        } = *wish;
        selected.push(Selected {
            output,
            classes,
            binary,
        });
    }
    Ok(selected)
}

impl Selected {
    const fn plain(output: Output) -> Self {
        Self {
            output,
            classes: None,
            binary: None,
        }
    }

    /// The tensor about `predictions`, made at `time`.
    pub(super) fn tensor(
        self,
        served: &Served,
        predictions: &Predictions,
        time: SystemTime,
    ) -> Answer {
        let values = Values::of(self.output, served, predictions, time);
        let classes = served.signature.classes.len();
        let (datatype, inner, values) = match (self.classes, values) {
            (Some(wanted), Values::Real(probabilities)) => {
                let wanted = wanted.min(classes);
                let likeliest = likeliest(served, &probabilities, wanted);
                (DataType::Bytes, Some(wanted), Values::Text(likeliest))
            }
            (_, values) => {
                let datatype = self.output.datatype(served);
                (datatype, self.output.inner_size(served), values)
            }
        };
        Answer {
            name: self.output.as_str(),
            datatype,
            shape: std::iter::once(predictions.rows()).chain(inner).collect(),
            values,
            binary: self.binary,
        }
    }
}

/// An output in any wire format.
#[derive(Debug, PartialEq)]
pub struct Answer {
    /// Name of the output.
    pub name: &'static str,
    /// Type of its elements.
    pub datatype: DataType,
    /// Sizes; the first is the number of rows.
    pub shape: Vec<usize>,
    /// Row-major elements.
    pub values: Values,
    /// Whether it is to be bytes; None if the client did not say.
    pub binary: Option<bool>,
}

/// Elements of an output.
#[derive(Debug, PartialEq)]
pub enum Values {
    /// INT64
    Whole(Vec<i64>),
    /// FP64
    Real(Vec<f64>),
    /// BYTES
    Text(Vec<String>),
}

impl Values {
    fn of(output: Output, served: &Served, predictions: &Predictions, time: SystemTime) -> Self {
        match (output, predictions) {
            (Output::PredictionId, _) => {
                let rows = 0..predictions.rows();
                let id = |row| {
                    let id = issue(served, predictions, row, time);
                    String::from_utf8_lossy(&id).into_owned()
                };
                Self::Text(rows.map(id).collect())
            }
            (Output::Outcome, Predictions::Classes { labels, .. }) => classes(served, labels),
            (Output::Probabilities, Predictions::Classes { probabilities, .. }) => {
                Self::Real(probabilities.clone().unwrap_or_default())
            }
            (Output::Value, Predictions::Values(values)) => Self::Real(values.clone()),
            // Not offered for such a model.
            (Output::Outcome | Output::Probabilities, Predictions::Values(_))
            | (Output::Value, Predictions::Classes { .. }) => Self::Real(Vec::new()),
        }
    }

    /// The elements, little-endian, without padding; texts after their length in 4 bytes.
    pub fn to_raw(&self) -> Vec<u8> {
        let mut raw = Vec::new();
        match self {
            Self::Whole(all) => all.iter().for_each(|v| raw.extend(v.to_le_bytes())),
            Self::Real(all) => all.iter().for_each(|v| raw.extend(v.to_le_bytes())),
            Self::Text(all) => {
                for text in all {
                    raw.extend((text.len() as u32).to_le_bytes());
                    raw.extend_from_slice(text.as_bytes());
                }
            }
        }
        raw
    }
}

fn classes(served: &Served, labels: &[usize]) -> Values {
    let signature = &served.signature;
    let names = labels
        .iter()
        .map(|label| signature.classes[*label].name.as_str());
    match signature.whole_classes() {
        true => Values::Whole(names.map(|name| name.parse().unwrap_or_default()).collect()),
        false => Values::Text(names.map(str::to_owned).collect()),
    }
}

/// The `wanted` likeliest classes of each row as `probability:index:class`, likeliest first.
fn likeliest(served: &Served, probabilities: &[f64], wanted: usize) -> Vec<String> {
    let classes = &served.signature.classes;
    let row = |row: &[f64]| {
        let mut order = (0..row.len()).collect::<Vec<_>>();
        order.sort_by(|a, b| row[*b].total_cmp(&row[*a]));
        let text = |at: usize| format!("{}:{at}:{}", row[at], classes[at].name);
        order.into_iter().take(wanted).map(text).collect::<Vec<_>>()
    };
    probabilities
        .chunks_exact(classes.len())
        .flat_map(row)
        .collect()
}
