//! Answers over REST: JSON, and after it the outputs that are bytes.

use super::binary::HEADER;
use super::infer::Inference;
use super::output::{Answer, Values};
use super::parameters::BINARY_DATA_SIZE;
use crate::serve::encode::write_number;
use crate::serve::error::json;
use crate::serve::served::Served;
use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde_json::json as object;

/// A body.
#[derive(Debug)]
pub struct Body {
    /// JSON, and after it the outputs that are bytes.
    pub bytes: Vec<u8>,
    /// Bytes of the JSON, if more follows it.
    pub json: Option<usize>,
}

/// Writes the answer; outputs are bytes where the client says so, else if `binary`.
pub(super) fn write(served: &Served, inference: &Inference, binary: bool) -> Body {
    let outputs = inference.outputs.iter();
    let raw = |output: &Answer| {
        output
            .binary
            .unwrap_or(binary)
            .then(|| output.values.to_raw())
    };
    let raw = outputs.clone().map(raw).collect::<Vec<_>>();
    let mut writer = Writer::new(served, inference);
    for (at, (output, raw)) in outputs.zip(&raw).enumerate() {
        writer.text(if at == 0 { "" } else { "," });
        writer.output(output, raw.as_deref());
    }
    writer.text("]}");
    let mut bytes = writer.out;
    let json = raw.iter().any(Option::is_some).then_some(bytes.len());
    raw.iter()
        .flatten()
        .for_each(|raw| bytes.extend_from_slice(raw));
    Body { bytes, json }
}

impl Body {
    /// With the headers that say what it is.
    pub(super) fn into_response(self) -> Response {
        let mut response = json(StatusCode::OK, self.bytes);
        if let Some(length) = self.json {
            let headers = response.headers_mut();
            let kind = HeaderValue::from_static("application/octet-stream");
            headers.insert(CONTENT_TYPE, kind);
            headers.insert(HEADER, HeaderValue::from(length));
        }
        response
    }
}

/// Writes the JSON.
struct Writer {
    out: Vec<u8>,
}

impl Writer {
    /// Begins the answer, up to its first output.
    fn new(served: &Served, inference: &Inference) -> Self {
        let head = object!({
            "model_name": served.model.name,
            "model_version": served.model.version,
            "id": inference.id,
        });
        let rows = inference
            .outputs
            .first()
            .map_or(0, |output| output.shape[0]);
        let mut writer = Self {
            out: Vec::with_capacity(256 + rows * 128),
        };
        writer.text(head.to_string().trim_end_matches('}'));
        writer.text(",\"outputs\":[");
        writer
    }

    fn output(&mut self, output: &Answer, raw: Option<&[u8]>) {
        let Answer { name, shape, .. } = output;
        let head = object!({ "name": name, "datatype": output.datatype.as_str(), "shape": shape });
        self.text(head.to_string().trim_end_matches('}'));
        match raw {
            Some(raw) => {
                let parameters = object!({ BINARY_DATA_SIZE: raw.len() });
                self.text(&format!(",\"parameters\":{parameters}}}"));
            }
            None => {
                self.text(",\"data\":[");
                self.values(&output.values);
                self.text("]}");
            }
        }
    }

    fn values(&mut self, values: &Values) {
        match values {
            Values::Whole(all) => self.list(all, |out, number| {
                out.extend_from_slice(number.to_string().as_bytes());
            }),
            Values::Real(all) => self.list(all, |out, number| write_number(out, *number)),
            Values::Text(all) => self.list(all, |out, text| {
                // Writing to a Vec cannot fail.
                let written = serde_json::to_writer(out, text);
                debug_assert!(written.is_ok());
            }),
        }
    }

    fn list<T>(&mut self, all: &[T], write: impl Fn(&mut Vec<u8>, &T)) {
        for (at, value) in all.iter().enumerate() {
            self.text(if at == 0 { "" } else { "," });
            write(&mut self.out, value);
        }
    }

    fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }
}
