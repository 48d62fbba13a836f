//! The number of pods follows their CPU, as a real metrics server reads it, and never falls where one
//! decider hands over to another.

use crate::cluster::{Cluster, NodeProgram, node_address};
use crate::kubectl::{eventually, kubectl};
use crate::load::Load;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

const API: &str = "v1beta1.metrics.k8s.io";
/// Measured every fifteen seconds, and acted upon as often, and both cores are busy.
const PATIENCE: Duration = Duration::from_secs(240);
const REPLICAS: usize = 3;
const MOST: usize = 5;

/// A metrics server on the node, until dropped.
struct MetricsServer {
    _program: NodeProgram,
}

impl MetricsServer {
    fn start() -> Self {
        let arguments = [
            "--kubeconfig=/etc/kubernetes/admin.conf",
            "--authentication-kubeconfig=/etc/kubernetes/admin.conf",
            "--authorization-kubeconfig=/etc/kubernetes/admin.conf",
            "--kubelet-insecure-tls",
            "--kubelet-preferred-address-types=InternalIP",
            "--cert-dir=/tmp/metrics-server",
            "--secure-port=4443",
            "--metric-resolution=15s",
        ];
        let _program = NodeProgram::start("metrics-server", "METRICS_SERVER", &arguments);
        kubectl(&["apply", "-f", "-"], Some(&registration().to_string())).unwrap();
        Self { _program }
    }
}

impl Drop for MetricsServer {
    /// An API that does not answer would keep namespaces from being deleted.
    fn drop(&mut self) {
        for gone in [["apiservice", API], ["service", "metrics-server"]] {
            let delete = ["--namespace", "kube-system", "delete"];
            if let Err(said) = kubectl(&[&delete[..], &gone].concat(), None) {
                eprintln!("{gone:?}: {said}");
            }
        }
    }
}

/// What makes the API server ask the node for metrics.
fn registration() -> Value {
    let address = node_address();
    let (name, namespace) = ("metrics-server", "kube-system");
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace},
        "spec": {"ports": [{"name": "https", "port": 443, "targetPort": 4443}]},
    });
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "name": name, "namespace": namespace, "labels": {"kubernetes.io/service-name": name},
        },
        "addressType": "IPv4", "endpoints": [{"addresses": [address]}],
        "ports": [{"name": "https", "port": 4443}],
    });
    let api = json!({
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": API},
        "spec": {
            "group": "metrics.k8s.io", "version": "v1beta1", "insecureSkipTLSVerify": true,
            "groupPriorityMinimum": 100, "versionPriority": 100,
            "service": {"name": name, "namespace": namespace},
        },
    });
    json!({"apiVersion": "v1", "kind": "List", "items": [service, slice, api]})
}

/// UIDs of the pods that have not restarted.
fn unharmed(cluster: &Cluster) -> BTreeSet<String> {
    let pods = cluster.pods("diabetes").into_iter();
    let never = pods.filter(|pod| pod["status"]["containerStatuses"][0]["restartCount"] == 0);
    never
        .map(|pod| pod["metadata"]["uid"].to_string())
        .collect()
}

/// How many pods there are to be.
fn wanted(cluster: &Cluster) -> usize {
    let deployment = cluster.get("deployment", "diabetes").unwrap();
    let replicas = deployment["spec"]["replicas"].as_u64().unwrap();
    usize::try_from(replicas).unwrap()
}

/// Waits until there are to be `number` pods, and never fewer than `at_least` meanwhile.
fn wait_for(cluster: &Cluster, number: usize, at_least: usize) {
    eventually(&format!("{number} pods"), PATIENCE, || {
        let wanted = wanted(cluster);
        assert!(wanted >= at_least, "{wanted} pods, fewer than {at_least}");
        match wanted == number && unharmed(cluster).len() >= number {
            true => Ok(()),
            false => Err(cluster.get("hpa", "diabetes")),
        }
    });
}

#[test]
#[ignore = "needs a cluster: make test-end-to-end"]
fn pods_follow_their_cpu_and_none_is_lost_when_autoscaling_begins_or_ends() {
    let cluster = Cluster::shared("e2e-autoscaling");
    let serve = |how_many: &str| {
        let model = "model: {source: {builtin: {name: diabetes}}}";
        let resources = "resources: {requests: {cpu: 10m}}";
        cluster.serve("diabetes", &format!("{{{model}, {resources}, {how_many}}}"));
    };
    serve(&format!("replicas: {REPLICAS}"));
    cluster.wait_ready("diabetes");
    let first = unharmed(&cluster);
    let _metrics = MetricsServer::start();
    serve(&format!(
        "autoscaling: {{minReplicas: 2, maxReplicas: {MOST}}}"
    ));
    let load = Load::start(&cluster, "diabetes", &["--rate", "300/s"]);
    wait_for(&cluster, MOST, REPLICAS);
    assert!(unharmed(&cluster).is_superset(&first), "a pod was replaced");

    // The spec says as many as there are, and there is nobody any more to make them fewer.
    let all = unharmed(&cluster);
    serve(&format!("replicas: {MOST}"));
    eventually("the autoscaler to go", PATIENCE, || {
        match cluster.get("hpa", "diabetes") {
            None => Ok(()),
            found => Err(found),
        }
    });
    let summary = load.stop();
    wait_for(&cluster, MOST, MOST);
    assert_eq!(unharmed(&cluster), all);
    assert_eq!(summary["accepted"], summary["requests"], "{summary}");
}
