//! A control plane, an operator that talks to it through the proxy, and what there is in a namespace.

use crate::installed::{NAMESPACE, RELEASE, directory, install, kubeconfig_of_account};
use crate::proxy::{Proxy, Rule};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::config::AuthInfo;
use kube::core::GroupVersionKind;
use kube::{Api, Client, Config};
use operator::api::ModelService;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Seconds until the operator lists everything anew.
pub(crate) const RELIST: u64 = 6;
/// Time between two looks.
const LOOK: Duration = Duration::from_millis(60);
/// For so long nothing is written once all is done.
const QUIET: Duration = Duration::from_millis(700);
/// Longest time until all is done where nothing goes wrong.
const FAIR: Duration = Duration::from_secs(20);

/// Kinds that a ModelService becomes, and its own: group and version, kind, plural.
pub(crate) const KINDS: [(&str, &str, &str); 9] = [
    ("modelservice.dev/v1alpha1", "ModelService", "modelservices"),
    ("v1", "ConfigMap", "configmaps"),
    ("v1", "Service", "services"),
    ("apps/v1", "Deployment", "deployments"),
    ("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    (
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        "horizontalpodautoscalers",
    ),
    ("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"),
    (
        "monitoring.coreos.com/v1",
        "ServiceMonitor",
        "servicemonitors",
    ),
    (
        "monitoring.coreos.com/v1",
        "PrometheusRule",
        "prometheusrules",
    ),
];

/// What there is in a namespace, as far as it does not depend on when and where it was made: by
/// plural and name.
pub(crate) type State = BTreeMap<(String, String), Value>;

/// See the module.
pub(crate) struct Rig {
    pub(crate) proxy: Proxy,
    admin: Client,
    kubeconfig: PathBuf,
    operator: Child,
}

impl Rig {
    pub(crate) async fn start() -> Self {
        install();
        let admin = Client::try_default().await.unwrap();
        let mut upstream = Config::infer().await.unwrap();
        // Whoever calls says himself who he is.
        upstream.auth_info = AuthInfo::default();
        upstream.default_retry = false;
        upstream.read_timeout = None;
        let proxy = Proxy::start(Client::try_from(upstream).unwrap()).await;
        let mut config = kubeconfig_of_account();
        config["clusters"][0]["cluster"] = json!({"server": format!("http://{}", proxy.address)});
        let kubeconfig = directory().join("proxied.kubeconfig");
        std::fs::write(&kubeconfig, config.to_string()).unwrap();
        let operator = spawn(&kubeconfig);
        let rig = Self {
            proxy,
            admin,
            kubeconfig,
            operator,
        };
        rig.aim();
        rig
    }

    /// The proxy kills the operator that runs now.
    fn aim(&self) {
        let pid = Pid::from_child(&self.operator);
        self.proxy.kills(move || {
            // It may be dead already.
            let _ = kill_process(pid, Signal::KILL);
        });
    }

    /// Whether the operator is dead.
    pub(crate) fn is_dead(&mut self) -> bool {
        self.operator.try_wait().unwrap().is_some()
    }

    /// Starts another operator where one has died, which need not wait for the end of its lease.
    pub(crate) async fn restart(&mut self) {
        let leases = Api::<Lease>::namespaced(self.admin.clone(), NAMESPACE);
        // There is none if the operator died before it wrote any.
        let _ = leases.delete(RELEASE, &DeleteParams::default()).await;
        self.operator = spawn(&self.kubeconfig);
        self.aim();
    }

    pub(crate) async fn make_namespace(&self, name: &str) {
        let api = Api::<Namespace>::all(self.admin.clone());
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        let params = PatchParams::apply("test");
        api.patch(name, &params, &Patch::Apply(&object))
            .await
            .unwrap();
    }

    pub(crate) fn services(&self, namespace: &str) -> Api<ModelService> {
        Api::namespaced(self.admin.clone(), namespace)
    }

    pub(crate) fn objects(&self, plural: &str, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.admin.clone(), namespace, &resource(plural))
    }

    /// Applies a ModelService named `churn`; Err is why the API server refuses it.
    pub(crate) async fn serve(&self, namespace: &str, spec: &Value) -> Result<(), kube::Error> {
        let object = json!({
            "apiVersion": "modelservice.dev/v1alpha1", "kind": "ModelService",
            "metadata": {"name": "churn"}, "spec": spec,
        });
        let params = PatchParams::apply("test").force().validation_strict();
        let services = self.services(namespace);
        services
            .patch("churn", &params, &Patch::Apply(&object))
            .await
            .map(drop)
    }

    pub(crate) async fn delete(&self, namespace: &str) {
        let params = DeleteParams::default();
        // It may never have been made.
        let _ = self.services(namespace).delete("churn", &params).await;
    }

    /// What there is in a namespace.
    pub(crate) async fn state(&self, namespace: &str) -> State {
        let mut state = State::new();
        for (_, _, plural) in KINDS {
            let api = self.objects(plural, namespace);
            let found = api.list(&ListParams::default()).await.unwrap();
            state.extend(found.items.iter().filter_map(entry(plural)));
        }
        state
    }

    /// What there is in each of these namespaces.
    pub(crate) async fn states(&self, namespaces: &[&str]) -> Vec<State> {
        let mut states = vec![State::new(); namespaces.len()];
        let at: HashMap<_, _> = namespaces.iter().zip(0..).collect();
        for (_, _, plural) in KINDS {
            let api = Api::<DynamicObject>::all_with(self.admin.clone(), &resource(plural));
            for object in api.list(&ListParams::default()).await.unwrap().items {
                let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
                if let Some(at) = at.get(&namespace) {
                    let state: &mut State = &mut states[*at];
                    state.extend(entry(plural)(&object));
                }
            }
        }
        states
    }

    /// UIDs of what there is in a namespace.
    pub(crate) async fn uids(&self, namespace: &str) -> BTreeMap<(String, String), String> {
        let mut uids = BTreeMap::new();
        for plural in ["services", "deployments"] {
            let found = self
                .objects(plural, namespace)
                .list(&ListParams::default())
                .await;
            uids.extend(found.unwrap().items.into_iter().map(|object| {
                let name = object.metadata.name.unwrap_or_default();
                (
                    (plural.to_owned(), name),
                    object.metadata.uid.unwrap_or_default(),
                )
            }));
        }
        uids
    }

    /// Waits until the operator has done all that there is to do in a namespace: what is there then.
    pub(crate) async fn settled(&self, namespace: &str) -> State {
        let begin = Instant::now();
        loop {
            let before = self.state(namespace).await;
            sleep(QUIET).await;
            let state = self.state(namespace).await;
            if before == state && self.is_observed(&[namespace]).await {
                return state;
            }
            assert!(
                begin.elapsed() < FAIR,
                "{namespace} does not settle: {state:#?}"
            );
        }
    }

    /// Whether the operator has seen the newest spec of all ModelServices in these namespaces.
    pub(crate) async fn is_observed(&self, namespaces: &[&str]) -> bool {
        let api = Api::<ModelService>::all(self.admin.clone());
        let found = api.list(&ListParams::default()).await.unwrap().items;
        let mut found = found.iter().filter(|ms| {
            namespaces.contains(&ms.metadata.namespace.as_deref().unwrap_or_default())
        });
        found.all(|ms| {
            let seen = ms
                .status
                .as_ref()
                .and_then(|status| status.observed_generation);
            seen == ms.metadata.generation
        })
    }

    /// Waits until a namespace holds `wanted`; how long that took, or how it differs.
    pub(crate) async fn reaches(
        &self,
        namespace: &str,
        wanted: &State,
        within: Duration,
    ) -> Result<Duration, String> {
        let begin = Instant::now();
        loop {
            let state = self.state(namespace).await;
            if state == *wanted {
                return Ok(begin.elapsed());
            }
            if begin.elapsed() > within {
                return Err(difference(&state, wanted));
            }
            sleep(LOOK).await;
        }
    }

    /// Nothing goes wrong any more.
    pub(crate) fn calm(&self) {
        self.proxy.rule(Vec::new());
    }

    /// From now on these things go wrong.
    pub(crate) fn storm(&self, rules: Vec<Rule>) {
        self.proxy.rule(rules);
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = self.operator.kill();
        let _ = self.operator.wait();
    }
}

pub(crate) fn resource(plural: &str) -> ApiResource {
    let (version, kind, _) = KINDS.iter().find(|(_, _, known)| *known == plural).unwrap();
    let (group, version) = version.rsplit_once('/').unwrap_or(("", version));
    let kind = GroupVersionKind::gvk(group, version, kind);
    ApiResource::from_gvk_with_plural(&kind, plural)
}

fn spawn(kubeconfig: &PathBuf) -> Child {
    let log = directory().join("operator.log");
    let log = std::fs::File::options().create(true).append(true).open(log);
    let log = log.unwrap();
    Command::new(env!("CARGO_BIN_EXE_operator"))
        .args([
            "run",
            "--admin",
            "127.0.0.1:0",
            "--lease-namespace",
            NAMESPACE,
        ])
        .args(["--relist-interval", &RELIST.to_string()])
        .env("KUBECONFIG", kubeconfig)
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// Where an object of a kind is in a state, and as what; None if it is nobody's.
fn entry(plural: &str) -> impl Fn(&DynamicObject) -> Option<((String, String), Value)> {
    move |object| {
        let name = object.metadata.name.clone()?;
        let namespace = object.metadata.namespace.as_deref()?;
        let is_ours = name != "kube-root-ca.crt";
        is_ours.then(|| ((plural.to_owned(), name), lasting(object, namespace)))
    }
}

/// An object without what depends on when and where it was made, or on how often it was written.
fn lasting(object: &DynamicObject, namespace: &str) -> Value {
    let mut value = serde_json::to_value(object).unwrap();
    let metadata = value["metadata"].as_object_mut().unwrap();
    for field in [
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "generation",
        "managedFields",
    ] {
        metadata.remove(field);
    }
    if let Some(annotations) = metadata
        .get_mut("annotations")
        .and_then(Value::as_object_mut)
    {
        annotations.remove("deployment.kubernetes.io/revision");
        annotations.remove("modelservice.dev/rendered");
    }
    let is_ours = value["kind"] == "ModelService";
    match (is_ours, value.as_object_mut()) {
        (false, Some(fields)) => drop(fields.remove("status")),
        _ => undated(&mut value["status"]),
    }
    for field in ["clusterIP", "clusterIPs"] {
        if let Some(spec) = value["spec"].as_object_mut() {
            spec.remove(field);
        }
    }
    if let Some(owners) = value["metadata"]["ownerReferences"].as_array_mut() {
        owners
            .iter_mut()
            .for_each(|owner| owner["uid"] = json!("UID"));
    }
    // Names of namespaces are in labels of rules, URLs and queries.
    let mut text = value.to_string().replace(namespace, "NAMESPACE");
    if let Some(uid) = dashboard_uid(&value) {
        text = text.replace(uid, "DASHBOARD");
    }
    serde_json::from_str(&text).unwrap()
}

/// What Grafana knows a dashboard by, which depends on whose it is.
fn dashboard_uid(value: &Value) -> Option<&str> {
    let mut keys = value["data"].as_object()?.keys();
    keys.find_map(|key| {
        key.strip_suffix(".json")
            .filter(|uid| uid.starts_with("ms-"))
    })
}

fn undated(status: &mut Value) {
    if let Some(status) = status.as_object_mut() {
        status.remove("observedGeneration");
    }
    let conditions = status["conditions"].as_array_mut().into_iter().flatten();
    for condition in conditions.filter_map(Value::as_object_mut) {
        condition.remove("lastTransitionTime");
        condition.remove("observedGeneration");
    }
}

/// Where two values differ.
fn place(found: &Value, wanted: &Value) -> String {
    let inner = match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => {
            let keys = found.keys().chain(wanted.keys());
            let mut pairs = keys.map(|key| (key.clone(), found.get(key), wanted.get(key)));
            pairs.find(|(_, found, wanted)| found != wanted)
        }
        _ => None,
    };
    match inner {
        Some((key, Some(found), Some(wanted))) => format!(".{key}{}", place(found, wanted)),
        Some((key, found, wanted)) => format!(".{key}: {found:?}, expected {wanted:?}"),
        None => format!(": {found}, expected {wanted}"),
    }
}

/// Where two states differ, in a few words.
pub(crate) fn difference(found: &State, wanted: &State) -> String {
    let mut all = Vec::new();
    for (key, value) in wanted {
        match found.get(key) {
            None => all.push(format!("{key:?} is missing")),
            Some(other) if other != value => {
                all.push(format!("{key:?} differs at {}", place(other, value)));
            }
            Some(_) => {}
        }
    }
    let surplus = found.keys().filter(|key| !wanted.contains_key(*key));
    all.extend(surplus.map(|key| format!("{key:?} is not wanted")));
    all.join("\n")
}
