//! The tables as a page for people.

use super::{Buckets, Kind, METRICS};
use crate::compatibility::ALIASES;
use std::fmt::Write as _;

const HEAD: &str = "# Metrics of the inference server

<!-- DO NOT EDIT: printed from contract/src/metrics.rs by `make gen` -->

The ServiceMonitor adds `namespace`, `pod` and `modelservice`. Label values come from the
model file, the file of API keys or closed sets, never from a request. The series that rules and dashboards look at
exist from the start; those of routes that nobody has called appear with the first request.

| metric | type | labels | meaning |
|---|---|---|---|
";

const OWN: &str = r#"
## Metrics of your own

`businessMetrics` in the configuration counts what requests carry and what the model answers:

```json
{"businessMetrics": [
  {"name": "detection_total", "type": "counter", "help": "Objects detected.", "labels": [
    {"name": "camera_id", "source": {"parameter": "camera_id"}, "maxValues": 100},
    {"name": "model_type", "source": {"parameter": "model_type"}, "values": ["yolo", "ssd"]}]},
  {"name": "llm_latency_seconds", "type": "histogram", "value": {"parameter": "latency_seconds"},
   "buckets": [0.1, 0.5, 1, 5]},
  {"name": "api_key_success_rate", "type": "average", "value": {"request": "success"}, "labels": [
    {"name": "key_id", "source": "apiKey"}]}]}
```

| field | may be |
|---|---|
| `type` | `counter`; `histogram`, with those `buckets` or the ones of `api_request_duration_seconds`; `average`, a summary without quantiles: `NAME_sum / NAME_count` |
| `value` | `"one"`, the default; `{"parameter": NAME}`; `{"output": "prediction"}`, the value or the index of the class; `{"output": "probability"}`, that of the predicted class; `{"request": "success"}`, 1 or 0; `{"request": "seconds"}`; `{"request": "rows"}` |
| `labels[].source` | `{"parameter": NAME}`, `"outcome"`, `"apiKey"`, `{"constant": VALUE}` |

Whatever reads the model's output is observed for each predicted row, everything else once for each request for
predictions. Only `{"request": "success"}` counts requests that were not answered with success, too.

Parameters of a request are strings, numbers or booleans. The last of several of one name counts, and one in the body
before one in the query; of requests without a known API key, where one is needed, none does:

| protocol | parameters |
|---|---|
| every REST route for predictions | query: `POST /predict?camera_id=7` |
| Open Inference Protocol, REST and gRPC | `parameters` of the request |
| KServe v1 | `"parameters": {…}` beside `instances` or `inputs` |
| MLflow | `"params": {…}` beside the rows |

A label takes the listed `values`, or the first `maxValues` that come (50 of a parameter); all others become `other`,
none `none`, and so do values of more than 128 bytes `other`. A metric has at most 1,000 time series, and all metrics of
your own together at most 5,000: sets of label values beyond that share the one where every label is `other`.
`business_label_overflow_total` says how often. A number that is missing, none, not finite or over 10^12 in size, or
negative for a counter, is not observed but counted in `business_observations_rejected_total`. Label sets that are known
from the start exist at 0 from the start, and no reload of the model resets anything.
"#;

const OTHER_SYSTEMS: &str = "
## Names of other systems

With `compatibility` in the configuration, as `[\"tutorial\", \"kserve\", \"triton\", \"mlserver\"]`, the same numbers are
shown once more under the names of other systems, so that their dashboards and queries work word for word. Requests for
predictions are those of `/predict`, `/invocations`, KServe v1 and the Open Inference Protocol over REST and gRPC. Left
out is what the server does not measure: KServe's `request_preprocess_seconds`, `request_postprocess_seconds` and
`request_explain_seconds`; Triton's queue, its input and output times, its caches and GPUs. What requests came to goes on
under the label of the new version when another is loaded.

| system | metric | type | labels | meaning |
|---|---|---|---|---|
";

/// The reference page of all metrics, as Markdown.
pub fn markdown() -> String {
    let mut page = String::from(HEAD);
    for metric in METRICS {
        let (name, kind, help) = (metric.name, metric.kind.as_str(), metric.help);
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            "| `{name}` | {kind} | {} | {help} |",
            quoted(metric.labels)
        );
    }
    page.push_str("\n## Buckets\n\n| histogram | upper bounds |\n|---|---|\n");
    for metric in METRICS {
        if let Kind::Histogram(buckets) = metric.kind {
            let _ = writeln!(page, "| `{}` | {} |", metric.name, bounds(buckets));
        }
    }
    page.push_str(OWN);
    page.push_str(OTHER_SYSTEMS);
    for alias in ALIASES {
        let (system, kind) = (alias.system.as_str(), alias.kind.as_str());
        let (name, labels, help) = (alias.name, quoted(alias.labels), alias.help);
        let _ = writeln!(page, "| {system} | `{name}` | {kind} | {labels} | {help} |");
    }
    page
}

fn quoted(labels: &[&str]) -> String {
    let labels = labels.iter().map(|label| format!("`{label}`"));
    labels.collect::<Vec<_>>().join(", ")
}

fn bounds(buckets: Buckets) -> String {
    match buckets {
        Buckets::Fixed(edges) => edges
            .iter()
            .map(f64::to_string)
            .collect::<Vec<_>>()
            .join(", "),
        Buckets::FromModel => "bin edges of the prediction in the model file".to_owned(),
    }
}
