//! The chart's rights are exactly those that the operator uses.

use crate::audit_log;
use crate::cluster::{Cluster, account, while_told};
use crate::deployment::mounted;
use crate::installed::{chart, install_monitoring_kind};
use crate::lifecycle::MONITORING;
use serde_json::Value;
use std::collections::BTreeSet;

/// What a ModelService has besides when there are several pods, and their number varies.
const SCALING: [(&str, &str); 2] = [("poddisruptionbudget", "churn"), ("hpa", "churn")];

/// Group, resource and verb.
type Right = (String, String, String);

fn granted() -> BTreeSet<Right> {
    let chart = chart();
    let roles = chart
        .split("\n---")
        .filter(|part| part.contains("\nkind: ClusterRole\n") || part.contains("\nkind: Role\n"));
    let roles: Vec<Value> = roles
        .map(|role| operator::yaml::parse(role).unwrap())
        .collect();
    let texts = |value: &Value| -> Vec<String> {
        value
            .as_array()
            .unwrap()
            .iter()
            .map(|text| text.as_str().unwrap().to_owned())
            .collect()
    };
    let mut rights = BTreeSet::new();
    let rules = roles
        .iter()
        .flat_map(|role| role["rules"].as_array().unwrap());
    for rule in rules {
        for group in texts(&rule["apiGroups"]) {
            for resource in texts(&rule["resources"]) {
                let verbs = texts(&rule["verbs"]).into_iter();
                rights.extend(verbs.map(|verb| (group.clone(), resource.clone(), verb)));
            }
        }
    }
    rights
}

/// The rights that the operator needed, by the audit log.
fn used() -> BTreeSet<Right> {
    let mut rights = BTreeSet::new();
    for entry in audit_log::entries() {
        if entry["user"]["username"] != account() || !entry["objectRef"].is_object() {
            continue;
        }
        assert_eq!(
            entry["annotations"]["authorization.k8s.io/decision"], "allow",
            "refused: {entry:#}"
        );
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let object = &entry["objectRef"];
        let resource = match object["subresource"].as_str() {
            Some(subresource) => format!("{}/{subresource}", text(&object["resource"])),
            None => text(&object["resource"]),
        };
        let (group, verb) = (text(&object["apiGroup"]), text(&entry["verb"]));
        // Server-side apply of what does not exist yet is a patch that needs the right to create.
        if verb == "patch" && entry["responseStatus"]["code"] == 201 {
            rights.insert((group.clone(), resource.clone(), "create".to_owned()));
        }
        rights.insert((group, resource, verb));
    }
    rights
}

#[test]
#[ignore = "needs a control plane: make test-control-plane"]
fn the_operator_has_no_right_that_it_does_not_use() {
    let cluster = Cluster::alone("rights");
    install_monitoring_kind("prometheuses");
    cluster
        .kubectl(&[
            "create",
            "configmap",
            "models",
            "--from-literal=churn.json={}",
        ])
        .unwrap();
    let model = "model: {source: {configMap: {name: models, key: churn.json}}}";
    cluster
        .serve(&format!(
            "{{{model}, autoscaling: {{minReplicas: 2, maxReplicas: 3}}}}"
        ))
        .unwrap();
    for (kind, name) in MONITORING.into_iter().chain(SCALING) {
        cluster.wait(kind, name, |_| true);
    }
    cluster
        .serve(&format!("{{{model}, monitoring: {{enabled: false}}}}"))
        .unwrap();
    for (kind, name) in MONITORING.into_iter().chain(SCALING) {
        cluster.wait_gone(kind, name);
    }
    cluster.wait_condition("MonitoringReady", "False", "Disabled");
    let deployment = cluster.get("deployment", "churn").unwrap();
    let policy = mounted(&deployment).unwrap();
    while_told(&["--network-policies=false"], || {
        cluster.wait_gone("networkpolicy", policy);
    });
    cluster.wait("networkpolicy", policy, |_| true);
    // A second event of a kind within minutes is a patch of the first; nobody waits for that here.
    let seldom = (
        "events.k8s.io".to_owned(),
        "events".to_owned(),
        "patch".to_owned(),
    );
    let mut granted = granted();
    assert!(granted.remove(&seldom));
    let used: BTreeSet<_> = used()
        .into_iter()
        .filter(|right| *right != seldom)
        .collect();
    assert_eq!(granted, used);
}

#[test]
#[ignore = "needs a control plane: make test-control-plane"]
fn no_right_is_a_wildcard_or_touches_secrets() {
    for (group, resource, verb) in granted() {
        assert!(
            ![&group, &resource, &verb]
                .iter()
                .any(|part| part.contains('*')),
            "{group}/{resource} {verb}"
        );
        assert!(!resource.contains("secrets"), "{resource}");
    }
}
