//! What users count themselves, and the same under the names of other systems.

use crate::alerts::BUILTIN;
use crate::cluster::Cluster;
use crate::prometheus::{value, wait_query};
use crate::served::rows;

const MONITORING: &str = "monitoring: {scrape: {interval: 2s, timeout: 2s}, alerts: {window: 1m}, \
    objectives: {enabled: false}, compatibility: [tutorial, triton], businessMetrics: [\
    {name: detection_total, type: counter, labels: [{name: camera_id, parameter: camera_id}, \
        {name: outcome, output: outcome}]}, \
    {name: llm_latency_seconds, type: histogram, value: {parameter: latency}, buckets: [0.5, 1]}, \
    {name: success_rate, type: average, value: {request: success}}]}";

#[test]
#[ignore = "needs a cluster: make test-end-to-end"]
fn what_users_count_themselves_is_scraped_and_averaged() {
    let cluster = Cluster::shared("e2e-business");
    cluster.serve("diabetes", &format!("{{{BUILTIN}, {MONITORING}}}"));
    cluster.wait_ready("diabetes");
    let row = rows("diabetes.csv", "Outcome")[0].clone();
    let path = "/predict?camera_id=7&latency=0.75";
    let ask = || drop(cluster.post("diabetes", path, &row).unwrap());
    let of = |series: &str, matchers: &str| {
        format!("{series}{{namespace=\"{}\"{matchers}}}", cluster.namespace)
    };
    let asked = |query: &str| {
        wait_query(query, |samples| {
            ask();
            samples.iter().any(|sample| value(sample) > 0.0)
        })
    };
    asked(&of("detection_total", ",camera_id=\"7\",outcome=\"1\""));
    asked(&of("llm_latency_seconds_bucket", ",le=~\"1([.]0)?\""));
    asked(&of(
        "app_requests_total",
        ",path=\"/predict\",method=\"POST\"",
    ));
    asked(&of("nv_inference_request_success", ",model=\"diabetes\""));
    let rate = asked(&of("success_rate", ""));
    assert_eq!(value(&rate[0]), 1.0);
}
