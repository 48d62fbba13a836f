use super::{
    BusinessMetricSpec, Compatibility, DriftSpec, Duration, ObjectivesSpec, PerformanceSpec,
    QualitySpec, TracingSpec, cel,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Scraping, alerts and the dashboard.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "duration(self.scrape.interval) >= duration('1s') && duration(self.scrape.interval) <= duration('2m') && duration(self.scrape.interval).getSeconds() * 4 <= duration(self.alerts.window).getSeconds()",
        "message": "scrape.interval must be between 1s and 2m, and at most a quarter of alerts.window: rates need several scrapes, and Prometheus forgets a pod after 5m",
    },
    {
        "rule": "!self.objectives.enabled || duration(self.scrape.interval).getSeconds() * 34560 <= duration(self.objectives.period).getSeconds()",
        "message": "objectives.period must be at least 34560 times scrape.interval, 144h for 15s: its shortest window needs several scrapes",
    },
    {
        "rule": "[self.drift.window, self.quality.window, self.performance.window].all(window, duration(self.scrape.interval).getSeconds() * 4 <= duration(window).getSeconds())",
        "message": "scrape.interval must be at most a quarter of drift.window, quality.window and performance.window: rates need several scrapes",
    },
]))]
pub struct MonitoringSpec {
    /// False removes the ServiceMonitor, the PrometheusRule and the dashboard.
    pub enabled: bool,
    /// How Prometheus scrapes the pods.
    pub scrape: ScrapeSpec,
    /// Alert rules.
    pub alerts: AlertsSpec,
    /// What users of the model are promised.
    pub objectives: ObjectivesSpec,
    /// Whether values are spread as they were in training.
    pub drift: DriftSpec,
    /// Whether values are such as the model was trained for.
    pub quality: QualitySpec,
    /// Whether ground truth agrees with the predictions.
    pub performance: PerformanceSpec,
    /// Metrics of your own, counted by the server.
    #[serde(rename = "businessMetrics", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub business_metrics: Vec<BusinessMetricSpec>,
    /// Other systems under whose names the pods show the same metrics once more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    pub compatibility: Vec<Compatibility>,
    /// Traces of requests; none if absent. They are sent with `enabled: false` too, which is about
    /// Prometheus and Grafana alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracing: Option<TracingSpec>,
    /// The Grafana dashboard.
    pub dashboard: DashboardSpec,
}

impl Default for MonitoringSpec {
    fn default() -> Self {
        Self {
            enabled: true,
            scrape: ScrapeSpec::default(),
            alerts: AlertsSpec::default(),
            objectives: ObjectivesSpec::default(),
            drift: DriftSpec::default(),
            quality: QualitySpec::default(),
            performance: PerformanceSpec::default(),
            business_metrics: Vec::new(),
            compatibility: Vec::new(),
            tracing: None,
            dashboard: DashboardSpec::default(),
        }
    }
}

/// How Prometheus scrapes the pods.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = cel(
    "duration(self.timeout) <= duration(self.interval)",
    "timeout must not be longer than interval: Prometheus refuses such a monitor"
)))]
pub struct ScrapeSpec {
    /// Time between two scrapes of a pod.
    pub interval: Duration,
    /// Time after which a scrape has failed.
    pub timeout: Duration,
    /// Further labels of the ServiceMonitor and the PrometheusRule: what your Prometheus selects
    /// on, such as `release: kube-prometheus-stack`. They win over the operator's defaults.
    #[schemars(extend("maxProperties" = 16))]
    #[schemars(extend("additionalProperties" = super::label_value()), extend("x-kubernetes-validations" = super::label_keys()))]
    pub labels: BTreeMap<String, String>,
}

impl Default for ScrapeSpec {
    fn default() -> Self {
        Self {
            interval: "15s".into(),
            timeout: "10s".into(),
            labels: BTreeMap::new(),
        }
    }
}

/// Alert rules.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = cel(
    "duration(self.window) >= duration('1m') && duration(self.window) <= duration('1h')",
    "window must be between 1m and 1h"
)))]
pub struct AlertsSpec {
    /// False leaves the recording rules and takes the alerts away.
    pub enabled: bool,
    /// How far back rates and percentiles look. How long an alert waits before it fires grows and
    /// shrinks with it, so a shorter window reacts faster and to less.
    pub window: Duration,
    /// Further labels on every alert, such as `team: risk`, for Alertmanager to route by.
    #[schemars(extend("maxProperties" = 16))]
    #[schemars(extend("x-kubernetes-validations" = cel(
    "self.all(key, key.matches('^[a-zA-Z_][a-zA-Z0-9_]{0,62}$') && !key.startsWith('__') && !(key in ['alertname', 'severity', 'namespace', 'modelservice', 'model_version', 'feature', 'pod']) && size(self[key]) <= 128)",
    "label names hold letters, digits and _, do not start with __ and are none that tell alerts apart: alertname, severity, namespace, modelservice, model_version, feature, pod; values have at most 128 characters"
)))]
    pub labels: BTreeMap<String, String>,
    /// When the alerts fire.
    pub thresholds: ThresholdsSpec,
}

impl Default for AlertsSpec {
    fn default() -> Self {
        Self {
            enabled: true,
            window: "5m".into(),
            labels: BTreeMap::new(),
            thresholds: ThresholdsSpec::default(),
        }
    }
}

/// When the alerts fire.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = cel(
    "duration(self.latencyP95) < duration('10s') && duration(self.inferenceP95) < duration('1s')",
    "latencyP95 must be below 10s and inferenceP95 below 1s: the histograms reach no further"
)))]
pub struct ThresholdsSpec {
    /// HighErrorRate: failed requests per second, over all pods.
    #[serde(rename = "errorsPerSecond")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub errors_per_second: f64,
    /// HighLatency: 95th percentile of the request duration.
    #[serde(rename = "latencyP95")]
    pub latency_p95: Duration,
    /// SlowInference: 95th percentile of the model's own time.
    #[serde(rename = "inferenceP95")]
    pub inference_p95: Duration,
    /// HighConcurrentRequests: requests worked on at once, in one pod.
    #[schemars(range(min = 1, max = 10_000))]
    pub active_requests: u32,
}

impl Default for ThresholdsSpec {
    fn default() -> Self {
        Self {
            errors_per_second: 0.1,
            latency_p95: "1s".into(),
            inference_p95: "500ms".into(),
            active_requests: 10,
        }
    }
}

/// The Grafana dashboard.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct DashboardSpec {
    /// False takes the dashboard away.
    pub enabled: bool,
    /// Further labels of its ConfigMap; `grafana_dashboard: "1"` is always there.
    #[schemars(extend("maxProperties" = 16))]
    #[schemars(extend("additionalProperties" = super::label_value()), extend("x-kubernetes-validations" = super::label_keys()))]
    pub labels: BTreeMap<String, String>,
    /// Folder in Grafana, for sidecars that read the `grafana_folder` annotation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[A-Za-z0-9][A-Za-z0-9 _-]{0,62}$"))]
    pub folder: Option<String>,
}

impl Default for DashboardSpec {
    fn default() -> Self {
        Self {
            enabled: true,
            labels: BTreeMap::new(),
            folder: None,
        }
    }
}
