//! Every metric of the inference server: the server registers this table, the operator's rules
//! and dashboards take their names from it, and `docs/metrics.md` is printed from it.

mod page;

pub use page::markdown;

/// One metric family.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// Name as Prometheus sees it (a histogram's without `_bucket`, `_sum`, `_count`).
    pub name: &'static str,
    /// Type, and the buckets of a histogram.
    pub kind: Kind,
    /// Help text: what is measured, in which unit.
    pub help: &'static str,
    /// Label names, in the order in which values are given.
    pub labels: &'static [&'static str],
}

/// Type of a metric family.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Only ever rises, but for restarts.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Observations counted in buckets.
    Histogram(Buckets),
}

/// Upper bounds of a histogram's buckets, rising, without `+Inf`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Buckets {
    /// The same for every model.
    Fixed(&'static [f64]),
    /// The edges of the prediction in the model's reference profile.
    FromModel,
}

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric {
        name,
        kind: Kind::Counter,
        help,
        labels,
    }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric {
        name,
        kind: Kind::Gauge,
        help,
        labels,
    }
}

const fn histogram(
    name: &'static str,
    buckets: &'static [f64],
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric {
        name,
        kind: Kind::Histogram(Buckets::Fixed(buckets)),
        help,
        labels,
    }
}

/// Seconds, from 100 µs to 10 s: a request over the network.
const REQUEST_SECONDS: &[f64] = &[
    0.0001, 0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
/// Seconds, from 1 µs to 1 s: a model's own work.
const INFERENCE_SECONDS: &[f64] = &[
    0.000001, 0.000005, 0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.005, 0.01,
    0.05, 0.1, 0.25, 0.5, 1.0,
];
/// Bytes, from 256 B to 16 MiB.
const BODY_BYTES: &[f64] = &[256.0, 4096.0, 65536.0, 1048576.0, 16777216.0];
/// Rows in a request.
const ROWS: &[f64] = &[1.0, 10.0, 50.0, 100.0, 1000.0];
/// Seconds, from a minute to thirty days: how late the truth becomes known.
const DELAY_SECONDS: &[f64] = &[60.0, 600.0, 3600.0, 21600.0, 86400.0, 604800.0, 2592000.0];
/// Errors in the unit of the target, whatever that is.
const TARGET_ERRORS: &[f64] = &[0.1, 0.5, 1.0, 5.0, 10.0, 50.0, 100.0, 1000.0];

/// Declares the metrics and the table of all of them.
macro_rules! metrics {
    ($($constant:ident = $metric:expr;)+) => {
        $(#[doc = concat!("See [`METRICS`]: `", stringify!($constant), "`.")]
        pub const $constant: Metric = $metric;)+

        /// Every metric family of the server, but for the standard `process_*` collector.
        pub const METRICS: &[Metric] = &[$($constant,)+];
    };
}

metrics! {
    REQUESTS = counter("api_requests_total", &["method", "endpoint", "status"],
        "Requests by method, route and HTTP status; 499 where the client did not wait for the answer.");
    REQUEST_DURATION = histogram("api_request_duration_seconds", REQUEST_SECONDS, &["method", "endpoint"],
        "Seconds from the request's head until its answer is ready to be sent, or nobody waits for it any more.");
    ACTIVE_REQUESTS = gauge("api_active_requests", &[],
        "Requests being worked on now.");
    ERRORS = counter("api_errors_total", &["endpoint", "error_type"],
        "Requests that were not answered with success, by route and cause.");
    KEY_REQUESTS = counter("api_key_requests_total", &["key_id", "outcome"],
        "Requests that had to carry an API key, by key and outcome; refused ones under the key unknown. Only where keys are configured.");
    REQUEST_SIZE = histogram("api_request_size_bytes", BODY_BYTES, &["endpoint"],
        "Bytes in the bodies of requests for predictions.");
    RESPONSE_SIZE = histogram("api_response_size_bytes", BODY_BYTES, &["endpoint"],
        "Bytes in the bodies of answers to requests for predictions.");
    MODEL_LOADED = gauge("model_loaded", &[],
        "1 while a model is loaded and passed its self-test, else 0.");
    MODEL_INFO = gauge("model_info", &["model", "version", "algorithm", "task", "sha256"],
        "Always 1; its labels say which model is served.");
    MODEL_LOAD_DURATION = gauge("model_load_duration_seconds", &[],
        "Seconds that reading, checking and self-testing the model took.");
    MODEL_LOAD_FAILURES = counter("model_load_failures_total", &["reason"],
        "Models that were refused, by reason.");
    INFERENCE_DURATION = histogram("model_inference_duration_seconds", INFERENCE_SECONDS, &["model_version"],
        "Seconds that the model took for one request, whatever its rows.");
    BATCH_ROWS = histogram("model_batch_rows", ROWS, &["model_version"],
        "Rows in one prediction request.");
    PREDICTIONS = counter("predictions_total", &["model_version", "outcome"],
        "Rows predicted, by predicted class; outcome is value for regression.");
    PREDICTION_DISTRIBUTION = Metric {
        name: "prediction_distribution",
        kind: Kind::Histogram(Buckets::FromModel),
        labels: &["model_version"],
        help: "Predicted value, or probability of the class at index 1; buckets from training.",
    };
    FEATURE_BIN = counter("model_feature_bin_total", &["model_version", "feature", "bin"],
        "Values seen in each bin of the reference profile; the prediction is the feature @prediction.");
    FEATURE_REFERENCE = gauge("model_feature_reference_ratio", &["model_version", "feature", "bin", "range"],
        "Share of the training data in each bin, whose edges the range label shows; sums to 1 for each feature.");
    FEATURE_REFERENCE_MISSING = gauge("model_feature_reference_missing_ratio", &["model_version", "feature"],
        "Share of the training rows that lacked the feature; only of features that some rows lacked.");
    FEATURE_INVALID = counter("model_feature_invalid_total", &["model_version", "feature", "reason", "refused"],
        "Feature values that the model was not trained for, by reason.");
    FEEDBACK = counter("model_feedback_total", &["model_version", "predicted", "actual", "correct"],
        "Ground truth received for classifications: the confusion matrix.");
    FEEDBACK_ROWS = counter("model_feedback_rows_total", &["model_version"],
        "Ground truth received for regression, in rows.");
    FEEDBACK_ABSOLUTE_ERROR = counter("model_feedback_absolute_error_total", &["model_version"],
        "Sum of the absolute errors of regression rows, in the target's unit.");
    FEEDBACK_SQUARED_ERROR = counter("model_feedback_squared_error_total", &["model_version"],
        "Sum of the squared errors of regression rows, in the target's unit squared.");
    FEEDBACK_REJECTED = counter("model_feedback_rejected_total", &["reason"],
        "Ground truth refused, by reason.");
    FEEDBACK_DELAY = histogram("model_feedback_delay_seconds", DELAY_SECONDS, &["model_version"],
        "Seconds between a prediction and its ground truth.");
    FEEDBACK_LAST = gauge("model_feedback_last_timestamp_seconds", &["model_version"],
        "Unix time of the newest ground truth, in seconds; 0 before the first.");
    REFERENCE_SCORE = gauge("model_reference_score", &["model_version", "score"],
        "How well the model did on held-out data in training: accuracy from 0 to 1, or rmse and mae in the target's unit.");
    VALIDATION_RMSE = histogram("validation_rmse", TARGET_ERRORS, &["model_version"],
        "Root mean squared error of each batch of ground truth, in the target's unit.");
    APP_MEMORY = gauge("app_memory_usage_bytes", &["type"],
        "Memory of the server process in bytes: rss resident, vms virtual.");
    TRACE_EXPORT_FAILURES = counter("trace_export_failures_total", &[],
        "Attempts to send spans that the receiver of traces did not accept. Only where traces are sent.");
    TRACE_SPANS_LOST = counter("trace_spans_lost_total", &[],
        "Spans that were never sent, as too many waited or the receiver did not take them. Only where traces are sent.");
    BUSINESS_LABEL_OVERFLOW = counter("business_label_overflow_total", &["metric", "label"],
        "Observations of the user's own metrics whose label value became other. Only where such metrics are configured.");
    BUSINESS_REJECTED = counter("business_observations_rejected_total", &["metric", "reason"],
        "Observations that the user's own metrics did not take, by reason. Only where such metrics are configured.");
}

impl Kind {
    /// The word that Prometheus uses for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

impl Metric {
    /// Names of the series that Prometheus stores for this family.
    pub fn series(&self) -> Vec<String> {
        match self.kind {
            Kind::Counter | Kind::Gauge => vec![self.name.to_owned()],
            Kind::Histogram(_) => ["bucket", "sum", "count"]
                .map(|part| format!("{}_{part}", self.name))
                .to_vec(),
        }
    }
}
