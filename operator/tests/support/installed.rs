//! What the chart installs but for the pods, in the control plane under test.

use crate::kubectl::{eventually, kubectl};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long a test waits for what must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Where the operator is installed.
pub(crate) const NAMESPACE: &str = "modelservice-system";
/// Name of the chart's objects.
pub(crate) const RELEASE: &str = "modelservice-operator";

/// Directory of the control plane; its audit log is there.
pub(crate) fn directory() -> PathBuf {
    std::env::var_os("CONTROL_PLANE")
        .map(PathBuf::from)
        .expect("run the tests with make")
}

/// What the chart installs but for the pods: definition, account and rights.
pub(crate) fn chart() -> String {
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/modelservice-operator");
    let output = Command::new("helm")
        .args(["template", RELEASE, "--namespace", NAMESPACE])
        .args(["--kube-version", "1.34.0"])
        .args(["--show-only", "templates/crd.yaml"])
        .args(["--show-only", "templates/serviceaccount.yaml"])
        .args(["--show-only", "templates/rbac.yaml"])
        .arg(chart)
        .output()
        .expect("helm is not on the PATH: run the tests with make");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Installs it, and those kinds of the Prometheus operator.
pub(crate) fn install() {
    kubectl(&["create", "namespace", NAMESPACE], None).unwrap();
    kubectl(&["apply", "-f", "-"], Some(&chart())).unwrap();
    let crd = "crd/modelservices.modelservice.dev";
    eventually(crd, PATIENCE, || {
        kubectl(&["wait", "--for=condition=Established", crd], None).map_err(|_| None)
    });
    install_monitoring_kinds();
}

/// Installs the kinds of the Prometheus operator that are made for each ModelService.
pub(crate) fn install_monitoring_kinds() {
    for kind in ["servicemonitors", "prometheusrules"] {
        install_monitoring_kind(kind);
    }
}

/// Installs a kind of the Prometheus operator.
pub(crate) fn install_monitoring_kind(kind: &str) {
    let folder = std::env::var_os("MONITORING_CRDS")
        .map(PathBuf::from)
        .expect("run the tests with make");
    let file = folder.join(format!("monitoring.coreos.com_{kind}.yaml"));
    let file = file.to_str().unwrap();
    kubectl(&["apply", "--server-side", "-f", file], None).unwrap();
    let crd = format!("crd/{kind}.monitoring.coreos.com");
    // A definition that is new may have no conditions yet, which kubectl takes for a fault.
    eventually(&crd, PATIENCE, || {
        kubectl(&["wait", "--for=condition=Established", &crd], None).map_err(|_| None)
    });
}

/// A kubeconfig of the operator's account, with a token of its own.
pub(crate) fn kubeconfig_of_account() -> Value {
    let text = kubectl(&["config", "view", "--raw", "--minify", "-o", "json"], None);
    let mut config: Value = serde_json::from_str(&text.unwrap()).unwrap();
    let account = ["create", "token", RELEASE, "--duration", "2h"];
    let token = kubectl(&[&["--namespace", NAMESPACE], &account[..]].concat(), None);
    config["users"][0]["user"] = json!({"token": token.unwrap().trim()});
    config
}
