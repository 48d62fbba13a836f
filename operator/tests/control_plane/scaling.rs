//! Several pods, and how many: what protects them, and who decides.

use crate::cluster::Cluster;
use serde_json::{Value, json};

fn spec(rest: &str) -> String {
    format!("{{model: {{source: {{builtin: {{name: diabetes}}}}}}, {rest}}}")
}

fn replicas(deployment: &Value) -> &Value {
    &deployment["spec"]["replicas"]
}

#[test]
#[ignore = "needs a control plane: make test-control-plane"]
fn of_two_pods_a_drain_takes_one_at_a_time_and_a_single_one_does_not_hold_it_up() {
    let cluster = Cluster::shared("drained");
    cluster.serve(&spec("replicas: 2")).unwrap();
    let budget = cluster.wait("poddisruptionbudget", "churn", |_| true);
    assert_eq!(budget["spec"]["maxUnavailable"], 1);
    cluster.serve(&spec("replicas: 1")).unwrap();
    cluster.wait_gone("poddisruptionbudget", "churn");
    cluster.serve(&spec("replicas: 2")).unwrap();
    cluster.wait("poddisruptionbudget", "churn", |_| true);
    cluster.serve(&spec("replicas: 1")).unwrap();
    cluster.wait_gone("poddisruptionbudget", "churn");
    // Of one to three pods there may be two.
    let autoscaling = "autoscaling: {minReplicas: 1, maxReplicas: 3}";
    let requests = "resources: {requests: {cpu: 10m}}";
    cluster
        .serve(&spec(&format!("{autoscaling}, {requests}")))
        .unwrap();
    cluster.wait("poddisruptionbudget", "churn", |_| true);
}

#[test]
#[ignore = "needs a control plane: make test-control-plane"]
fn autoscaling_begins_and_ends_with_as_many_pods_as_there_are() {
    let cluster = Cluster::shared("autoscaled");
    cluster.serve(&spec("replicas: 10")).unwrap();
    let before = cluster.wait("deployment", "churn", |d| replicas(d) == 10);
    // The manifest does not say how many any more, so that the API server sets the default of 1.
    let autoscaling = "autoscaling: {minReplicas: 2, maxReplicas: 20}";
    cluster.serve(&spec(autoscaling)).unwrap();
    let autoscaler = cluster.wait("hpa", "churn", |_| true);
    assert_eq!(
        autoscaler["spec"]["scaleTargetRef"],
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "churn"})
    );
    let generation = |deployment: &Value| deployment["metadata"]["generation"].clone();
    let settled = |cluster: &Cluster| {
        let ms = cluster.get("modelservice", "churn").unwrap();
        cluster.wait("modelservice", "churn", |now| {
            now["status"]["observedGeneration"] == ms["metadata"]["generation"]
        });
        cluster.get("deployment", "churn").unwrap()
    };
    // Not a single write has changed its spec in between.
    assert_eq!(generation(&settled(&cluster)), generation(&before));

    // What the autoscaler does.
    cluster
        .kubectl(&["scale", "deployment", "churn", "--replicas", "12"])
        .unwrap();
    cluster
        .serve(&spec(&format!(
            "{autoscaling}, server: {{maxBatchRows: 5}}"
        )))
        .unwrap();
    let template = |deployment: &Value| deployment["spec"]["template"].clone();
    let rolled = cluster.wait("deployment", "churn", |d| template(d) != template(&before));
    assert_eq!(replicas(&rolled), 12);

    cluster
        .serve(&spec("replicas: 12, server: {maxBatchRows: 5}"))
        .unwrap();
    cluster.wait_gone("hpa", "churn");
    let after = settled(&cluster);
    assert_eq!(
        (replicas(&after), generation(&after)),
        (&json!(12), generation(&rolled))
    );
}

#[test]
#[ignore = "needs a control plane: make test-control-plane"]
fn the_number_of_pods_keeps_to_the_bounds_and_0_stops_them_all() {
    let cluster = Cluster::shared("bounds");
    cluster
        .serve(&spec("autoscaling: {minReplicas: 3, maxReplicas: 4}"))
        .unwrap();
    cluster.wait("deployment", "churn", |d| replicas(d) == 3);
    cluster
        .serve(&spec(
            "replicas: 0, autoscaling: {minReplicas: 3, maxReplicas: 4}",
        ))
        .unwrap();
    cluster.wait("deployment", "churn", |d| replicas(d) == 0);
    cluster.wait_condition("Ready", "False", "ScaledToZero");
    cluster
        .serve(&spec(
            "replicas: 9, autoscaling: {minReplicas: 3, maxReplicas: 4}",
        ))
        .unwrap();
    cluster.wait("deployment", "churn", |d| replicas(d) == 4);
    let refusal = cluster.serve(&spec("autoscaling: {minReplicas: 5, maxReplicas: 4}"));
    assert!(
        refusal
            .unwrap_err()
            .contains("minReplicas must not be more than maxReplicas"),
    );
    let nothing = "resources: {requests: {cpu: null, memory: 64Mi}}, autoscaling: {maxReplicas: 4}";
    cluster.serve(&spec(nothing)).unwrap();
    let message = cluster.wait_condition("Ready", "False", "InvalidSpec");
    assert!(
        message.contains("cpuUtilization is a share of resources.requests.cpu"),
        "{message}"
    );
}
