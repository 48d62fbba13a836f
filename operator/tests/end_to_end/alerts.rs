//! Every alert fires because its fault is caused, reaches Alertmanager, and resolves because the fault
//! ends. `make alerts` runs all of them and prints a table.

use crate::cluster::{Cluster, PATIENCE, repository, try_on_node};
use crate::kubectl::{eventually, kubectl};
use crate::load::Load;
use crate::prometheus::{alert_state, is_received};
use crate::served::rows;
use crate::sources::train;
use operator::render::ALERTS;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

/// Longest time that an alert may take to fire or to resolve here.
const LONGEST: Duration = Duration::from_secs(900);
const NAME: &str = "diabetes";

/// What causes a fault, and what ends it.
enum Fault {
    /// The namespace may have no more pods than this; those beyond are deleted.
    Quota(usize),
    /// The model's ConfigMap holds something else.
    BrokenModel,
    /// A load generator is told this instead of what it is told when all is well.
    Load(&'static [&'static str]),
    /// The server's process is killed until the alert fires.
    Kills,
    /// The spec is this instead.
    Spec(&'static str),
    /// Ground truth says the opposite of what was predicted.
    WrongTruth,
}

/// A fault and the alerts that it causes.
struct Case {
    /// The namespace is named after it.
    name: &'static str,
    alerts: &'static [&'static str],
    /// Beside the monitoring with short windows.
    spec: &'static str,
    /// What is trained and put into the ConfigMap that the spec names, if it does.
    algorithm: Option<&'static str>,
    fault: Fault,
}

/// A minute or less instead of hours, so that alerts are there and gone in minutes.
pub(crate) const MONITORING: &str = "monitoring: {scrape: {interval: 1s, timeout: 1s}, alerts: {window: 1m, \
    thresholds: {latencyP95: 10ms, inferenceP95: 5ms, activeRequests: 4, errorsPerSecond: 0.5}}, \
    objectives: {period: 12h, latency: {threshold: 10ms}}, \
    drift: {window: 1m}, quality: {window: 1m}, performance: {window: 1m}}";
/// All is well.
pub(crate) const CALM: &[&str] = &["--rate", "20/s"];
pub(crate) const BUILTIN: &str = "model: {source: {builtin: {name: diabetes}}}";

const DOWN: Case = Case {
    name: "down",
    alerts: &["ModelServiceDown"],
    spec: BUILTIN,
    algorithm: None,
    fault: Fault::Quota(0),
};
const MISSING: Case = Case {
    name: "missing",
    alerts: &["TargetMissing"],
    spec: "model: {source: {builtin: {name: diabetes}}}, replicas: 2",
    algorithm: None,
    fault: Fault::Quota(1),
};
const NOT_LOADED: Case = Case {
    name: "not-loaded",
    alerts: &["ModelNotLoaded"],
    spec: "model: {source: {configMap: {name: model, key: diabetes.json.gz}}}",
    algorithm: Some("logistic-regression"),
    fault: Fault::BrokenModel,
};
const ERRORS: Case = Case {
    name: "errors",
    alerts: &["HighErrorRate", "DataQuality"],
    spec: BUILTIN,
    algorithm: None,
    fault: Fault::Load(&["--rate", "40/s", "--broken", "100%"]),
};
const SLOW: Case = Case {
    name: "slow",
    alerts: &[
        "HighLatency",
        "SlowInference",
        "HighConcurrentRequests",
        "LatencyBudgetBurn",
        "LatencyBudgetBurnSlow",
    ],
    spec: "model: {source: {configMap: {name: model, key: diabetes.json.gz}}}, \
        resources: {requests: {cpu: 20m, memory: 64Mi}, limits: {cpu: 20m}}, server: {requestTimeout: 30s}",
    algorithm: Some("random-forest"),
    fault: Fault::Load(&["--connections", "16", "--rows", "1000"]),
};
const OVERLOAD: Case = Case {
    name: "overload",
    alerts: &[
        "Overloaded",
        "AvailabilityBudgetBurn",
        "AvailabilityBudgetBurnSlow",
    ],
    spec: "model: {source: {builtin: {name: diabetes}}}, server: {maxConcurrentRequests: 1}, \
        resources: {requests: {cpu: 20m, memory: 64Mi}, limits: {cpu: 20m}}",
    algorithm: None,
    fault: Fault::Load(&["--connections", "64", "--rows", "500"]),
};
const CRASHES: Case = Case {
    name: "crashes",
    alerts: &["CrashLooping"],
    spec: BUILTIN,
    algorithm: None,
    fault: Fault::Kills,
};
const MEMORY: Case = Case {
    name: "memory",
    alerts: &["MemoryNearLimit"],
    spec: BUILTIN,
    algorithm: None,
    fault: Fault::Spec(
        "model: {source: {builtin: {name: diabetes}}}, resources: {requests: {cpu: 50m, memory: 6Mi}}",
    ),
};
const DRIFT: Case = Case {
    name: "drift",
    alerts: &["FeatureDrift", "PredictionDrift"],
    spec: BUILTIN,
    algorithm: None,
    fault: Fault::Load(&["--rate", "40/s", "--drift", "100%"]),
};
const TRUTH: Case = Case {
    name: "truth",
    alerts: &["ModelPerformanceDegraded"],
    spec: BUILTIN,
    algorithm: None,
    fault: Fault::WrongTruth,
};

const CASES: [&Case; 10] = [
    &DOWN,
    &MISSING,
    &NOT_LOADED,
    &ERRORS,
    &SLOW,
    &OVERLOAD,
    &CRASHES,
    &MEMORY,
    &DRIFT,
    &TRUTH,
];

#[test]
#[ignore = "beside the others: make test-end-to-end"]
fn every_alert_has_a_case() {
    let caused: BTreeSet<_> = CASES.iter().flat_map(|case| case.alerts).copied().collect();
    let known: BTreeSet<_> = ALERTS.iter().map(|alert| alert.name).collect();
    assert_eq!(caused, known);
}

/// What ends the fault that was caused.
enum Cause {
    Quota,
    BrokenModel,
    Load(Load),
    Kills,
    Spec,
    WrongTruth,
}

fn prove(case: &Case) {
    let cluster = Cluster::shared(&format!("e2e-alert-{}", case.name));
    if let Some(algorithm) = case.algorithm {
        store_model(&cluster, algorithm);
    }
    serve(&cluster, case.spec);
    cluster.wait_ready(NAME);
    wait_all(&cluster, case, "inactive");
    let calm = matches!(case.fault, Fault::Load(_)).then(|| Load::start(&cluster, NAME, CALM));
    // A counter has to be seen before it can be seen to rise.
    std::thread::sleep(Duration::from_secs(10));
    let began = Instant::now();
    let calm = calm.map(Load::stop);
    let cause = begin(&cluster, case);
    let fired = watch(&cluster, case, "firing", began, || go_on(&cluster, case));
    let ended = Instant::now();
    let calm = end(&cluster, case, cause, calm.is_some());
    let resolved = watch(&cluster, case, "inactive", ended, || {});
    drop(calm.map(Load::stop));
    for (alert, (fired, resolved)) in case.alerts.iter().zip(fired.iter().zip(&resolved)) {
        println!("ALERT {alert} {fired:.0} {resolved:.0}");
    }
}

fn serve(cluster: &Cluster, spec: &str) {
    cluster.serve(NAME, &format!("{{{spec}, {MONITORING}}}"));
}

fn store_model(cluster: &Cluster, algorithm: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = train(&folder, "diabetes.csv", "Outcome", algorithm);
    store(cluster, Path::new(&file));
}

/// On the server's side: a model is too large for the annotation that clients keep.
fn store(cluster: &Cluster, file: &Path) {
    let from = format!("--from-file=diabetes.json.gz={}", file.display());
    let make = [
        "create",
        "configmap",
        "model",
        &from,
        "--dry-run=client",
        "-o",
        "yaml",
    ];
    let yaml = cluster.kubectl(&make).unwrap();
    let namespace = ["--namespace", &cluster.namespace];
    let apply = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
    kubectl(&[&namespace[..], &apply[..]].concat(), Some(&yaml)).unwrap();
}

/// Seconds from `since` until each alert of the case is in `state`, here and in Alertmanager.
fn watch(
    cluster: &Cluster,
    case: &Case,
    state: &str,
    since: Instant,
    mut meanwhile: impl FnMut(),
) -> Vec<f64> {
    let mut times = vec![None; case.alerts.len()];
    while times.iter().any(Option::is_none) {
        meanwhile();
        for (alert, time) in case.alerts.iter().zip(&mut times) {
            if time.is_none() && is_in(cluster, alert, state) {
                *time = Some(since.elapsed().as_secs_f64());
            }
        }
        assert!(
            since.elapsed() < LONGEST,
            "of {:?} not all are {state} after {LONGEST:?}: {times:?}",
            case.alerts
        );
        std::thread::sleep(Duration::from_secs(1));
    }
    times.into_iter().flatten().collect()
}

fn is_in(cluster: &Cluster, alert: &str, state: &str) -> bool {
    alert_state(&cluster.namespace, NAME, alert).as_deref() == Some(state)
        && is_received(&cluster.namespace, alert) == (state == "firing")
}

fn wait_all(cluster: &Cluster, case: &Case, state: &str) {
    let what = format!("{:?} to be {state}", case.alerts);
    eventually(&what, PATIENCE, || {
        let states = case
            .alerts
            .iter()
            .map(|alert| alert_state(&cluster.namespace, NAME, alert));
        let states: Vec<_> = states.collect();
        match states.iter().all(|found| found.as_deref() == Some(state)) {
            true => Ok(()),
            false => Err(Some(json!(states))),
        }
    });
}

fn begin(cluster: &Cluster, case: &Case) -> Cause {
    match case.fault {
        Fault::Quota(most) => {
            limit_pods(cluster, most);
            Cause::Quota
        }
        Fault::BrokenModel => {
            store(cluster, &repository("examples/data/diabetes.csv"));
            Cause::BrokenModel
        }
        Fault::Load(arguments) => Cause::Load(Load::start(cluster, NAME, arguments)),
        Fault::Kills => Cause::Kills,
        Fault::Spec(spec) => {
            serve(cluster, spec);
            Cause::Spec
        }
        Fault::WrongTruth => Cause::WrongTruth,
    }
}

/// What a fault needs again and again until the alert fires.
fn go_on(cluster: &Cluster, case: &Case) {
    match case.fault {
        Fault::Kills => kill_server(cluster),
        Fault::WrongTruth => tell_truth(cluster, false),
        Fault::Quota(_) | Fault::BrokenModel | Fault::Load(_) | Fault::Spec(_) => {}
    }
}

/// Ends a fault; what asks quietly meanwhile, if there was something before.
fn end(cluster: &Cluster, case: &Case, cause: Cause, calm: bool) -> Option<Load> {
    match cause {
        Cause::Quota => drop(
            cluster
                .kubectl(&["delete", "resourcequota", "pods"])
                .unwrap(),
        ),
        Cause::BrokenModel => store_model(cluster, "logistic-regression"),
        Cause::Load(load) => drop(load.stop()),
        Cause::Spec => serve(cluster, case.spec),
        Cause::Kills | Cause::WrongTruth => {}
    }
    calm.then(|| Load::start(cluster, NAME, CALM))
}

fn limit_pods(cluster: &Cluster, most: usize) {
    let hard = format!("--hard=pods={most}");
    cluster
        .kubectl(&["create", "quota", "pods", &hard])
        .unwrap();
    for pod in cluster.pods(NAME).iter().skip(most) {
        let name = pod["metadata"]["name"].as_str().unwrap();
        cluster
            .kubectl(&["delete", "pod", name, "--wait=false"])
            .unwrap();
    }
}

/// Kills the server in its container, if it runs.
fn kill_server(cluster: &Cluster) {
    let pods = cluster.pods(NAME);
    let status = &pods[0]["status"]["containerStatuses"][0];
    let id = status["containerID"].as_str().unwrap_or_default();
    if status["ready"] == true {
        let id = id.trim_start_matches("containerd://");
        let kill = ["ctr", "-n", "k8s.io", "tasks", "kill", "-s", "SIGKILL", id];
        let (success, text) = try_on_node(&kill);
        // The status may still be that of before the last kill.
        assert!(success || text.contains("not found"), "{kill:?}: {text}");
    }
}

/// Predicts all rows and sends the truth about them, or the opposite of what was predicted.
pub(crate) fn tell_truth(cluster: &Cluster, right: bool) {
    let rows = json!(rows("diabetes.csv", "Outcome"));
    let answer = cluster.post(NAME, "/predict", &rows).unwrap();
    let feedback = |prediction: &Value| {
        let outcome = prediction["outcome"].as_str() == Some("1") || prediction["outcome"] == 1;
        let actual = u8::from(outcome == right);
        json!({"prediction_id": prediction["prediction_id"], "actual": actual})
    };
    let all: Value = answer["predictions"]
        .as_array()
        .unwrap()
        .iter()
        .map(feedback)
        .collect();
    cluster.post(NAME, "/feedback", &all).unwrap();
}

/// Declares a test for each case.
macro_rules! cases {
    ($($name:ident: $case:ident,)+) => {$(
        #[test]
        #[ignore = "needs a cluster: make test-end-to-end"]
        fn $name() {
            prove(&$case);
        }
    )+};
}

cases! {
    without_pods_it_is_down: DOWN,
    killed_again_and_again_it_is_crash_looping: CRASHES,
    with_hardly_any_memory_it_is_near_its_limit: MEMORY,
    drifted_rows_are_drift: DRIFT,
    requests_that_fail_are_errors_and_poor_data: ERRORS,
    ground_truth_that_disagrees_is_degraded_performance: TRUTH,
    slowly_a_missing_pod_is_noticed: MISSING,
    slowly_a_model_that_does_not_load_is_noticed: NOT_LOADED,
    slowly_too_little_cpu_is_noticed: SLOW,
    slowly_too_many_requests_are_noticed: OVERLOAD,
}
