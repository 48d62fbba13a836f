//! The model that is served, with all that belongs to it: swapped as one when a newer file comes.

use super::metrics::ServedMetrics;
use super::prediction_id::PredictionIds;
use super::probe::Probe;
use super::signature::Signature;
use super::work;
use crate::load::LoadedModel;
use contract::config::Limits;
use std::sync::OnceLock;

/// A loaded model and what answers about it need.
#[derive(Debug)]
pub struct Served {
    /// The model.
    pub model: LoadedModel,
    /// What it takes and gives.
    pub signature: Signature,
    /// Its version as a JSON string.
    pub version_json: String,
    /// What one request may hold.
    pub limits: Limits,
    /// Largest body that is answered on an async worker, in bytes.
    pub inline_bytes: usize,
    /// Ids of this version's predictions.
    pub ids: PredictionIds,
    /// What is counted about it.
    pub metrics: ServedMetrics,
    /// A row whose prediction is known.
    pub probe: Probe,
    /// The OpenAPI description, made when first asked for.
    pub openapi: OnceLock<String>,
}

impl Served {
    /// Makes `model` ready to be served within `limits`.
    ///
    /// # Errors
    /// If the table of metrics contradicts itself.
    pub fn new(model: LoadedModel, limits: Limits) -> Result<Self, prometheus::Error> {
        let signature = Signature::new(&model.manifest);
        let probe = Probe::new(&model, &signature);
        Ok(Self {
            metrics: ServedMetrics::new(&model, &signature)?,
            version_json: serde_json::Value::from(model.version.as_str()).to_string(),
            inline_bytes: work::inline_bytes(probe.row_time(), signature.width()),
            ids: PredictionIds::new(&model.version),
            openapi: OnceLock::new(),
            model,
            signature,
            limits,
            probe,
        })
    }

    /// Whether a known row is predicted as ever.
    pub fn works(&self) -> bool {
        self.probe.passes(&self.model)
    }

    /// Rows in one request.
    pub const fn max_rows(&self) -> usize {
        self.limits.max_batch_rows as usize
    }
}
