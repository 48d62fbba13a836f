//! Other systems whose metric names the server also speaks: the same numbers once more, under the
//! names, types and labels that their dashboards and queries expect.

use serde::{Deserialize, Serialize};

/// A system whose dashboards and queries shall work word for word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compatibility {
    /// The FastAPI tutorials: `app_requests_total`, `app_responses_total`,
    /// `app_requests_processing_time_seconds`.
    Tutorial,
    /// KServe's Python servers: `request_predict_seconds`.
    Kserve,
    /// Triton: `nv_inference_*`.
    Triton,
    /// MLServer: `model_infer_request_*`.
    Mlserver,
}

impl Compatibility {
    /// Every system.
    pub const ALL: &'static [Self] = &[Self::Tutorial, Self::Kserve, Self::Triton, Self::Mlserver];

    /// Its name in a configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tutorial => "tutorial",
            Self::Kserve => "kserve",
            Self::Triton => "triton",
            Self::Mlserver => "mlserver",
        }
    }
}

/// A metric family of another system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alias {
    /// Whose it is.
    pub system: Compatibility,
    /// Name as Prometheus sees it (a histogram's or summary's without its suffix).
    pub name: &'static str,
    /// Its type.
    pub kind: AliasKind,
    /// Label names.
    pub labels: &'static [&'static str],
    /// Help text: what is measured, in which unit.
    pub help: &'static str,
}

/// Type of a family of another system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AliasKind {
    /// Only ever rises, but for restarts.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Observations counted in buckets.
    Histogram,
    /// Sum and count of observations, without quantiles.
    Summary,
}

/// Declares the aliases and the table of all of them.
macro_rules! aliases {
    ($($constant:ident = $system:ident $kind:ident $name:literal $labels:expr, $help:literal;)+) => {
        $(#[doc = concat!("See [`ALIASES`]: `", $name, "`.")]
        pub const $constant: Alias = Alias {
            system: Compatibility::$system,
            name: $name,
            kind: AliasKind::$kind,
            labels: $labels,
            help: $help,
        };)+

        /// Every family that the server shows for another system.
        pub const ALIASES: &[Alias] = &[$($constant,)+];
    };
}

const MODEL: &[&str] = &["model", "version"];

aliases! {
    APP_REQUESTS = Tutorial Counter "app_requests_total" &["method", "path"],
        "Requests by method and route.";
    APP_RESPONSES = Tutorial Counter "app_responses_total" &["method", "path", "status"],
        "Requests by method, route and HTTP status; 499 where the client did not wait for the answer.";
    APP_PROCESSING_TIME = Tutorial Histogram "app_requests_processing_time_seconds" &["method", "path"],
        "Seconds from the request's head until its answer is ready to be sent, or nobody waits for it any more.";
    KSERVE_PREDICT = Kserve Histogram "request_predict_seconds" &["model_name"],
        "Seconds that the model took for one request, whatever its rows.";
    NV_REQUEST_SUCCESS = Triton Counter "nv_inference_request_success" MODEL,
        "Requests for predictions that were answered with success.";
    NV_REQUEST_FAILURE = Triton Counter "nv_inference_request_failure" &["model", "version", "reason"],
        "Other requests for predictions: REJECTED for overload and timeouts, CANCELED by the client, BACKEND for faults of the server, OTHER for the rest.";
    NV_INFERENCES = Triton Counter "nv_inference_count" MODEL,
        "Rows predicted since the version was loaded.";
    NV_EXECUTIONS = Triton Counter "nv_inference_exec_count" MODEL,
        "Batches predicted since the version was loaded: one for each request.";
    NV_REQUEST_DURATION = Triton Counter "nv_inference_request_duration_us" MODEL,
        "Microseconds that requests for predictions took in all, from their head until their answer.";
    NV_COMPUTE_DURATION = Triton Counter "nv_inference_compute_infer_duration_us" MODEL,
        "Microseconds that the model took in all since the version was loaded.";
    NV_LOAD_DURATION = Triton Gauge "nv_model_load_duration_secs" MODEL,
        "Seconds that reading, checking and self-testing the model took.";
    MLSERVER_SUCCESS = Mlserver Counter "model_infer_request_success_total" MODEL,
        "Requests for predictions that were answered with success.";
    MLSERVER_FAILURE = Mlserver Counter "model_infer_request_failure_total" MODEL,
        "Other requests for predictions.";
    MLSERVER_DURATION = Mlserver Summary "model_infer_request_duration" MODEL,
        "Seconds that requests for predictions took, from their head until their answer.";
}

impl AliasKind {
    /// The word that Prometheus uses for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
        }
    }
}

impl Alias {
    /// Names of the series that Prometheus stores for this family.
    pub fn series(&self) -> Vec<String> {
        let parts: &[&str] = match self.kind {
            AliasKind::Counter | AliasKind::Gauge => &[""],
            AliasKind::Histogram => &["_bucket", "_sum", "_count"],
            AliasKind::Summary => &["_sum", "_count"],
        };
        let name = |part| format!("{}{part}", self.name);
        parts.iter().map(name).collect()
    }
}
