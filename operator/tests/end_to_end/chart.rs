//! The chart: lint, upgrade, uninstall and install again; and the images that it names.

use crate::cluster::{
    Cluster, PATIENCE, RELEASE, SYSTEM, helm, helm_upgrade, images, repository, run,
};
use crate::kubectl::{eventually, get, kubectl};
use serde_json::Value;

const SPEC: &str = "{model: {source: {builtin: {name: diabetes}}}}";

fn pod_uids(cluster: &Cluster) -> Vec<Value> {
    cluster
        .pods("diabetes")
        .iter()
        .map(|pod| pod["metadata"]["uid"].clone())
        .collect()
}

#[test]
#[ignore = "needs a cluster: make test-end-to-end"]
fn an_upgrade_of_the_operator_restarts_no_model() {
    let cluster = Cluster::alone("e2e-upgrade");
    cluster.serve("diabetes", SPEC);
    cluster.wait_ready("diabetes");
    let (pods, operator) = (
        pod_uids(&cluster),
        get(SYSTEM, "deployment", RELEASE).unwrap()["metadata"]["generation"].clone(),
    );
    helm_upgrade(&["--set", "podAnnotations.restarted=now"]);
    assert_ne!(
        get(SYSTEM, "deployment", RELEASE).unwrap()["metadata"]["generation"],
        operator
    );
    // The new operator has looked at it once it repairs a change.
    cluster.kubectl(&["delete", "service", "diabetes"]).unwrap();
    eventually("the Service to come back", PATIENCE, || {
        cluster.get("service", "diabetes").map(drop).ok_or(None)
    });
    assert_eq!(pod_uids(&cluster), pods);
    helm_upgrade(&[]);
}

#[test]
#[ignore = "needs a cluster: make test-end-to-end"]
fn uninstalling_leaves_models_running_and_installing_again_finds_them() {
    let cluster = Cluster::alone("e2e-uninstall");
    cluster.serve("diabetes", SPEC);
    cluster.wait_ready("diabetes");
    let pods = pod_uids(&cluster);
    helm(&["uninstall", RELEASE, "--namespace", SYSTEM, "--wait"]);
    assert_eq!(get(SYSTEM, "deployment", RELEASE), None);
    assert_eq!(get("default", "clusterrole", RELEASE), None);
    assert!(kubectl(&["get", "crd", "modelservices.modelservice.dev"], None).is_ok());
    let row = &crate::served::rows("diabetes.csv", "Outcome")[0];
    cluster.post("diabetes", "/predict", row).unwrap();
    helm_upgrade(&[]);
    cluster.wait_ready("diabetes");
    assert_eq!(pod_uids(&cluster), pods);
}

/// Values, and what helm says about them.
const VALUES: [(&str, &str); 8] = [
    ("networkPolicies=null", "missing property 'networkPolicies'"),
    (
        "metrics.serviceMonitor=null",
        "missing property 'serviceMonitor'",
    ),
    ("monitorLabels.team=a b", "'a b' does not match pattern"),
    ("monitorLabels.a b=c", "'a b' does not match pattern"),
    ("monitorLabels.team=null", "got null, want string"),
    ("image.pullPolicy=null", "missing property 'pullPolicy'"),
    ("replicas=0", "minimum"),
    ("imagee.tag=1", "'imagee' not allowed"),
];

#[test]
#[ignore = "needs a cluster: make test-end-to-end"]
fn values_that_cannot_work_are_named() {
    let chart = repository("charts/modelservice-operator");
    let chart = chart.to_str().unwrap();
    for (value, message) in VALUES {
        let template = [
            "template",
            "x",
            chart,
            "--kube-version",
            "1.33.0",
            "--set",
            value,
        ];
        let (success, said) = run("helm", &template);
        assert!(!success && said.contains(message), "{value}: {said}");
    }
}

#[test]
#[ignore = "needs a cluster: make test-end-to-end"]
fn the_images_are_small_and_run_as_a_number() {
    for image in images() {
        let format = "{{.Size}} {{.Config.User}} {{len .RootFS.Layers}}";
        let (_, text) = run("docker", &["image", "inspect", "--format", format, &image]);
        let [size, user, layers] = text.split_whitespace().collect::<Vec<_>>()[..] else {
            panic!("{text}")
        };
        println!("{image}: {size} bytes");
        assert!(
            size.parse::<u64>().unwrap() <= 25 * 1024 * 1024,
            "{image} has {size} bytes"
        );
        assert_eq!((user, layers), ("65532:65532", "1"), "{image}");
    }
}
