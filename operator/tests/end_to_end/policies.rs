//! Who may ask the pods of a model, and whom they may ask, where NetworkPolicies are enforced.

use crate::cluster::{Cluster, NodeProgram, PATIENCE, node, on_node, try_on_node};
use crate::kubectl::{eventually, kubectl};
use contract::endpoints::{ADMIN, GRPC, HTTP};
use serde_json::Value;

const BUILTIN: &str = "{builtin: {name: diabetes}}";

/// Enforces NetworkPolicies on the node until dropped.
struct Enforcement {
    program: Option<NodeProgram>,
}

impl Enforcement {
    fn begin() -> Self {
        // Pods of one node are on one bridge, whose frames the kernel filters only if told to.
        let bridged = "echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables";
        on_node(&["sh", "-c", bridged]);
        let name = format!("--hostname-override={}", node());
        let arguments = [
            "--run-firewall=true",
            "--run-router=false",
            "--run-service-proxy=false",
            "--kubeconfig=/etc/kubernetes/admin.conf",
            &name,
        ];
        let program = NodeProgram::start("kube-router", "KUBE_ROUTER", &arguments);
        Self {
            program: Some(program),
        }
    }
}

/// Takes kube-router's chains away, and leaves those of others.
const CLEAN: &str = "iptables-save --table filter | grep --invert-match --extended-regexp 'KUBE-(ROUTER|NWPLCY|POD-FW)' | iptables-restore";

impl Drop for Enforcement {
    fn drop(&mut self) {
        // First: while it runs it puts its chains back.
        drop(self.program.take());
        let (success, said) = try_on_node(&["sh", "-c", CLEAN]);
        if !success {
            eprintln!("{CLEAN}: {said}");
        }
    }
}

/// A pod, to speak in its name.
struct Peer {
    address: String,
    process: String,
}

impl Peer {
    /// The first pod of a namespace with a label.
    fn new(namespace: &str, label: &str) -> Self {
        let query = ["-n", namespace, "get", "pods", "-l", label, "-o", "json"];
        let pods: Value = serde_json::from_str(&kubectl(&query, None).unwrap()).unwrap();
        let status = &pods["items"][0]["status"];
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let container = text(&status["containerStatuses"][0]["containerID"]);
        let container = container.trim_start_matches("containerd://");
        let (found, tasks) = try_on_node(&["ctr", "-n", "k8s.io", "tasks", "ls"]);
        assert!(found, "{tasks}");
        let task = tasks.lines().find(|line| line.starts_with(container));
        Self {
            address: text(&status["podIP"]),
            process: task.unwrap().split_whitespace().nth(1).unwrap().to_owned(),
        }
    }

    /// Whether a connection from this pod to a port of another is made.
    fn reaches(&self, other: &Self, port: u16) -> bool {
        let url = format!("telnet://{}:{port}", other.address);
        let enter = ["nsenter", "--net", "--target", &self.process];
        let connect = [
            "curl",
            "--silent",
            "--connect-timeout",
            "2",
            "--max-time",
            "3",
            "--verbose",
            &url,
        ];
        let (_, said) = try_on_node(&[&enter[..], &connect].concat());
        said.contains("Connected to")
    }
}

#[test]
#[ignore = "needs a cluster: make test-end-to-end"]
fn models_are_asked_by_whom_they_should_be_and_ask_nobody() {
    let cluster = Cluster::alone("e2e-policies");
    cluster.serve("diabetes", &format!("{{model: {{source: {BUILTIN}}}}}"));
    cluster.wait_ready("diabetes");
    let instance = "app.kubernetes.io/instance=diabetes";
    let model = Peer::new(&cluster.namespace, instance);
    let dns = Peer::new("kube-system", "k8s-app=kube-dns");
    let prometheus = Peer::new("monitoring", "app.kubernetes.io/name=prometheus");
    let reaches = || {
        [
            prometheus.reaches(&model, ADMIN.number),
            dns.reaches(&model, HTTP.number),
            dns.reaches(&model, GRPC.number),
            dns.reaches(&model, ADMIN.number),
            model.reaches(&dns, 9153),
        ]
    };
    assert_eq!(reaches(), [true; 5], "before anything is enforced");
    let _enforcement = Enforcement::begin();
    eventually("policies to be enforced", PATIENCE, || {
        match reaches() == [true, true, true, false, false] {
            true => Ok(()),
            false => Err(Some(format!("{:?}", reaches()).into())),
        }
    });
    // Monitored and asked as before.
    let row = &crate::served::rows("diabetes.csv", "Outcome")[0];
    cluster.post("diabetes", "/predict", row).unwrap();
    pods_ask_whom_their_own_spec_names(&cluster, &dns);
}

/// Also those that come while another spec, which names nobody, cannot work.
fn pods_ask_whom_their_own_spec_names(cluster: &Cluster, dns: &Peer) {
    let tracing = "{tracing: {endpoint: 'http://collector.kube-system.svc:4318'}}";
    let traced = format!("{{model: {{source: {BUILTIN}}}, monitoring: {tracing}}}");
    cluster.serve("diabetes", &traced);
    cluster.wait_ready("diabetes");
    let pod = |at: usize| cluster.pods("diabetes").remove(at);
    eventually("one pod", PATIENCE, || match cluster.pods("diabetes") {
        pods if pods.len() == 1 => Ok(()),
        pods => Err(Some(pods.into())),
    });
    let label = "modelservice.dev/config-hash";
    let hash = pod(0)["metadata"]["labels"][label].clone();
    let label = format!("{label}={}", hash.as_str().unwrap());
    let asks = || {
        let model = Peer::new(&cluster.namespace, &label);
        eventually("its way to be open", PATIENCE, || {
            model.reaches(dns, 9153).then_some(()).ok_or(None)
        });
    };
    asks();
    let sha256 = "a".repeat(64);
    let wrong = format!("{{model: {{source: {BUILTIN}, sha256: {sha256}}}, monitoring: null}}");
    cluster.serve("diabetes", &wrong);
    cluster.wait_condition("diabetes", "Ready", "False", "ChecksumMismatch");
    asks();
    let delete = ["delete", "pods", "-l", &label];
    cluster.kubectl(&delete).unwrap();
    let ready = ["wait", "--for=condition=Ready", "pods", "-l", &label];
    eventually("a pod in its place", PATIENCE, || {
        let waited = cluster.kubectl(&ready);
        waited.map_err(|said| Some(said.into()))
    });
    asks();
}
