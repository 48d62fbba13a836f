//! The Prometheus operator's kinds may be absent, appear and vanish while the operator runs.

use crate::cluster::{Cluster, install_monitoring_kinds};
use crate::kubectl::kubectl;

#[test]
#[ignore = "needs a control plane: make test-control-plane"]
fn monitoring_kinds_may_vanish_and_return_without_a_restart() {
    let cluster = Cluster::alone("kinds");
    cluster
        .serve("{model: {source: {builtin: {name: diabetes}}}}")
        .unwrap();
    cluster.wait_condition("MonitoringReady", "True", "Applied");
    kubectl(
        &[
            "delete",
            "crd",
            "servicemonitors.monitoring.coreos.com",
            "prometheusrules.monitoring.coreos.com",
        ],
        None,
    )
    .unwrap();
    let message = cluster.wait_condition("MonitoringReady", "False", "PrometheusOperatorMissing");
    assert!(
        message.contains("no ServiceMonitor and no PrometheusRule kind"),
        "{message}"
    );
    // The rest is not delayed.
    cluster
        .apply(&crate::cluster::model_service(
            "second",
            "{model: {source: {builtin: {name: diabetes}}}}",
        ))
        .unwrap();
    cluster.wait("deployment", "second", |_| true);
    install_monitoring_kinds();
    for (kind, name) in [
        ("servicemonitor", "churn"),
        ("prometheusrule", "churn"),
        ("servicemonitor", "second"),
    ] {
        cluster.wait(kind, name, |_| true);
    }
    cluster.wait_condition("MonitoringReady", "True", "Applied");
}
