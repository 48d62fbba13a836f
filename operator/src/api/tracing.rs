use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the pods send traces of requests, and which.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct TracingSpec {
    /// Base URL of a receiver of OTLP over HTTP, such as an OpenTelemetry collector's
    /// `http://collector.monitoring:4318`. Spans go to `/v1/traces` below it.
    #[schemars(
        regex(pattern = r"^https?://[^\s/?#@]+(/[^\s?#]*)?$"),
        length(max = 2048)
    )]
    pub endpoint: String,
    /// Share of the traces that begin at a pod which are recorded. A request that belongs to a trace
    /// already is recorded if, and only if, its `traceparent` says so.
    #[serde(default = "one_in_ten")]
    #[schemars(range(min = 0, max = 1))]
    pub sample_ratio: f64,
}

const fn one_in_ten() -> f64 {
    0.1
}
