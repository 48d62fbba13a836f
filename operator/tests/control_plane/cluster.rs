//! The control plane under test, the operator that runs against it, and kubectl.

use crate::audit_log;
use crate::installed::{NAMESPACE, PATIENCE, RELEASE, directory, install, kubeconfig_of_account};
use crate::kubectl::{self, condition, eventually, kubectl};
use k8s_openapi::ByteString;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{LazyLock, Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Tests that disturb others (they stop the operator, or take kinds away) hold it for writing.
static PEACE: RwLock<()> = RwLock::new(());
static OPERATOR: LazyLock<Mutex<Operator>> = LazyLock::new(|| {
    install();
    Mutex::new(Operator::start("operator"))
});

/// A namespace of its own for one test, while nobody disturbs.
pub(crate) struct Cluster {
    pub(crate) namespace: String,
    _peace: Option<RwLockReadGuard<'static, ()>>,
    _quiet: Option<RwLockWriteGuard<'static, ()>>,
}

impl Cluster {
    /// Side by side with other tests.
    pub(crate) fn shared(namespace: &str) -> Self {
        let peace = PEACE
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        Self::prepare(namespace, Some(peace), None)
    }

    /// Alone.
    pub(crate) fn alone(namespace: &str) -> Self {
        let quiet = PEACE
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        Self::prepare(namespace, None, Some(quiet))
    }

    fn prepare(
        namespace: &str,
        peace: Option<RwLockReadGuard<'static, ()>>,
        quiet: Option<RwLockWriteGuard<'static, ()>>,
    ) -> Self {
        drop(OPERATOR.lock().unwrap());
        kubectl(&["create", "namespace", namespace], None).unwrap();
        Self {
            namespace: namespace.to_owned(),
            _peace: peace,
            _quiet: quiet,
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
    pub(crate) fn apply(&self, yaml: &str) -> Result<String, String> {
        kubectl(
            &["--namespace", &self.namespace, "apply", "-f", "-"],
            Some(yaml),
        )
    }

    /// Applies a ModelService named `churn` with the given spec.
    pub(crate) fn serve(&self, spec: &str) -> Result<String, String> {
        self.apply(&model_service("churn", spec))
    }

    /// An object, if it exists.
    pub(crate) fn get(&self, kind: &str, name: &str) -> Option<Value> {
        kubectl::get(&self.namespace, kind, name)
    }

    /// Waits until an object is there and looks as wanted.
    pub(crate) fn wait(&self, kind: &str, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let what = format!("{kind}/{name} in {}", self.namespace);
        eventually(&what, PATIENCE, || {
            self.get(kind, name)
                .filter(&wanted)
                .ok_or(self.get(kind, name))
        })
    }

    /// Waits until an object is gone.
    pub(crate) fn wait_gone(&self, kind: &str, name: &str) {
        eventually(&format!("{kind}/{name} to go"), PATIENCE, || {
            match self.get(kind, name) {
                None => Ok(()),
                Some(object) => Err(Some(object)),
            }
        });
    }

    /// Waits until a condition of `churn` has this status and reason; its message.
    pub(crate) fn wait_condition(&self, type_: &str, status: &str, reason: &str) -> String {
        let found =
            |ms: &Value| condition(ms, type_).map(|c| (c["status"].clone(), c["reason"].clone()));
        let wanted = Some((json!(status), json!(reason)));
        let ms = self.wait("modelservice", "churn", |ms| found(ms) == wanted);
        condition(&ms, type_).unwrap()["message"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Plays the kubelet: gives every pod this status.
    pub(crate) fn pods_say(&self, status: &Value) {
        let list: Value =
            serde_json::from_str(&self.kubectl(&["get", "pods", "-o", "json"]).unwrap()).unwrap();
        for pod in list["items"].as_array().unwrap() {
            let patch = json!({"status": status}).to_string();
            let name = pod["metadata"]["name"].as_str().unwrap();
            self.kubectl(&["patch", "pod", name, "--subresource=status", "-p", &patch])
                .unwrap();
        }
    }
}

/// A ModelService as a user writes it.
pub(crate) fn model_service(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: modelservice.dev/v1alpha1\nkind: ModelService\nmetadata: {{name: {name}}}\nspec: {spec}\n"
    )
}

/// Name of the operator's account in the audit log.
pub(crate) fn account() -> String {
    format!("system:serviceaccount:{NAMESPACE}:{RELEASE}")
}

/// The process of an operator.
pub(crate) struct Operator {
    process: Child,
    /// What the audit log calls its token.
    credential: String,
}

impl Operator {
    /// Starts one that is called `name` in its files, with a token of its own.
    pub(crate) fn start(name: &str) -> Self {
        Self::start_with(name, &[])
    }

    /// The same with further arguments.
    fn start_with(name: &str, arguments: &'static [&str]) -> Self {
        let kubeconfig = kubeconfig_of_account();
        let token = kubeconfig["users"][0]["user"]["token"].as_str().unwrap();
        let credential = credential(token);
        let file = directory().join(format!("{name}.kubeconfig"));
        std::fs::write(&file, kubeconfig.to_string()).unwrap();
        Self {
            process: start(file, directory().join(format!("{name}.log")), arguments),
            credential,
        }
    }

    /// As `kill -SIGNAL` does.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.process.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status();
        assert!(sent.unwrap().success());
    }

    /// Whether it succeeded in the end, which must come soon.
    pub(crate) fn end(&mut self) -> bool {
        let end = eventually("the operator to end", PATIENCE, || {
            self.process.try_wait().unwrap().ok_or(None)
        });
        end.success()
    }

    /// Its writes, but for those of the lease, by the audit log: when each began.
    pub(crate) fn writes(&self) -> Vec<String> {
        let writes = audit_log::entries().into_iter().filter(|entry| {
            audit_log::credential(entry) == self.credential
                && audit_log::is_write(entry)
                && !audit_log::is_about_a_lease(entry)
        });
        let time = |entry: Value| {
            entry["requestReceivedTimestamp"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        writes.map(time).collect()
    }
}

/// The id in a token, as the audit log has it.
fn credential(token: &str) -> String {
    let claims = token.split('.').nth(1).unwrap();
    let mut claims = claims.replace('-', "+").replace('_', "/");
    while !claims.len().is_multiple_of(4) {
        claims.push('=');
    }
    let claims: ByteString = serde_json::from_value(json!(claims)).unwrap();
    let claims: Value = serde_json::from_slice(&claims.0).unwrap();
    format!("JTI={}", claims["jti"].as_str().unwrap())
}

/// Ends the operator by SIGTERM, lets `meanwhile` happen, and starts another.
pub(crate) fn while_another_leads(meanwhile: impl FnOnce()) {
    let mut operator = OPERATOR.lock().unwrap();
    operator.signal("-TERM");
    assert!(operator.end());
    meanwhile();
    *operator = Operator::start("operator");
}

/// Lets `meanwhile` happen while an operator runs that is told `arguments` too.
pub(crate) fn while_told(arguments: &'static [&str], meanwhile: impl FnOnce()) {
    while_another_leads(|| {
        let mut other = Operator::start_with("told", arguments);
        meanwhile();
        other.signal("-TERM");
        assert!(other.end());
    });
}

/// Who holds the lease.
pub(crate) fn lease_holder() -> Option<String> {
    let lease = kubectl::get(NAMESPACE, "lease", RELEASE)?;
    let holder = lease["spec"]["holderIdentity"].as_str()?;
    Some(holder.to_owned())
}

/// Stops the operator, lets `meanwhile` happen, and starts it again.
pub(crate) fn while_stopped(meanwhile: impl FnOnce()) {
    let mut operator = OPERATOR.lock().unwrap();
    operator.process.kill().unwrap();
    operator.process.wait().unwrap();
    // Else its successor would wait for the end of its lease.
    kubectl(
        &["--namespace", NAMESPACE, "delete", "lease", RELEASE],
        None,
    )
    .unwrap();
    meanwhile();
    let before = times_filled();
    *operator = Operator::start("operator");
    eventually("the caches to fill", PATIENCE, || {
        if times_filled() > before {
            Ok(())
        } else {
            Err(None)
        }
    });
}

/// How often the operator has said that its caches are filled: it is ready from then on.
fn times_filled() -> usize {
    let log = std::fs::read_to_string(directory().join("operator.log")).unwrap();
    log.matches("all caches are filled").count()
}

/// Starts the operator as its service account. It ends with the test process: the thread that
/// starts it lives as long, and its death is the operator's signal to go.
fn start(kubeconfig: PathBuf, log: PathBuf, arguments: &'static [&str]) -> Child {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        sender.send(spawn(&kubeconfig, &log, arguments)).unwrap();
        loop {
            std::thread::park();
        }
    });
    receiver.recv().unwrap()
}

fn spawn(kubeconfig: &Path, log: &Path, arguments: &[&str]) -> Child {
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(log)
        .unwrap();
    Command::new("setpriv")
        .args([
            "--pdeathsig",
            "KILL",
            env!("CARGO_BIN_EXE_operator"),
            "run",
            "--admin",
            "127.0.0.1:0",
            "--lease-namespace",
            NAMESPACE,
        ])
        .args(["--monitor-label", "release=kube-prometheus-stack"])
        .args(arguments)
        .env("KUBECONFIG", kubeconfig)
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}
