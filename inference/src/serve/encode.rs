//! Predictions → JSON of `/predict`, written straight into one buffer.

use super::prediction_id::Text;
use super::served::Served;
use crate::model::Predictions;
use std::time::SystemTime;

/// Bytes of an answer, roughly: enough that most need no second allocation.
const ROW_BYTES: usize = 160;

/// What to write.
#[derive(Debug, Clone, Copy)]
pub enum Answer<'a> {
    /// The only row, as an object.
    Single(&'a Predictions),
    /// All rows, as a list in an object.
    List(&'a Predictions),
}

/// Writes answers about predictions made at one time.
#[derive(Debug)]
pub struct Encoder<'a> {
    served: &'a Served,
    time: SystemTime,
    out: Vec<u8>,
}

impl<'a> Encoder<'a> {
    /// For predictions made at `time`.
    pub const fn new(served: &'a Served, time: SystemTime) -> Self {
        Self {
            served,
            time,
            out: Vec::new(),
        }
    }

    /// The answer as JSON.
    pub fn encode(mut self, answer: Answer<'_>) -> Vec<u8> {
        match answer {
            Answer::Single(predictions) => self.single(predictions),
            Answer::List(predictions) => self.list(predictions),
        }
        self.out
    }

    fn single(&mut self, predictions: &Predictions) {
        self.out.reserve(2 * ROW_BYTES);
        self.text("{");
        self.prediction(predictions, 0);
        self.text(",\"model_version\":");
        self.text(&self.served.version_json);
        self.text(",");
        self.id(predictions, 0);
        self.text("}");
    }

    fn list(&mut self, predictions: &Predictions) {
        self.out.reserve((predictions.rows() + 1) * ROW_BYTES);
        self.text("{\"model_version\":");
        self.text(&self.served.version_json);
        self.text(",\"predictions\":[");
        for row in 0..predictions.rows() {
            self.text(if row == 0 { "{" } else { ",{" });
            self.prediction(predictions, row);
            self.text(",");
            self.id(predictions, row);
            self.text("}");
        }
        self.text("]}");
    }

    fn prediction(&mut self, predictions: &Predictions, row: usize) {
        match predictions {
            Predictions::Classes {
                labels,
                probabilities,
            } => {
                let classes = &self.served.signature.classes;
                self.text("\"outcome\":");
                self.text(&classes[labels[row]].value);
                if let Some(all) = probabilities {
                    self.probabilities(&all[row * classes.len()..][..classes.len()]);
                }
            }
            Predictions::Values(values) => {
                self.text("\"value\":");
                self.number(values[row]);
            }
        }
    }

    fn probabilities(&mut self, probabilities: &[f64]) {
        self.text(",\"probabilities\":");
        for (at, class) in self.served.signature.classes.iter().enumerate() {
            self.text(if at == 0 { "{" } else { "," });
            self.text(&class.key);
            self.text(":");
            self.number(probabilities[at]);
        }
        self.text("}");
    }

    fn id(&mut self, predictions: &Predictions, row: usize) {
        let id = issue(self.served, predictions, row, self.time);
        self.text("\"prediction_id\":\"");
        self.out.extend_from_slice(&id);
        self.text("\"");
    }

    fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn number(&mut self, number: f64) {
        write_number(&mut self.out, number);
    }
}

/// The answer of protocols that know one outcome per row: a list of classes or values called
/// `name`. Version and ids beside it are for `/feedback`; clients that do not know them pass over.
pub fn outcomes(served: &Served, name: &str, predictions: &Predictions) -> Vec<u8> {
    let time = SystemTime::now();
    let mut out = Vec::with_capacity((predictions.rows() + 1) * ROW_BYTES);
    out.extend_from_slice(b"{\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    list(&mut out, predictions.rows(), |out, row| match predictions {
        Predictions::Classes { labels, .. } => {
            let class = &served.signature.classes[labels[row]];
            out.extend_from_slice(class.value.as_bytes());
        }
        Predictions::Values(values) => write_number(out, values[row]),
    });
    out.extend_from_slice(b",\"model_version\":");
    out.extend_from_slice(served.version_json.as_bytes());
    out.extend_from_slice(b",\"prediction_ids\":");
    list(&mut out, predictions.rows(), |out, row| {
        out.push(b'"');
        out.extend_from_slice(&issue(served, predictions, row, time));
        out.push(b'"');
    });
    out.push(b'}');
    out
}

fn list(out: &mut Vec<u8>, rows: usize, element: impl Fn(&mut Vec<u8>, usize)) {
    out.push(b'[');
    for row in 0..rows {
        if row > 0 {
            out.push(b',');
        }
        element(out, row);
    }
    out.push(b']');
}

/// The id of the prediction of `row`.
pub fn issue(served: &Served, predictions: &Predictions, row: usize, time: SystemTime) -> Text {
    let prediction = match predictions {
        Predictions::Classes { labels, .. } => labels[row] as u64,
        Predictions::Values(values) => values[row].to_bits(),
    };
    served.ids.issue(prediction, time)
}

/// Writes a finite number with as many digits as bring it back bit for bit.
pub fn write_number(out: &mut Vec<u8>, number: f64) {
    // Writing to a Vec cannot fail.
    let written = serde_json::to_writer(out, &number);
    debug_assert!(written.is_ok());
}
