//! Model bytes → checked, self-tested model.
//!
//! `read or fetch → sha256 → unpack → parse → check → build → self-test`: nothing is looked at before the
//! step before it passed, and a file that passes all of them cannot make a prediction fail.

mod check;
mod fetch;
mod read;
mod selftest;

use crate::artifact::{Algorithm, FORMAT, Manifest, ModelFile, Task};
use crate::engine::{self, Shape};
use crate::model::Model;
use crate::train::save::sha256;
use contract::config::{Builtin, HttpSource, MlflowSource, ModelConfig, ModelSource};
use contract::labels::LoadFailure;
use serde::Deserialize;
use std::error::Error;
use std::iter;
use std::path::Path;

pub use crate::names::is_name;
pub use read::{LARGEST_PACKED, LARGEST_UNPACKED};

/// A model that passed every check, with what the server says about it.
#[derive(Debug)]
pub struct LoadedModel {
    /// What the file says about the model.
    pub manifest: Manifest,
    /// Name in URLs and metrics: the configured one, or the manifest's.
    pub name: String,
    /// Version on metrics and answers: the configured one, the manifest's, or the first 8
    /// characters of the sha256.
    pub version: String,
    /// Lower-case hex sha256 of the file as read.
    pub sha256: String,
    /// Version of the file where it was fetched from, if that gives any.
    pub fetched_version: Option<String>,
    /// The engine.
    pub model: Box<dyn Model>,
}

/// A refused model: a reason from a closed set, and a sentence for a person.
#[derive(Debug, thiserror::Error)]
#[error("{reason}: {message}")]
pub struct LoadError {
    /// Why, as metrics and conditions say it.
    pub reason: LoadFailure,
    /// What was wrong, what was expected, and where.
    pub message: String,
}

/// Characters of a message: what is quoted from a file may be as long as the file.
const LONGEST_MESSAGE: usize = 1000;

impl LoadError {
    /// `message` becomes one line of bounded length.
    fn new(reason: LoadFailure, message: impl Into<String>) -> Self {
        let message: String = message.into();
        let printable = |char: char| if char.is_control() { ' ' } else { char };
        let mut shown: String = message
            .chars()
            .take(LONGEST_MESSAGE)
            .map(printable)
            .collect();
        if message.chars().nth(LONGEST_MESSAGE).is_some() {
            shown.push('…');
        }
        let message = shown;
        Self { reason, message }
    }

    fn corrupt(message: impl Into<String>) -> Self {
        Self::new(LoadFailure::Corrupt, message)
    }
}

/// Loads the model that `config` names.
///
/// # Errors
/// [`LoadError`]; never a panic, whatever the file holds.
pub fn load(config: &ModelConfig) -> Result<LoadedModel, LoadError> {
    let fetched = match &config.source {
        ModelSource::Builtin(model) => return from_bytes(builtin(*model), config),
        ModelSource::File(path) => return from_bytes(&read::file(Path::new(path))?, config),
        ModelSource::Http(source) => fetch::http(source)?,
        ModelSource::S3(source) => fetch::s3(source)?,
        ModelSource::Mlflow(source) => fetch::mlflow(source)?,
    };
    let mut model = from_bytes(&fetched.bytes, config)?;
    if let (None, Some(version)) = (&config.version, &fetched.version) {
        model.version.clone_from(version);
    }
    model.fetched_version = fetched.version;
    Ok(model)
}

/// The source that a person names: a URL, or the path of a file.
pub fn source_of(text: String) -> ModelSource {
    match text.starts_with("http://") || text.starts_with("https://") {
        true => ModelSource::Http(HttpSource {
            url: text,
            secrets: None,
        }),
        false => ModelSource::File(text),
    }
}

/// The version that an MLflow alias stands for now.
///
/// # Errors
/// [`LoadError`], with the reason why the registry could not be asked.
pub fn mlflow_version(source: &MlflowSource) -> Result<String, LoadError> {
    Ok(fetch::mlflow_version(source)?)
}

/// The file of a model inside the binary.
pub const fn builtin(model: Builtin) -> &'static [u8] {
    match model {
        Builtin::Diabetes => include_bytes!("../models/diabetes.json.gz"),
    }
}

/// Loads a model file, plain or gzip, that is in memory; `config.source` is not looked at.
///
/// # Errors
/// [`LoadError`]; never a panic, whatever the file holds.
pub fn from_bytes(bytes: &[u8], config: &ModelConfig) -> Result<LoadedModel, LoadError> {
    read::check_packed_size(bytes.len() as u64)?;
    let sha256 = sha256(bytes);
    check_sha256(&sha256, config.sha256.as_deref())?;
    let file = parse(&read::unpack(bytes)?)?;
    check::file(&file)?;
    let model = engine::build(
        shape(&file.manifest),
        file.scaling.as_ref(),
        file.estimator.get(),
    )
    .map_err(|defect| LoadError::corrupt(with_causes(&defect)))?;
    selftest::run(&file, &*model)?;
    let manifest = file.manifest;
    let name = config.name.clone().unwrap_or_else(|| manifest.name.clone());
    let version = config.version.clone().or_else(|| manifest.version.clone());
    let version = version.unwrap_or_else(|| sha256[..8].to_owned());
    Ok(LoadedModel {
        manifest,
        name,
        version,
        sha256,
        fetched_version: None,
        model,
    })
}

/// The error and what led to it, in one line.
fn with_causes(error: &dyn Error) -> String {
    let chain = iter::successors(Some(error), |&error| error.source());
    let sentences: Vec<String> = chain.map(ToString::to_string).collect();
    sentences.join(": ")
}

fn check_sha256(found: &str, expected: Option<&str>) -> Result<(), LoadError> {
    match expected {
        Some(expected) if !expected.eq_ignore_ascii_case(found) => Err(LoadError::new(
            LoadFailure::ChecksumMismatch,
            format!("the sha256 of the file is {found}, expected {expected}"),
        )),
        _ => Ok(()),
    }
}

/// What is read first: another format may look entirely different.
#[derive(Deserialize)]
struct Format {
    format: u32,
}

/// What is read next: an algorithm of the future is no damage.
#[derive(Deserialize)]
struct Header {
    manifest: Kind,
}

#[derive(Deserialize)]
struct Kind {
    task: Task,
    algorithm: String,
}

fn parse(json: &[u8]) -> Result<ModelFile, LoadError> {
    let corrupt =
        |error: serde_json::Error| LoadError::corrupt(format!("not a model file: {error}"));
    let Format { format } = serde_json::from_slice(json).map_err(corrupt)?;
    if format != FORMAT {
        return Err(LoadError::new(
            LoadFailure::Unsupported,
            format!("the file has format {format}, this build reads format {FORMAT}"),
        ));
    }
    let header: Header = serde_json::from_slice(json).map_err(corrupt)?;
    check_kind(&header.manifest)?;
    serde_json::from_slice(json).map_err(corrupt)
}

fn check_kind(Kind { task, algorithm }: &Kind) -> Result<(), LoadError> {
    let mut able = Algorithm::ALL
        .iter()
        .filter(|(_, _, tasks)| tasks.contains(task));
    if able.any(|(_, name, _)| name == algorithm) {
        return Ok(());
    }
    Err(LoadError::new(
        LoadFailure::Unsupported,
        format!("this build has no algorithm {algorithm:?} for {task}"),
    ))
}

fn shape(manifest: &Manifest) -> Shape {
    Shape {
        task: manifest.task,
        algorithm: manifest.algorithm,
        features: manifest.features.len(),
        classes: manifest.classes.len(),
    }
}
