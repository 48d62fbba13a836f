//! From a bucket of a histogram to the trace of a request that fell into it.

use crate::alerts::BUILTIN;
use crate::cluster::{Cluster, PATIENCE, on_node};
use crate::kubectl::eventually;
use crate::prometheus::exemplars;
use crate::served::rows;
use serde_json::json;

/// Nobody receives the traces, and nobody has to.
const MONITORING: &str = "monitoring: {scrape: {interval: 2s, timeout: 2s}, \
    tracing: {endpoint: 'http://collector.e2e-exemplars.svc:4318'}}";

#[test]
#[ignore = "needs a cluster: make test-end-to-end"]
fn prometheus_knows_the_trace_of_a_request() {
    let cluster = Cluster::shared("e2e-exemplars");
    cluster.serve("diabetes", &format!("{{{BUILTIN}, {MONITORING}}}"));
    cluster.wait_ready("diabetes");
    cluster.wait_reachable("diabetes");
    let url = cluster.url("diabetes").unwrap() + "/predict";
    let row = rows("diabetes.csv", "Outcome")[0].to_string();
    let trace = format!("{:032x}", fastrand::u128(1..));
    let parent = format!("traceparent: 00-{trace}-00f067aa0ba902b7-01");
    let series = format!(
        "api_request_duration_seconds_bucket{{namespace=\"{}\",endpoint=\"/predict\"}}",
        cluster.namespace
    );
    eventually("the trace of the request", PATIENCE, || {
        on_node(&["curl", "-sSf", "-H", &parent, "-d", &row, &url]);
        let found = exemplars(&series);
        let known = found.iter().any(|one| one["labels"]["trace_id"] == *trace);
        known.then_some(()).ok_or(Some(json!(found)))
    });
}
