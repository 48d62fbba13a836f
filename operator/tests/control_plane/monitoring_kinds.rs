//! The Prometheus operator's kinds may be absent, appear and vanish while the operator runs.

use crate::cluster::Cluster;
use crate::installed::{install_monitoring_kind, install_monitoring_kinds};
use crate::kubectl::kubectl;
use serde_json::Value;

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

#[test]
#[ignore = "needs a control plane: make test-control-plane"]
fn a_prometheus_that_ignores_the_monitoring_objects_is_told_of() {
    let cluster = Cluster::alone("ignored");
    install_monitoring_kind("prometheuses");
    let everywhere = "serviceMonitorNamespaceSelector: {}, ruleNamespaceSelector: {}";
    let wish = "matchLabels: {release: other}";
    cluster
        .apply(&format!(
            "apiVersion: monitoring.coreos.com/v1\nkind: Prometheus\nmetadata: {{name: k8s}}\n\
             spec: {{serviceMonitorSelector: {{{wish}}}, ruleSelector: {{{wish}}}, {everywhere}}}\n"
        ))
        .unwrap();
    let model = "model: {source: {builtin: {name: diabetes}}}";
    cluster.serve(&format!("{{{model}}}")).unwrap();
    let message = cluster.wait_condition("MonitoringReady", "False", "NoPrometheusSelectsIt");
    assert_eq!(
        message,
        "no Prometheus takes the ServiceMonitor: ignored/k8s wants release=other; \
         set spec.monitoring.scrape.labels, or monitorLabels of the operator's chart"
    );
    cluster
        .serve(&format!(
            "{{{model}, monitoring: {{scrape: {{labels: {{release: other}}}}}}}}"
        ))
        .unwrap();
    cluster.wait_condition("MonitoringReady", "True", "Applied");
    cluster.serve(&format!("{{{model}}}")).unwrap();
    cluster.wait_condition("MonitoringReady", "False", "NoPrometheusSelectsIt");
    kubectl(
        &["delete", "crd", "prometheuses.monitoring.coreos.com"],
        None,
    )
    .unwrap();
    cluster.wait_condition("MonitoringReady", "True", "Applied");
}

/// An event as client-go's recorder makes it for the Prometheus operator.
fn rejection(cluster: &Cluster, rule: &Value, at: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Event\nmetadata: {{name: churn.rejected, namespace: {namespace}}}\n\
         involvedObject: {{apiVersion: monitoring.coreos.com/v1, kind: PrometheusRule, name: churn, namespace: {namespace}, uid: {uid}}}\n\
         reason: InvalidConfiguration\ntype: Warning\nsource: {{component: prometheus-operator}}\n\
         message: PrometheusRule churn was rejected due to invalid configuration\n\
         firstTimestamp: {at}\nlastTimestamp: {at}\ncount: 1\n",
        namespace = cluster.namespace,
        uid = rule["metadata"]["uid"],
    )
}

#[test]
#[ignore = "needs a control plane: make test-control-plane"]
fn a_rule_that_the_prometheus_operator_refuses_is_told_of_until_it_is_written_anew() {
    let cluster = Cluster::shared("rejected");
    let spec = "model: {source: {builtin: {name: diabetes}}}";
    cluster.serve(&format!("{{{spec}}}")).unwrap();
    cluster.wait_condition("MonitoringReady", "True", "Applied");
    let rule = cluster.wait("prometheusrule", "churn", |_| true);
    cluster
        .apply(&rejection(&cluster, &rule, "2020-01-01T00:00:00Z"))
        .unwrap();
    // Said before the rule was written: of another content.
    std::thread::sleep(std::time::Duration::from_secs(1));
    cluster.wait_condition("MonitoringReady", "True", "Applied");
    let now = k8s_openapi::jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ");
    cluster
        .apply(&rejection(&cluster, &rule, &now.to_string()))
        .unwrap();
    let message = cluster.wait_condition("MonitoringReady", "False", "Rejected");
    assert_eq!(
        message,
        "the Prometheus operator says: PrometheusRule churn was rejected due to invalid configuration"
    );
    std::thread::sleep(std::time::Duration::from_secs(2));
    cluster
        .serve(&format!(
            "{{{spec}, monitoring: {{alerts: {{window: 10m}}}}}}"
        ))
        .unwrap();
    cluster.wait_condition("MonitoringReady", "True", "Applied");
}
