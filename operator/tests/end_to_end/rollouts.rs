//! Pods come and go while requests come all the time: none of them fails.

use crate::cluster::{Cluster, PATIENCE, on_node, try_on_node};
use crate::kubectl::eventually;
use crate::load::Load;
use crate::served::rows;
use std::thread::spawn;

/// New specs, and pods deleted.
const TIMES: usize = 20;
const RATE: &str = "100/s";

#[test]
#[ignore = "needs a cluster: make test-end-to-end"]
fn rollouts_and_deleted_pods_fail_no_request() {
    let cluster = Cluster::shared("e2e-rollouts");
    let serve = |version: usize| {
        cluster.serve(
            "diabetes",
            &format!("{{model: {{source: {{builtin: {{name: diabetes}}}}, version: v{version}}}, replicas: 2}}"),
        );
    };
    serve(0);
    cluster.wait_ready("diabetes");
    let load = Load::start(&cluster, "diabetes", &["--rate", RATE]);
    for version in 1..=TIMES {
        serve(version);
        eventually("the rollout", PATIENCE, || {
            let ms = cluster.get("modelservice", "diabetes").unwrap();
            let deployment = cluster.get("deployment", "diabetes").unwrap();
            let is_done = ms["status"]["observedGeneration"] == ms["metadata"]["generation"]
                && ms["status"]["model"]["version"] == format!("v{version}")
                && deployment["status"]["updatedReplicas"] == 2
                && deployment["status"]["replicas"] == 2
                && deployment["status"]["availableReplicas"] == 2
                && deployment["status"]["observedGeneration"]
                    == deployment["metadata"]["generation"];
            if is_done {
                Ok(())
            } else {
                Err(Some(deployment))
            }
        });
    }
    for _ in 0..TIMES {
        let pods = cluster.pods("diabetes");
        let victim = pods[0]["metadata"]["name"].as_str().unwrap().to_owned();
        cluster
            .kubectl(&["delete", "pod", &victim, "--wait=false"])
            .unwrap();
        eventually("another pod", PATIENCE, || {
            let deployment = cluster.get("deployment", "diabetes").unwrap();
            let pods = cluster.pods("diabetes");
            let is_gone = pods.iter().all(|pod| pod["metadata"]["name"] != *victim);
            let is_ready = deployment["status"]["readyReplicas"] == 2;
            if is_gone && is_ready {
                Ok(())
            } else {
                Err(Some(deployment))
            }
        });
    }
    let summary = load.stop();
    println!("{TIMES} rollouts and {TIMES} deleted pods: {summary}");
    assert!(summary["requests"].as_u64() > Some(1000), "{summary}");
    assert_eq!(summary["accepted"], summary["requests"], "{summary}");
}

/// Stops what sends connections to pods, and has it go on by itself after a little longer than it was ever
/// seen to take to hear of a pod that goes.
const STOP_PROXY: &str = "proxy=$(pgrep -x kube-proxy) && kill -STOP $proxy && \
    { (sleep 18; kill -CONT $proxy) >/dev/null 2>&1 & }";
/// Succeeds while it is stopped.
const IS_STOPPED: &str = "grep '^State:.T' /proc/$(pgrep -x kube-proxy)/status";

/// Requests of half a minute, each on a connection of its own; prints what becomes of them.
const ASK: &str = "for _ in $(seq 300); do curl --silent --output /dev/null --max-time 10 \
    --write-out '%{http_code} %{errormsg}\n' --json \"$1\" \"$0\"; sleep 0.1; done";

#[test]
#[ignore = "needs a cluster: make test-end-to-end"]
fn a_pod_that_goes_serves_those_that_are_still_sent_to_it() {
    let cluster = Cluster::alone("e2e-late-proxy");
    let model = "{source: {builtin: {name: diabetes}}}";
    cluster.serve("diabetes", &format!("{{model: {model}, replicas: 2}}"));
    cluster.wait_ready("diabetes");
    cluster.wait_reachable("diabetes");
    let url = cluster.url("diabetes").unwrap() + "/predict";
    let row = rows("diabetes.csv", "Outcome")[0].to_string();
    let asking = spawn(move || try_on_node(&["bash", "-c", ASK, &url, &row]).1);
    on_node(&["bash", "-c", STOP_PROXY]);
    let pods = cluster.pods("diabetes");
    let victim = pods[0]["metadata"]["name"].as_str().unwrap();
    cluster
        .kubectl(&["delete", "pod", victim, "--wait=false"])
        .unwrap();
    on_node(&["bash", "-c", IS_STOPPED]);
    let said = asking.join().unwrap();
    let failed: Vec<_> = said.lines().filter(|line| line.trim() != "200").collect();
    assert!(failed.is_empty(), "{failed:?}");
    assert_eq!(said.lines().count(), 300, "{said}");
}
