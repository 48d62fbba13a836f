//! Model bytes → checked, self-tested model.

use crate::artifact::Manifest;
use crate::model::Model;
use contract::labels::LoadFailure;

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
