//! What the model offers, and answers in that form.

use super::request::Requested;
use crate::artifact::Task;
use crate::model::Predictions;
use crate::serve::encode::{issue, write_number};
use crate::serve::error::{Echo, Error};
use crate::serve::served::Served;
use serde_json::{Value, json};
use std::time::SystemTime;

/// Element type of a tensor, by the protocol's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum DataType {
    Bool,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Int8,
    Int16,
    Int32,
    Int64,
    Fp32,
    Fp64,
    Bytes,
}

impl DataType {
    /// Those that a feature can have.
    pub const INPUTS: [Self; 11] = [
        Self::Bool,
        Self::Uint8,
        Self::Uint16,
        Self::Uint32,
        Self::Uint64,
        Self::Int8,
        Self::Int16,
        Self::Int32,
        Self::Int64,
        Self::Fp32,
        Self::Fp64,
    ];

    /// The protocol's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bool => "BOOL",
            Self::Uint8 => "UINT8",
            Self::Uint16 => "UINT16",
            Self::Uint32 => "UINT32",
            Self::Uint64 => "UINT64",
            Self::Int8 => "INT8",
            Self::Int16 => "INT16",
            Self::Int32 => "INT32",
            Self::Int64 => "INT64",
            Self::Fp32 => "FP32",
            Self::Fp64 => "FP64",
            Self::Bytes => "BYTES",
        }
    }

    /// The type of this name that a feature can have.
    pub fn of_input(name: &str) -> Option<Self> {
        let mut inputs = Self::INPUTS.into_iter();
        inputs.find(|datatype| datatype.as_str() == name)
    }

    /// Smallest and largest whole number; None for types that are not whole numbers.
    const fn range(self) -> Option<(i128, i128)> {
        match self {
            Self::Uint8 => Some((0, u8::MAX as i128)),
            Self::Uint16 => Some((0, u16::MAX as i128)),
            Self::Uint32 => Some((0, u32::MAX as i128)),
            Self::Uint64 => Some((0, u64::MAX as i128)),
            Self::Int8 => Some((i8::MIN as i128, i8::MAX as i128)),
            Self::Int16 => Some((i16::MIN as i128, i16::MAX as i128)),
            Self::Int32 => Some((i32::MIN as i128, i32::MAX as i128)),
            Self::Int64 => Some((i64::MIN as i128, i64::MAX as i128)),
            Self::Bool | Self::Fp32 | Self::Fp64 | Self::Bytes => None,
        }
    }

    /// `value` as an element of this type, if it can be one.
    pub fn real(self, value: f64) -> Option<f64> {
        match self {
            Self::Fp32 => (value.abs() <= f64::from(f32::MAX)).then_some(value),
            Self::Fp64 => Some(value),
            Self::Bool | Self::Bytes => None,
            // 3.0 is a whole number in JSON.
            _ if value.fract() == 0.0 && value.abs() < 9e15 => self.whole(value as i128),
            _ => None,
        }
    }

    /// `value` as an element of this type, if it can be one.
    pub fn whole(self, value: i128) -> Option<f64> {
        match (self, self.range()) {
            (_, Some((low, high))) => (low..=high).contains(&value).then_some(value as f64),
            (Self::Fp32 | Self::Fp64, None) => Some(value as f64),
            (Self::Bool, None) => matches!(value, 0 | 1).then_some(value as f64),
            (_, None) => None,
        }
    }

    /// `value` as an element of this type, if it can be one.
    pub fn boolean(self, value: bool) -> Option<f64> {
        (self == Self::Bool).then_some(f64::from(u8::from(value)))
    }
}

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

    fn datatype(self, served: &Served) -> DataType {
        match self {
            Self::Outcome if served.signature.whole_classes() => DataType::Int64,
            Self::Outcome | Self::PredictionId => DataType::Bytes,
            Self::Probabilities | Self::Value => DataType::Fp64,
        }
    }

    /// Sizes after the first, which is the number of rows.
    fn inner_shape(self, served: &Served) -> Vec<usize> {
        match self {
            Self::Probabilities => vec![served.signature.classes.len()],
            Self::Outcome | Self::Value | Self::PredictionId => Vec::new(),
        }
    }
}

/// The outputs that a client wants; all without a wish.
pub(super) fn select(
    served: &Served,
    wanted: Option<&[Requested<'_>]>,
) -> Result<Vec<Output>, Error> {
    let offered = Output::offered(served);
    let Some(wanted) = wanted.filter(|wanted| !wanted.is_empty()) else {
        return Ok(offered.to_vec());
    };
    let mut selected = Vec::with_capacity(offered.len());
    for Requested { name } in wanted {
        let output = offered.iter().find(|output| output.as_str() == name);
        match output {
            Some(output) if !selected.contains(output) => selected.push(*output),
            Some(_) => {
                let message = format!("output {} is wanted twice", Echo(name));
                return Err(Error::Invalid(message));
            }
            None => {
                let names = offered.iter().map(|output| output.as_str());
                let names = names.collect::<Vec<_>>().join(", ");
                let message = format!("no output {}, expected some of {names}", Echo(name));
                return Err(Error::Invalid(message));
            }
        }
    }
    Ok(selected)
}

/// Model metadata: the inputs are the features, each of which may be a tensor of its own.
pub(super) fn metadata(served: &Served) -> Value {
    let inputs = served.signature.features.iter().map(|feature| {
        json!({ "name": feature.name, "datatype": DataType::Fp64.as_str(), "shape": [-1, 1] })
    });
    let outputs = Output::offered(served).iter().map(|output| {
        let mut shape = vec![json!(-1)];
        shape.extend(output.inner_shape(served).into_iter().map(Value::from));
        json!({ "name": output.as_str(), "datatype": output.datatype(served).as_str(), "shape": shape })
    });
    let width = served.signature.width();
    json!({
        "name": served.model.name,
        "versions": [served.model.version],
        "platform": "smartcore_json",
        "inputs": inputs.collect::<Vec<_>>(),
        "outputs": outputs.collect::<Vec<_>>(),
        "properties": {
            "algorithm": served.model.manifest.algorithm,
            "task": served.model.manifest.task,
            "one_tensor": format!("[-1, {width}]: all inputs in one tensor, columns in this order"),
        },
    })
}

/// Writes answers about predictions made at one time.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    served: &'a Served,
    predictions: &'a Predictions,
    time: SystemTime,
    out: Vec<u8>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(served: &'a Served, predictions: &'a Predictions, time: SystemTime) -> Self {
        Self {
            served,
            predictions,
            time,
            out: Vec::with_capacity(256 + predictions.rows() * 128),
        }
    }

    /// The answer as JSON.
    pub(super) fn write(mut self, id: &str, outputs: &[Output]) -> Vec<u8> {
        let head = json!({
            "model_name": self.served.model.name,
            "model_version": self.served.model.version,
            "id": id,
        })
        .to_string();
        self.text(head.trim_end_matches('}'));
        self.text(",\"outputs\":[");
        for (at, output) in outputs.iter().enumerate() {
            self.text(if at == 0 { "" } else { "," });
            self.output(*output);
        }
        self.text("]}");
        self.out
    }

    fn output(&mut self, output: Output) {
        let mut shape = vec![self.predictions.rows()];
        shape.extend(output.inner_shape(self.served));
        let datatype = output.datatype(self.served).as_str();
        let head = json!({ "name": output.as_str(), "datatype": datatype, "shape": shape });
        self.text(head.to_string().trim_end_matches('}'));
        self.text(",\"data\":[");
        match (output, self.predictions) {
            (Output::PredictionId, _) => self.ids(),
            (Output::Outcome, Predictions::Classes { labels, .. }) => self.classes(labels),
            (Output::Probabilities, Predictions::Classes { probabilities, .. }) => {
                self.numbers(probabilities.as_deref().unwrap_or_default());
            }
            (Output::Value, Predictions::Values(values)) => self.numbers(values),
            // Not offered for such a model.
            (Output::Outcome | Output::Probabilities, Predictions::Values(_))
            | (Output::Value, Predictions::Classes { .. }) => {}
        }
        self.text("]}");
    }

    fn ids(&mut self) {
        for row in 0..self.predictions.rows() {
            let id = issue(self.served, self.predictions, row, self.time);
            self.text(if row == 0 { "\"" } else { ",\"" });
            self.out.extend_from_slice(&id);
            self.text("\"");
        }
    }

    fn classes(&mut self, labels: &[usize]) {
        let signature = &self.served.signature;
        let whole = signature.whole_classes();
        for (row, label) in labels.iter().enumerate() {
            let class = &signature.classes[*label];
            self.text(if row == 0 { "" } else { "," });
            self.text(if whole { &class.value } else { &class.key });
        }
    }

    fn numbers(&mut self, numbers: &[f64]) {
        for (at, number) in numbers.iter().enumerate() {
            self.text(if at == 0 { "" } else { "," });
            write_number(&mut self.out, *number);
        }
    }

    fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }
}
