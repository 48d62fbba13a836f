//! The cluster under test, with the chart installed once.

use crate::kubectl::{condition, eventually, get, kubectl};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{LazyLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

/// How long a test waits for what must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// Where the operator is installed.
pub(crate) const SYSTEM: &str = "modelservice-system";
/// Name of the chart's release, and so of its objects.
pub(crate) const RELEASE: &str = "modelservice-operator";

/// Tests that change the operator itself hold it for writing.
static PEACE: RwLock<()> = RwLock::new(());
static CHART: LazyLock<()> = LazyLock::new(|| {
    // A run that was cut off leaves a release that cannot be upgraded.
    helm(&[
        "uninstall",
        RELEASE,
        "--namespace",
        SYSTEM,
        "--ignore-not-found",
        "--wait",
    ]);
    helm_upgrade(&[]);
});

/// A namespace of its own for one test, in which Pod Security admits only restricted pods.
pub(crate) struct Cluster {
    pub(crate) namespace: String,
    _peace: Option<RwLockReadGuard<'static, ()>>,
    _quiet: Option<RwLockWriteGuard<'static, ()>>,
}

impl Cluster {
    /// Side by side with other tests.
    pub(crate) fn shared(namespace: &str) -> Self {
        let peace = PEACE.read().unwrap_or_else(PoisonError::into_inner);
        Self {
            _peace: Some(peace),
            _quiet: None,
            namespace: prepare(namespace),
        }
    }

    /// Alone.
    pub(crate) fn alone(namespace: &str) -> Self {
        let quiet = PEACE.write().unwrap_or_else(PoisonError::into_inner);
        Self {
            _peace: None,
            _quiet: Some(quiet),
            namespace: prepare(namespace),
        }
    }

    /// kubectl in the test's namespace; Err is what it printed on failure.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        kubectl(
            &[&["--namespace", &self.namespace], arguments].concat(),
            None,
        )
    }

    /// Applies YAML.
    pub(crate) fn apply(&self, yaml: &str) {
        kubectl(
            &["--namespace", &self.namespace, "apply", "-f", "-"],
            Some(yaml),
        )
        .unwrap();
    }

    /// Applies a ModelService with the given spec.
    pub(crate) fn serve(&self, name: &str, spec: &str) {
        self.apply(&format!(
            "apiVersion: modelservice.dev/v1alpha1\nkind: ModelService\nmetadata: {{name: {name}}}\nspec: {spec}\n"
        ));
    }

    /// An object, if it exists.
    pub(crate) fn get(&self, kind: &str, name: &str) -> Option<Value> {
        get(&self.namespace, kind, name)
    }

    /// Waits for the Ready condition as a user does.
    pub(crate) fn wait_ready(&self, name: &str) {
        let resource = format!("modelservice/{name}");
        self.kubectl(&["wait", "--for=condition=Ready", &resource, "--timeout=120s"])
            .unwrap_or_else(|error| {
                panic!(
                    "{error}\n{}",
                    self.kubectl(&["describe", "modelservice", name])
                        .unwrap_or_default()
                )
            });
    }

    /// Waits until a condition has this status and reason; its message.
    pub(crate) fn wait_condition(
        &self,
        name: &str,
        type_: &str,
        status: &str,
        reason: &str,
    ) -> String {
        let what = format!("{type_}={status} {reason} of {name} in {}", self.namespace);
        eventually(&what, PATIENCE, || {
            let ms = self.get("modelservice", name);
            let found = ms.as_ref().and_then(|ms| condition(ms, type_));
            match found {
                Some(c) if c["status"] == status && c["reason"] == reason => {
                    Ok(c["message"].as_str().unwrap_or_default().to_owned())
                }
                _ => Err(ms),
            }
        })
    }

    /// Posts JSON to a path of a ModelService, at its Service's address inside the cluster; Err
    /// is the answer when it is no success.
    pub(crate) fn post(&self, name: &str, path: &str, body: &Value) -> Result<Value, String> {
        let url = self.url(name).ok_or("there is no Service")? + path;
        let answer = post_from_node(&url, &body.to_string());
        let (answer, about) = answer.rsplit_once(ABOUT).unwrap_or_default();
        if !about.starts_with("200 ") {
            return Err(format!("{about} {answer}"));
        }
        serde_json::from_str(answer).map_err(|error| format!("{error}: {answer}"))
    }

    /// Where a ModelService's predictions are asked for, by its Service's address.
    pub(crate) fn url(&self, name: &str) -> Option<String> {
        let service = self.get("service", name)?;
        let address = service["spec"]["clusterIP"].as_str()?;
        Some(format!("http://{address}:8080"))
    }

    /// Waits until the node sends a Service's connections to a pod that serves: a little longer
    /// than until that is Ready.
    pub(crate) fn wait_reachable(&self, name: &str) {
        let url = self.url(name).unwrap() + "/v2/health/ready";
        on_node(&[&["curl", "-sSf", "-o", "/dev/null", &url], &PATIENT[..]].concat());
    }

    /// Names and statuses of the pods that are not on their way out.
    pub(crate) fn pods(&self, name: &str) -> Vec<Value> {
        let label = format!("app.kubernetes.io/instance={name}");
        let list: Value = serde_json::from_str(
            &self
                .kubectl(&["get", "pods", "-l", &label, "-o", "json"])
                .unwrap(),
        )
        .unwrap();
        let pods = list["items"].as_array().unwrap().iter();
        pods.filter(|pod| pod["metadata"]["deletionTimestamp"].is_null())
            .cloned()
            .collect()
    }
}

impl Drop for Cluster {
    /// The next run starts from nothing, and the machine has only so much room for pods.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = kubectl(
                &["delete", "namespace", &self.namespace, "--wait=false"],
                None,
            );
        }
    }
}

fn prepare(namespace: &str) -> String {
    LazyLock::force(&CHART);
    let _ = kubectl(
        &["delete", "namespace", namespace, "--ignore-not-found"],
        None,
    );
    let object = json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": namespace, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
    });
    kubectl(&["create", "-f", "-"], Some(&object.to_string())).unwrap();
    namespace.to_owned()
}

/// A file of the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// The images under test, as `cluster/images` tagged them.
pub(crate) fn images() -> [String; 2] {
    [("operator", "OPERATOR_TAG"), ("inference", "INFERENCE_TAG")].map(|(program, variable)| {
        let tag = std::env::var(variable).expect("run the tests with `make test-end-to-end`");
        format!("modelservice/{program}:{tag}")
    })
}

/// Installs or upgrades the chart with these further arguments, and waits for the operator.
pub(crate) fn helm_upgrade(arguments: &[&str]) {
    let chart = repository("charts/modelservice-operator");
    let tags = images().map(|image| image.rsplit_once(':').unwrap().1.to_owned());
    let (operator, inference) = (
        format!("image.tag={}", tags[0]),
        format!("inference.image.tag={}", tags[1]),
    );
    let fixed = [
        "upgrade",
        "--install",
        RELEASE,
        chart.to_str().unwrap(),
        "--namespace",
        SYSTEM,
    ];
    let waiting = ["--create-namespace", "--wait", "--timeout", "120s"];
    let tags = ["--set", &operator, "--set", &inference];
    helm(&[&fixed[..], &waiting, &tags, arguments].concat());
}

/// helm; fails with what it printed.
pub(crate) fn helm(arguments: &[&str]) {
    let output = run("helm", arguments);
    assert!(output.0, "helm {arguments:?}: {}", output.1);
}

/// Runs a program; whether it succeeded and what it printed.
pub(crate) fn run(program: &str, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text.into_owned())
}

/// The inference program, to train models and to say what they must answer.
pub(crate) fn inference(arguments: &[&str]) -> String {
    let program = std::env::var("INFERENCE").expect("run the tests with `make test-end-to-end`");
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// The cluster's only node, as Docker names it.
pub(crate) fn node() -> String {
    let cluster = std::env::var("CLUSTER").expect("run the tests with `make test-end-to-end`");
    format!("{cluster}-control-plane")
}

/// The node's address in the cluster.
pub(crate) fn node_address() -> String {
    let nodes = kubectl(&["get", "nodes", "--output", "json"], None).unwrap();
    let nodes: Value = serde_json::from_str(&nodes).unwrap();
    let addresses = nodes["items"][0]["status"]["addresses"].as_array().unwrap();
    let internal = addresses.iter().find(|a| a["type"] == "InternalIP");
    internal.unwrap()["address"].as_str().unwrap().to_owned()
}

/// Copies a file to a path of the node.
pub(crate) fn copy_to_node(from: &str, to: &str) {
    let target = format!("{}:{to}", node());
    let (success, text) = run("docker", &["cp", from, &target]);
    assert!(success, "docker cp {from} {target}: {text}");
}

/// A program that runs on the node until dropped.
pub(crate) struct NodeProgram {
    name: &'static str,
}

impl NodeProgram {
    /// Starts the program that the variable `which` has the path of.
    pub(crate) fn start(name: &'static str, which: &str, arguments: &[&str]) -> Self {
        let program = std::env::var(which).expect("run the tests with `make test-end-to-end`");
        let path = format!("/usr/local/bin/{name}");
        copy_to_node(&program, &path);
        let unit = format!("--unit={name}");
        on_node(&[&["systemd-run", &unit, &path], arguments].concat());
        Self { name }
    }
}

impl Drop for NodeProgram {
    fn drop(&mut self) {
        let (success, text) = try_on_node(&["systemctl", "stop", self.name]);
        if !success {
            eprintln!("{} does not stop: {text}", self.name);
        }
    }
}

/// Runs a command in the node; whether it succeeded and what it printed.
pub(crate) fn try_on_node(arguments: &[&str]) -> (bool, String) {
    run("docker", &[&["exec", &node()], arguments].concat())
}

/// Runs a command in the node, which must succeed.
pub(crate) fn on_node(arguments: &[&str]) {
    let (success, text) = try_on_node(arguments);
    assert!(success, "{arguments:?}: {text}");
}

/// A pod that is Ready is not at once where every node sends its Service's connections.
const PATIENT: [&str; 7] = [
    "--max-time",
    "10",
    "--retry",
    "15",
    "--retry-all-errors",
    "--retry-delay",
    "1",
];

/// Comes between an answer and its status and headers.
const ABOUT: &str = "\n--- ";

/// Posts from the node, where cluster addresses lead to pods; the answer, and what is known about it.
fn post_from_node(url: &str, body: &str) -> String {
    let json = [
        "-H",
        "content-type: application/json",
        "--data-binary",
        "@-",
    ];
    let about = format!("{ABOUT}%{{http_code}} %{{header_json}}");
    let mut process = Command::new("docker")
        .args(["exec", "-i", &node(), "curl", "-sS", "-w", &about])
        .args(PATIENT)
        .args(json)
        .arg(url)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    process
        .stdin
        .take()
        .unwrap()
        .write_all(body.as_bytes())
        .unwrap();
    String::from_utf8(process.wait_with_output().unwrap().stdout).unwrap()
}
