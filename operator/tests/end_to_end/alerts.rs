//! An alert that fires because its fault was caused, and resolves because it ended.

use crate::cluster::Cluster;
use crate::kubectl::eventually;
use crate::prometheus::alert_state;
use serde_json::json;
use std::time::{Duration, Instant};

/// A window of a minute instead of five, so that the alert is there and gone in minutes.
const SPEC: &str = "{model: {source: {builtin: {name: diabetes}}}, monitoring: {\
    scrape: {interval: 5s, timeout: 5s}, alerts: {window: 1m}}}";

#[test]
#[ignore = "needs a cluster: make test-end-to-end"]
fn high_error_rate_fires_while_requests_fail_and_resolves_when_they_end() {
    let cluster = Cluster::shared("e2e-alert");
    cluster.serve("diabetes", SPEC);
    cluster.wait_ready("diabetes");
    let state = || alert_state(&cluster.namespace, "diabetes", "HighErrorRate");
    let wait = |wanted: &str| {
        eventually(
            &format!("HighErrorRate to be {wanted}"),
            Duration::from_secs(180),
            || match state() {
                Some(state) if state == wanted => Ok(()),
                other => Err(Some(json!(other))),
            },
        );
    };
    wait("inactive");
    let start = Instant::now();
    while state().as_deref() != Some("firing") {
        assert!(
            start.elapsed() < Duration::from_secs(180),
            "HighErrorRate is {:?} after three minutes of errors",
            state()
        );
        for _ in 0..4 {
            cluster
                .post("diabetes", "/predict", &json!({"Glucose": "much"}))
                .unwrap_err();
        }
    }
    println!(
        "fires {:.0} s after the first error",
        start.elapsed().as_secs_f64()
    );
    let start = Instant::now();
    wait("inactive");
    println!(
        "resolves {:.0} s after the last",
        start.elapsed().as_secs_f64()
    );
}
