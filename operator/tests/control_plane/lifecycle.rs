//! From apply to delete: what is made, kept, repaired, scaled and taken away.

use crate::audit_log;
use crate::cluster::{Cluster, account, model_service, while_stopped};
use crate::configuration::config_map_of;
use crate::installed::PATIENCE;
use crate::kubectl::eventually;
use serde_json::{Value, json};
use std::time::Duration;

const SPEC: &str = "{model: {source: {builtin: {name: diabetes}}}}";
/// Kind and name of what serves, of a ModelService named `churn` with one pod, but for its configuration.
const SERVING: [(&str, &str); 2] = [("service", "churn"), ("deployment", "churn")];
/// And of what monitors.
pub(crate) const MONITORING: [(&str, &str); 3] = [
    ("servicemonitor", "churn"),
    ("prometheusrule", "churn"),
    ("configmap", "churn-dashboard"),
];

/// Name of the ConfigMap with the configuration of [`SPEC`].
fn configuration() -> String {
    config_map_of(&model_service("churn", SPEC))
}

/// All of them.
fn children() -> impl Iterator<Item = (&'static str, String)> {
    let named = SERVING.into_iter().chain(MONITORING);
    let named = named.map(|(kind, name)| (kind, name.to_owned()));
    let of_configuration = ["configmap", "networkpolicy"].map(|kind| (kind, configuration()));
    of_configuration.into_iter().chain(named)
}

fn wait_for_children(cluster: &Cluster) {
    for (kind, name) in children() {
        cluster.wait(kind, &name, |_| true);
    }
}

#[test]
#[ignore = "needs a control plane: make test-control-plane"]
fn one_apply_makes_every_child_and_one_delete_takes_them_all() {
    let cluster = Cluster::shared("lifecycle");
    cluster.serve(SPEC).unwrap();
    let uid = cluster.wait("modelservice", "churn", |_| true)["metadata"]["uid"].clone();
    for (kind, name) in children() {
        let child = cluster.wait(kind, &name, |_| true);
        let owner = &child["metadata"]["ownerReferences"][0];
        assert_eq!(
            (&owner["uid"], &owner["controller"]),
            (&uid, &json!(true)),
            "{kind}/{name}"
        );
    }
    let monitor = cluster.get("servicemonitor", "churn").unwrap();
    assert_eq!(
        monitor["metadata"]["labels"]["release"],
        "kube-prometheus-stack"
    );
    let status = &cluster.wait("modelservice", "churn", |ms| {
        ms["status"]["url"].is_string()
    })["status"];
    assert_eq!(status["url"], "http://churn.lifecycle.svc:8080");
    assert_eq!(
        status["selector"],
        "app.kubernetes.io/instance=churn,app.kubernetes.io/name=modelservice"
    );
    cluster
        .kubectl(&["delete", "modelservice", "churn"])
        .unwrap();
    for (kind, name) in children() {
        cluster.wait_gone(kind, &name);
    }
}

#[test]
#[ignore = "needs a control plane: make test-control-plane"]
fn what_others_change_of_ours_is_repaired_and_what_is_theirs_is_kept() {
    let cluster = Cluster::shared("drift");
    cluster.serve(SPEC).unwrap();
    wait_for_children(&cluster);
    let image = "/spec/template/spec/containers/0/image";
    let ours = cluster
        .get("deployment", "churn")
        .unwrap()
        .pointer(image)
        .unwrap()
        .clone();
    let evil =
        r#"[{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "evil"}]"#;
    cluster
        .kubectl(&["patch", "deployment", "churn", "--type=json", "-p", evil])
        .unwrap();
    cluster
        .kubectl(&["annotate", "deployment", "churn", "team=risk"])
        .unwrap();
    cluster
        .kubectl(&[
            "label",
            "service",
            "churn",
            "mesh=on",
            "app.kubernetes.io/managed-by=me",
            "--overwrite",
        ])
        .unwrap();
    cluster.wait("deployment", "churn", |d| d.pointer(image) == Some(&ours));
    assert_eq!(
        cluster.get("deployment", "churn").unwrap()["metadata"]["annotations"]["team"],
        "risk"
    );
    let managed_by = |s: &Value| {
        s["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "modelservice-operator"
    };
    let service = cluster.wait("service", "churn", managed_by);
    assert_eq!(service["metadata"]["labels"]["mesh"], "on");
}

#[test]
#[ignore = "needs a control plane: make test-control-plane"]
fn a_deleted_child_comes_back() {
    let cluster = Cluster::shared("undelete");
    cluster.serve(SPEC).unwrap();
    wait_for_children(&cluster);
    for (kind, name) in children() {
        let uid = cluster.get(kind, &name).unwrap()["metadata"]["uid"].clone();
        cluster.kubectl(&["delete", kind, &name]).unwrap();
        cluster.wait(kind, &name, |child| child["metadata"]["uid"] != uid);
    }
}

#[test]
#[ignore = "needs a control plane: make test-control-plane"]
fn an_object_of_somebody_else_is_left_alone_and_named() {
    let cluster = Cluster::shared("foreign");
    cluster
        .apply(
            "apiVersion: v1\nkind: Service\nmetadata: {name: churn}\nspec: {ports: [{port: 1}]}\n",
        )
        .unwrap();
    cluster
        .apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: churn-dashboard}\ndata: {a: b}\n")
        .unwrap();
    cluster.serve(SPEC).unwrap();
    let message = cluster.wait_condition("Ready", "False", "NameConflict");
    assert_eq!(
        message,
        "Service 'churn' exists and belongs to somebody else: rename or delete one of the two"
    );
    cluster.wait_condition("MonitoringReady", "False", "NameConflict");
    assert_eq!(
        cluster.get("service", "churn").unwrap()["spec"]["ports"][0]["port"],
        1
    );
    assert_eq!(
        cluster.get("configmap", "churn-dashboard").unwrap()["data"],
        json!({"a": "b"})
    );
    cluster
        .kubectl(&["delete", "service/churn", "configmap/churn-dashboard"])
        .unwrap();
    let ours = |object: &Value| object["metadata"]["ownerReferences"].is_array();
    cluster.wait("service", "churn", ours);
    cluster.wait("configmap", "churn-dashboard", ours);
    cluster.wait_condition("MonitoringReady", "True", "Applied");
}

#[test]
#[ignore = "needs a control plane: make test-control-plane"]
fn no_pod_runs_under_a_configuration_that_somebody_else_wrote() {
    let cluster = Cluster::shared("foreign-config");
    let config_map = configuration();
    cluster
        .apply(&format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {config_map}}}\ndata: {{server.json: '{{}}'}}\n"))
        .unwrap();
    cluster.serve(SPEC).unwrap();
    cluster.wait_condition("Ready", "False", "NameConflict");
    assert_eq!(cluster.get("deployment", "churn"), None);
    cluster
        .kubectl(&["delete", "configmap", &config_map])
        .unwrap();
    cluster.wait("deployment", "churn", |_| true);
}

#[test]
#[ignore = "needs a control plane: make test-control-plane"]
fn monitoring_that_is_no_longer_wanted_goes_and_comes_back_when_it_is() {
    let cluster = Cluster::shared("monitoring-off");
    cluster.serve(SPEC).unwrap();
    wait_for_children(&cluster);
    cluster
        .serve("{model: {source: {builtin: {name: diabetes}}}, monitoring: {enabled: false}}")
        .unwrap();
    for (kind, name) in MONITORING {
        cluster.wait_gone(kind, name);
    }
    cluster.wait_condition("MonitoringReady", "False", "Disabled");
    cluster.wait("deployment", "churn", |_| true);
    cluster
        .serve("{model: {source: {builtin: {name: diabetes}}}, monitoring: {enabled: true}}")
        .unwrap();
    wait_for_children(&cluster);
}

#[test]
#[ignore = "needs a control plane: make test-control-plane"]
fn kubectl_scale_scales() {
    let cluster = Cluster::shared("scale");
    cluster.serve(SPEC).unwrap();
    cluster.wait("deployment", "churn", |_| true);
    cluster
        .kubectl(&["scale", "modelservice", "churn", "--replicas", "3"])
        .unwrap();
    cluster.wait("deployment", "churn", |deployment| {
        deployment["spec"]["replicas"] == 3
    });
    cluster.wait("modelservice", "churn", |ms| ms["status"]["replicas"] == 3);
    cluster
        .kubectl(&["scale", "modelservice", "churn", "--replicas", "0"])
        .unwrap();
    cluster.wait_condition("Ready", "False", "ScaledToZero");
}

#[test]
#[ignore = "needs a control plane: make test-control-plane"]
fn what_changed_while_the_operator_was_away_is_made_good() {
    let cluster = Cluster::alone("absence");
    cluster.serve(SPEC).unwrap();
    wait_for_children(&cluster);
    while_stopped(|| {
        cluster.kubectl(&["delete", "service", "churn"]).unwrap();
        cluster
            .kubectl(&["scale", "deployment", "churn", "--replicas", "7"])
            .unwrap();
    });
    cluster.wait("service", "churn", |_| true);
    cluster.wait("deployment", "churn", |deployment| {
        deployment["spec"]["replicas"] == 1
    });
}

/// Requests of the operator that change something, but for the lease.
fn writes() -> Vec<Value> {
    let is_ours = |entry: &Value| entry["user"]["username"] == account();
    let all = audit_log::entries().into_iter();
    let writes = all.filter(|entry| is_ours(entry) && audit_log::is_write(entry));
    writes
        .filter(|entry| !audit_log::is_about_a_lease(entry))
        .collect()
}

#[test]
#[ignore = "needs a control plane: make test-control-plane"]
fn nothing_is_written_when_nothing_changes() {
    let cluster = Cluster::alone("steady");
    cluster.serve(SPEC).unwrap();
    wait_for_children(&cluster);
    cluster.wait_condition("MonitoringReady", "True", "Applied");
    // Until two looks a few seconds apart find the same.
    eventually("the writes to end", PATIENCE, || {
        let before = writes().len();
        std::thread::sleep(Duration::from_secs(3));
        if writes().len() == before {
            Ok(())
        } else {
            Err(None)
        }
    });
    let before = writes().len();
    // A resync of every object: touched, not changed.
    cluster
        .kubectl(&["annotate", "modelservice", "churn", "touched=1"])
        .unwrap();
    std::thread::sleep(Duration::from_secs(10));
    let further: Vec<_> = writes()
        .drain(before..)
        .map(|e| format!("{} {}", e["verb"], e["requestURI"]))
        .collect();
    assert!(further.is_empty(), "{further:#?}");
    let own = |entry: &&Value| entry["objectRef"]["namespace"] == "steady";
    let count = writes().iter().filter(own).count();
    assert!(count <= 13, "{count} writes for one new ModelService");
}
