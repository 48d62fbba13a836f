//! The model that is served, with all that belongs to it: swapped as one when a newer file comes.

use super::metrics::ServedMetrics;
use super::open_inference::statistics::Answered;
use super::prediction_id::PredictionIds;
use super::probe::Probe;
use super::signature::Signature;
use super::work::{self, rows_within};
use crate::load::LoadedModel;
use crate::model::{Batch, Predictions};
use contract::config::Limits;
use rayon::prelude::*;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Work that is worth waking another core for: about ten times what that costs.
const CORE_TIME: Duration = Duration::from_micros(300);

/// The model that was served when a request asked: it stays while the request needs it. Unlike an
/// `Arc`, having one costs no write to memory that other cores use.
pub type Current = arc_swap::Guard<Arc<Served>>;

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
    /// Fewest rows that are worth a core of their own.
    rows_per_core: usize,
    /// Ids of this version's predictions.
    pub ids: PredictionIds,
    /// What is counted about it.
    pub metrics: ServedMetrics,
    /// What had been answered before it was served.
    pub before: Answered,
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
            rows_per_core: rows_within(CORE_TIME, probe.row_time()).max(1),
            ids: PredictionIds::new(&model.name, &model.version),
            before: Answered::default(),
            openapi: OnceLock::new(),
            model,
            signature,
            limits,
            probe,
        })
    }

    /// What the model says about `batch`, asked on several cores where that is worth the effort.
    pub fn predict(&self, batch: &Batch) -> Predictions {
        let parts = (batch.rows() / self.rows_per_core).min(rayon::current_num_threads());
        if parts < 2 {
            return self.model.model.predict(batch);
        }
        let predicted: Vec<_> = batch
            .split(parts)
            .par_iter()
            .map(|part| self.model.model.predict(part))
            .collect();
        let joined = predicted.into_iter().reduce(|mut first, next| {
            first.append(next);
            first
        });
        // There is a part, since no batch is empty.
        joined.unwrap_or_else(|| self.model.model.predict(batch))
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
