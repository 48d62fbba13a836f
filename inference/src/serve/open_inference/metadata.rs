//! What the server and the model say about themselves, in any wire format.

use super::datatype::DataType;
use super::output::Output;
use crate::serve::served::Served;
use serde::Serialize;
use std::collections::BTreeMap;

/// The extensions of the protocol that the server has.
pub const EXTENSIONS: [&str; 5] = [
    "binary_tensor_data",
    "classification",
    "model_repository",
    "parameters",
    "statistics",
];

/// About the server.
#[derive(Debug, Serialize)]
pub struct ServerMetadata {
    /// Name of the program.
    pub name: &'static str,
    /// Version of the program.
    pub version: &'static str,
    /// [`EXTENSIONS`].
    pub extensions: [&'static str; EXTENSIONS.len()],
}

/// About the model.
#[derive(Debug, Serialize)]
pub struct ModelMetadata<'a> {
    /// Name in paths.
    pub name: &'a str,
    /// The only version that is served.
    pub versions: [&'a str; 1],
    /// What made the model, and its format.
    pub platform: &'static str,
    /// The features, each of which may be a tensor of its own.
    pub inputs: Vec<TensorMetadata<'a>>,
    /// What may be asked for.
    pub outputs: Vec<TensorMetadata<'a>>,
    /// Whatever else a person wants to know.
    pub properties: BTreeMap<&'static str, String>,
}

/// About an input or an output.
#[derive(Debug, Serialize)]
pub struct TensorMetadata<'a> {
    /// Its name.
    pub name: &'a str,
    /// Type of its elements, by the protocol's name.
    pub datatype: &'static str,
    /// Sizes, -1 for any.
    pub shape: Vec<i64>,
}

/// About this server.
pub const fn server() -> ServerMetadata {
    ServerMetadata {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        extensions: EXTENSIONS,
    }
}

/// About the served model.
pub fn model(served: &Served) -> ModelMetadata<'_> {
    let manifest = &served.model.manifest;
    let width = served.signature.width();
    let one_tensor = format!("[-1, {width}]: all inputs in one tensor, columns in this order");
    let inputs = served
        .signature
        .features
        .iter()
        .map(|feature| TensorMetadata {
            name: &feature.name,
            datatype: DataType::Fp64.as_str(),
            shape: vec![-1, 1],
        });
    let outputs = Output::offered(served).iter().map(|output| TensorMetadata {
        name: output.as_str(),
        datatype: output.datatype(served).as_str(),
        shape: std::iter::once(-1)
            .chain(output.inner_size(served).map(|size| size as i64))
            .collect(),
    });
    ModelMetadata {
        name: &served.model.name,
        versions: [&served.model.version],
        platform: "smartcore_json",
        inputs: inputs.collect(),
        outputs: outputs.collect(),
        properties: BTreeMap::from([
            ("algorithm", manifest.algorithm.to_string()),
            ("task", manifest.task.to_string()),
            ("one_tensor", one_tensor),
        ]),
    }
}
