use super::{Duration, cel};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What users of the model are promised. Alerts fire when the errors that a promise allows for its
/// period are used up too fast.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = cel(
    "duration(self.period) >= duration('12h') && duration(self.period) <= duration('2160h')",
    "period must be between 12h and 2160h"
)))]
pub struct ObjectivesSpec {
    /// False takes the rules and the alerts of all objectives away.
    pub enabled: bool,
    /// What the promises are made for. The windows of the alerts grow and shrink with it.
    pub period: Duration,
    /// Percent of requests that are not answered with a fault of the server (status 5xx).
    #[schemars(range(min = 50, max = 99.9999))]
    pub availability: f64,
    /// How soon requests are answered.
    pub latency: LatencyObjectiveSpec,
}

impl Default for ObjectivesSpec {
    fn default() -> Self {
        Self {
            enabled: true,
            period: "720h".into(),
            availability: 99.9,
            latency: LatencyObjectiveSpec::default(),
        }
    }
}

/// How soon requests are answered.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = cel(
    "['1ms', '5ms', '10ms', '25ms', '50ms', '100ms', '250ms', '500ms', '1s', '2500ms', '5s', '10s'].exists(bound, duration(bound) == duration(self.threshold))",
    "threshold must be one of 1ms, 5ms, 10ms, 25ms, 50ms, 100ms, 250ms, 500ms, 1s, 2500ms, 5s, 10s: requests are counted by those"
)))]
pub struct LatencyObjectiveSpec {
    /// What is soon enough; one of the buckets of api_request_duration_seconds.
    pub threshold: Duration,
    /// Percent of requests that are answered that soon.
    #[schemars(range(min = 50, max = 99.9999))]
    pub target: f64,
}

impl Default for LatencyObjectiveSpec {
    fn default() -> Self {
        Self {
            threshold: "250ms".into(),
            target: 99.0,
        }
    }
}
