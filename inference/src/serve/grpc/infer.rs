//! ModelInfer: protocol buffers ↔ tensors.

use super::proto::model_infer_request::InferInputTensor;
use super::proto::model_infer_response::InferOutputTensor;
use super::proto::{
    InferParameter, InferTensorContents, ModelInferRequest, ModelInferResponse,
    infer_parameter::ParameterChoice,
};
use super::unary::{Call, decode};
use crate::serve::app::App;
use crate::serve::business::Visit;
use crate::serve::error::{Echo, Error};
use crate::serve::job::Job;
use crate::serve::open_inference::parameters::{Parameter, Parameters};
use crate::serve::open_inference::{
    Answer, Data, DataType, Inference, Tensor, Typed, Values, Wish, check_name, infer_tensors,
};
use crate::serve::served::Served;
use crate::serve::work;
use bytes::Buf as _;
use prost::Message as _;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use std::collections::HashMap;

/// Fields of one request besides its values: an empty tensor takes two bytes on the wire, and
/// hundreds in memory.
const MOST_ENTRIES: usize = 16 * 1024;
/// Bytes of a name, a shape or a parameter.
const LONGEST_FIELD: usize = 16 * 1024;
/// Bytes of a value: none takes more, and some take one on the wire and eight in memory.
const LONGEST_VALUE: usize = 10;

/// Predicts the rows of a request. The answer is raw if the request is.
pub(super) async fn model_infer(app: &'static App, call: Call) -> Result<Vec<u8>, Error> {
    let Call {
        deadline,
        message,
        visit,
    } = call;
    let body = work::Received {
        deadline,
        bytes: message,
        // tonic has unpacked it.
        coding: None,
        visit,
    };
    work::perform(app, app.served(), body, answer).await
}

/// Answers a ModelInferRequest with a ModelInferResponse.
///
/// # Errors
/// Whatever is wrong with it.
pub fn answer(served: &Job, message: &[u8]) -> Result<Vec<u8>, Error> {
    check_entries(message, served.max_rows() * served.signature.width())?;
    let request: ModelInferRequest = decode(message)?;
    if let Some(visit) = served.visit() {
        note(visit, &request.parameters);
    }
    let version = given(&request.model_version);
    check_name(served, Some(&request.model_name), version)?;
    let inputs = tensors(&request)?;
    let wishes = wishes(&request)?;
    let inference = infer_tensors(served, given(&request.id), &inputs, &wishes)?;
    let raw = !request.raw_input_contents.is_empty();
    Ok(respond(served, inference, raw).encode_to_vec())
}

/// None for a text that is empty, which is how protocol buffers leave it out.
pub(super) fn given(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// Refuses what takes much more memory than it is long, before there is memory for it.
fn check_entries(message: &[u8], most_values: usize) -> Result<(), Error> {
    let entries = entries(message, most_values, Level::Request)?;
    match entries > MOST_ENTRIES + most_values {
        true => Err(Error::Invalid(format!("more than {MOST_ENTRIES} tensors"))),
        false => Ok(()),
    }
}

/// Where in a request fields are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    /// ModelInferRequest.
    Request,
    /// One of its `inputs`.
    Input,
    /// Its `contents`.
    Contents,
}

impl Level {
    /// What the field called `tag` holds, if that is looked into.
    const fn below(self, tag: u32) -> Option<Self> {
        match (self, tag) {
            (Self::Request, 5) => Some(Self::Input),
            (Self::Input, 5) => Some(Self::Contents),
            _ => None,
        }
    }
}

/// Number of the fields of `message`, and of those in them.
fn entries(mut message: &[u8], most_values: usize, level: Level) -> Result<usize, Error> {
    let malformed = |error| Error::Invalid(format!("the message is malformed: {error}"));
    let mut entries = 0;
    while message.has_remaining() {
        let (tag, kind) = decode_key(&mut message).map_err(malformed)?;
        let before = message;
        skip_field(kind, tag, &mut message, DecodeContext::default()).map_err(malformed)?;
        entries += 1;
        if kind != WireType::LengthDelimited {
            continue;
        }
        let mut field = &before[..before.len() - message.len()];
        decode_varint(&mut field).map_err(malformed)?;
        let most = match level {
            Level::Request => usize::MAX,
            Level::Input if level.below(tag).is_some() => usize::MAX,
            Level::Input => LONGEST_FIELD,
            Level::Contents => most_values.saturating_mul(LONGEST_VALUE),
        };
        if field.len() > most {
            let message = format!("a field of an input has more than {most} bytes");
            return Err(Error::Invalid(message));
        }
        if let Some(below) = level.below(tag) {
            entries += self::entries(field, most_values, below)?;
        }
    }
    Ok(entries)
}

fn tensors(request: &ModelInferRequest) -> Result<Vec<Tensor<'_>>, Error> {
    let raw = &request.raw_input_contents;
    let (entries, expected) = (raw.len(), request.inputs.len());
    if entries != 0 && entries != expected {
        let message = format!("raw_input_contents has {entries} entries for {expected} inputs");
        return Err(Error::Invalid(message));
    }
    let tensor = |(at, input)| tensor(input, raw.get(at).map(Vec::as_slice));
    request.inputs.iter().enumerate().map(tensor).collect()
}

fn tensor<'a>(input: &'a InferInputTensor, raw: Option<&'a [u8]>) -> Result<Tensor<'a>, Error> {
    let contents = input.contents.as_ref();
    let refuse = |message| Error::Invalid(format!("input {} {message}", Echo(&input.name)));
    let data = match (raw, contents) {
        (Some(_), Some(contents)) if *contents != InferTensorContents::default() => {
            return Err(refuse("has contents beside raw_input_contents"));
        }
        (Some(raw), _) => Data::Raw(raw),
        (None, Some(contents)) => {
            let typed = typed(&input.datatype, contents);
            // Of a datatype that no feature has, the reader of tensors says so.
            let known = DataType::of_input(&input.datatype).is_some();
            if known && typed.len() != values(contents) {
                return Err(refuse("has contents that belong to another datatype"));
            }
            Data::Typed(typed)
        }
        (None, None) => Data::Typed(Typed::Bool(&[])),
    };
    Ok(Tensor {
        name: &input.name,
        datatype: &input.datatype,
        shape: &input.shape,
        data,
    })
}

/// The field that belongs to `datatype`.
fn typed<'a>(datatype: &str, contents: &'a InferTensorContents) -> Typed<'a> {
    match datatype {
        "INT8" | "INT16" | "INT32" => Typed::Int(&contents.int_contents),
        "INT64" => Typed::Int64(&contents.int64_contents),
        "UINT8" | "UINT16" | "UINT32" => Typed::Uint(&contents.uint_contents),
        "UINT64" => Typed::Uint64(&contents.uint64_contents),
        "FP32" => Typed::Fp32(&contents.fp32_contents),
        "FP64" => Typed::Fp64(&contents.fp64_contents),
        _ => Typed::Bool(&contents.bool_contents),
    }
}

/// Number of values that could be those of a feature.
const fn values(contents: &InferTensorContents) -> usize {
    contents.bool_contents.len()
        + contents.int_contents.len()
        + contents.int64_contents.len()
        + contents.uint_contents.len()
        + contents.uint64_contents.len()
        + contents.fp32_contents.len()
        + contents.fp64_contents.len()
}

fn wishes(request: &ModelInferRequest) -> Result<Vec<Wish<'_>>, Error> {
    let wish = |(name, wanted)| Wish::new(name, Some(&parameters(wanted)));
    let wanted = request.outputs.iter();
    wanted
        .map(|output| wish((&output.name, &output.parameters)))
        .collect()
}

fn parameters(sent: &HashMap<String, InferParameter>) -> Parameters {
    let value = |parameter: &InferParameter| match parameter.parameter_choice {
        Some(ParameterChoice::BoolParam(flag)) => Parameter::Flag(flag),
        Some(ParameterChoice::Int64Param(number)) => Parameter::Whole(number.into()),
        Some(ParameterChoice::Uint64Param(number)) => Parameter::Whole(number.into()),
        Some(ParameterChoice::StringParam(_) | ParameterChoice::DoubleParam(_)) | None => {
            Parameter::Other
        }
    };
    sent.iter()
        .map(|(name, sent)| (name.clone(), value(sent)))
        .collect()
}

fn note(visit: &Visit, sent: &HashMap<String, InferParameter>) {
    for (name, parameter) in sent {
        let text = match &parameter.parameter_choice {
            Some(ParameterChoice::BoolParam(flag)) => flag.to_string(),
            Some(ParameterChoice::Int64Param(number)) => number.to_string(),
            Some(ParameterChoice::Uint64Param(number)) => number.to_string(),
            Some(ParameterChoice::DoubleParam(number)) => number.to_string(),
            Some(ParameterChoice::StringParam(text)) => text.clone(),
            None => continue,
        };
        visit.note(name, &text);
    }
}

fn respond(served: &Served, inference: Inference, raw: bool) -> ModelInferResponse {
    let mut response = ModelInferResponse {
        model_name: served.model.name.clone(),
        model_version: served.model.version.clone(),
        id: inference.id,
        ..ModelInferResponse::default()
    };
    for Answer {
        name,
        datatype,
        shape,
        values,
        ..
    } in inference.outputs
    {
        if raw {
            response.raw_output_contents.push(values.to_raw());
        }
        response.outputs.push(InferOutputTensor {
            name: name.to_owned(),
            datatype: datatype.as_str().to_owned(),
            shape: shape.into_iter().map(|size| size as i64).collect(),
            contents: (!raw).then(|| contents(values)),
            ..InferOutputTensor::default()
        });
    }
    response
}

fn contents(values: Values) -> InferTensorContents {
    let mut contents = InferTensorContents::default();
    match values {
        Values::Whole(all) => contents.int64_contents = all,
        Values::Real(all) => contents.fp64_contents = all,
        Values::Text(all) => {
            contents.bytes_contents = all.into_iter().map(String::into_bytes).collect();
        }
    }
    contents
}
