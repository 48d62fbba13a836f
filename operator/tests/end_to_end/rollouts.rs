//! Pods come and go while requests come all the time: none of them fails.

use crate::cluster::{Cluster, PATIENCE};
use crate::kubectl::eventually;
use crate::load::Load;

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
