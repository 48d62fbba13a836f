//! How often the model was asked and how long it took, in the form of Triton's
//! `protocol/extension_statistics.md`, from what is counted anyway.

use crate::serve::app::App;
use crate::serve::metrics::HttpMetrics;
use crate::serve::served::Served;
use contract::labels::Endpoint;
use serde::Serialize;

/// About one version of a model.
#[derive(Debug, Serialize)]
pub struct Statistics<'a> {
    /// Name of the model.
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
    /// Milliseconds since 1970; 0 before the first inference.
    pub last_inference: u64,
    /// Rows predicted since the version was loaded.
    pub inference_count: u64,
    /// Requests predicted since the version was loaded.
    pub execution_count: u64,
    /// Where the time went.
    pub inference_stats: InferenceStatistics,
    /// Of streams, which there are none.
    pub response_stats: Nothing,
    /// By size of the batch: not counted.
    pub batch_stats: [Nothing; 0],
    /// Not counted by model.
    pub memory_usage: [Nothing; 0],
}

/// Where the time went.
#[derive(Debug, Default, Serialize)]
pub struct InferenceStatistics {
    /// Requests answered with success since the version was loaded, from their head to their
    /// answer.
    pub success: Spent,
    /// Other requests since the version was loaded.
    pub fail: Spent,
    /// Not measured.
    pub queue: Spent,
    /// Not measured.
    pub compute_input: Spent,
    /// The model's own work since it was loaded.
    pub compute_infer: Spent,
    /// Not measured.
    pub compute_output: Spent,
    /// There is no cache.
    pub cache_hit: Spent,
    /// There is no cache.
    pub cache_miss: Spent,
}

/// How often something happened and how long it took in all.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Spent {
    /// Times.
    pub count: u64,
    /// Nanoseconds.
    pub ns: u64,
}

/// Requests that were inferences, whichever version they asked.
#[derive(Debug, Default, Clone, Copy)]
pub struct Answered {
    success: Spent,
    fail: Spent,
}

/// An empty object.
#[derive(Debug, Serialize)]
pub struct Nothing {}

impl Spent {
    /// `count` times, `seconds` in all.
    pub const fn new(count: u64, seconds: f64) -> Self {
        let ns = (seconds * 1e9) as u64;
        Self { count, ns }
    }

    /// Without what there was `before`.
    const fn since(self, before: Self) -> Self {
        Self {
            count: self.count.saturating_sub(before.count),
            ns: self.ns.saturating_sub(before.ns),
        }
    }
}

impl Answered {
    /// Since the server began.
    pub fn so_far(http: &HttpMetrics) -> Self {
        let (success, fail) = http.spent(Endpoint::PREDICTING);
        Self {
            success: Spent::new(success.0, success.1),
            fail: Spent::new(fail.0, fail.1),
        }
    }
}

/// About the served model.
pub fn statistics<'a>(app: &App, served: &'a Served) -> Statistics<'a> {
    let model = &served.metrics.model;
    let answered = Answered::so_far(&app.metrics.http);
    Statistics {
        name: &served.model.name,
        version: &served.model.version,
        last_inference: model.last_inference(),
        inference_count: model.rows_predicted(),
        execution_count: model.requests_predicted(),
        inference_stats: InferenceStatistics {
            success: answered.success.since(served.before.success),
            fail: answered.fail.since(served.before.fail),
            compute_infer: Spent::new(model.inference.count(), model.inference.sum()),
            ..InferenceStatistics::default()
        },
        response_stats: Nothing {},
        batch_stats: [],
        memory_usage: [],
    }
}
