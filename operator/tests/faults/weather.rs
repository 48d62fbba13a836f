//! Storms, silence, nonsense and competitors between the operator and the API server.

use crate::installed::directory;
use crate::proxy::{Call, Fault, Rule};
use crate::rig::{Rig, State};
use crate::{scale, with_rig};
use http::Method;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::time::sleep;

fn spec(replicas: i32) -> Value {
    json!({"model": {"source": {"builtin": {"name": "diabetes"}}}, "replicas": replicas})
}

/// What `spec(replicas)` becomes in fair weather, in a namespace where nothing was before.
async fn end(rig: &Rig, replicas: i32) -> State {
    static USED: AtomicU32 = AtomicU32::new(0);
    let namespace = format!("fair-weather-{}", USED.fetch_add(1, Ordering::Relaxed));
    rig.make_namespace(&namespace).await;
    rig.serve(&namespace, &spec(replicas)).await.unwrap();
    let end = rig.settled(&namespace).await;
    rig.delete(&namespace).await;
    end
}

/// Makes a ModelService that is well, in a namespace of its own.
async fn well(rig: &Rig, namespace: &str, end: &State) {
    rig.make_namespace(namespace).await;
    rig.serve(namespace, &spec(2)).await.unwrap();
    let within = Duration::from_secs(20);
    rig.reaches(namespace, end, within).await.unwrap();
}

/// Within so long the lease is renewed.
const RENEWAL: Duration = Duration::from_secs(3);

fn anything(_: &Call) -> bool {
    true
}

#[test]
#[ignore = "needs a control plane: make test-faults"]
fn a_storm_of_refusals_is_waited_out_in_patience() {
    const STORM: Duration = Duration::from_secs(4);
    const REFUSALS: [(u16, Option<&str>); 6] = [
        (429, Some("1")),
        (429, Some("86400")),
        (429, Some("soon")),
        (503, None),
        (504, None),
        (500, None),
    ];
    with_rig(async |rig| {
        let (two, three) = (end(rig, 2).await, end(rig, 3).await);
        well(rig, "ns-storm", &two).await;
        for (at, (code, retry_after)) in REFUSALS.into_iter().enumerate() {
            let (replicas, end) = [(3, &three), (2, &two)][at % 2];
            rig.storm(vec![Rule::all(anything, Fault::Refused(code, retry_after))]);
            rig.serve("ns-storm", &spec(replicas)).await.unwrap();
            sleep(STORM).await;
            let calls = rig.proxy.calls().len();
            rig.calm();
            let took = rig
                .reaches("ns-storm", end, Duration::from_secs(30))
                .await
                .unwrap();
            println!(
                "\nA6: {code} with Retry-After {retry_after:?}: {calls} calls in {STORM:?}, well after {took:?}"
            );
            assert!(calls < 20 * STORM.as_secs() as usize, "{calls} calls");
            sleep(RENEWAL).await;
        }
        rig.delete("ns-storm").await;
    });
}

#[test]
#[ignore = "needs a control plane: make test-faults"]
fn a_black_hole_is_survived_without_a_restart() {
    with_rig(async |rig| {
        let (two, three) = (end(rig, 2).await, end(rig, 3).await);
        well(rig, "ns-hole", &two).await;
        let mut longest = Duration::ZERO;
        let holes = 20 * scale() as u64;
        for hole in 0..holes {
            let (replicas, end) = [(3, &three), (2, &two)][hole as usize % 2];
            let busy = hole % 4 < 2;
            if busy {
                rig.serve("ns-hole", &spec(replicas)).await.unwrap();
                sleep(Duration::from_millis(3 * (hole % 20))).await;
            }
            rig.proxy.black_hole(true);
            if !busy {
                rig.serve("ns-hole", &spec(replicas)).await.unwrap();
            }
            sleep(Duration::from_millis(100 * (hole % 20 + 1))).await;
            rig.proxy.black_hole(false);
            let took = rig
                .reaches("ns-hole", end, Duration::from_secs(15))
                .await
                .unwrap();
            longest = longest.max(took);
        }
        println!("\nA7: {holes} black holes, well within {longest:?} of the end of each");
        assert!(!rig.is_dead());
        rig.delete("ns-hole").await;
    });
}

#[test]
#[ignore = "needs a control plane: make test-faults"]
fn a_call_that_is_never_answered_ends_by_itself() {
    with_rig(async |rig| {
        let (two, three) = (end(rig, 2).await, end(rig, 3).await);
        well(rig, "ns-hangs", &two).await;
        rig.storm(vec![Rule::nth(
            0,
            |call: &Call| call.is_write(),
            Fault::Hangs,
        )]);
        rig.serve("ns-hangs", &spec(3)).await.unwrap();
        let took = rig
            .reaches("ns-hangs", &three, Duration::from_secs(30))
            .await
            .unwrap();
        println!("\nA7: a write that is never answered: well after {took:?}");
        rig.delete("ns-hangs").await;
    });
}

#[test]
#[ignore = "needs a control plane: make test-faults"]
fn an_api_server_that_is_slow_makes_the_operator_slow_and_nothing_else() {
    const LATE: Duration = Duration::from_secs(2);
    with_rig(async |rig| {
        let (two, three) = (end(rig, 2).await, end(rig, 3).await);
        well(rig, "ns-slow", &two).await;
        rig.storm(vec![Rule::all(anything, Fault::Late(LATE))]);
        rig.serve("ns-slow", &spec(3)).await.unwrap();
        let took = rig.reaches("ns-slow", &three, 20 * LATE).await.unwrap();
        println!("\nA13: every call {LATE:?} late: well after {took:?}");
        assert!(!rig.is_dead(), "the lease was lost");
        rig.delete("ns-slow").await;
    });
}

#[test]
#[ignore = "needs a control plane: make test-faults"]
fn a_modelservice_whose_calls_hang_holds_up_no_other() {
    with_rig(async |rig| {
        let two = end(rig, 2).await;
        rig.make_namespace("ns-poison").await;
        let poisoned = |call: &Call| call.namespace == "ns-poison";
        rig.storm(vec![Rule::all(poisoned, Fault::Hangs)]);
        rig.serve("ns-poison", &spec(2)).await.unwrap();
        let mut longest = Duration::ZERO;
        for at in 0..10 {
            let namespace = format!("ns-beside-poison-{at}");
            rig.make_namespace(&namespace).await;
            rig.serve(&namespace, &spec(2)).await.unwrap();
            let took = rig
                .reaches(&namespace, &two, Duration::from_secs(10))
                .await
                .unwrap();
            longest = longest.max(took);
            rig.delete(&namespace).await;
        }
        println!("\nA22: ten others well within {longest:?}");
        rig.calm();
        rig.reaches("ns-poison", &two, Duration::from_secs(60))
            .await
            .unwrap();
        rig.delete("ns-poison").await;
    });
}

#[test]
#[ignore = "needs a control plane: make test-faults"]
fn one_kind_that_is_forbidden_keeps_no_model_from_being_served() {
    with_rig(async |rig| {
        let two = end(rig, 2).await;
        for (at, plural) in ["servicemonitors", "prometheusrules", "poddisruptionbudgets"]
            .into_iter()
            .enumerate()
        {
            let namespace = format!("ns-forbidden-{at}");
            let of_kind = move |call: &Call| call.resource == plural;
            rig.storm(vec![Rule::all(of_kind, Fault::Refused(403, None))]);
            rig.make_namespace(&namespace).await;
            rig.serve(&namespace, &spec(2)).await.unwrap();
            let begin = Instant::now();
            let api = rig.objects("services", &namespace);
            while api.get_opt("churn").await.unwrap().is_none() {
                assert!(
                    begin.elapsed() < Duration::from_secs(5),
                    "{plural}: no Service"
                );
                sleep(Duration::from_millis(50)).await;
            }
            let core = begin.elapsed();
            rig.calm();
            let took = rig
                .reaches(&namespace, &two, Duration::from_secs(60))
                .await
                .unwrap();
            println!(
                "\nA14: {plural} forbidden: served after {core:?}, all well {took:?} after it was allowed"
            );
            rig.delete(&namespace).await;
        }
    });
}

#[test]
#[ignore = "needs a control plane: make test-faults"]
fn events_that_cannot_be_written_hold_up_nothing() {
    with_rig(async |rig| {
        let two = end(rig, 2).await;
        for (at, fault) in [
            Fault::Refused(422, None),
            Fault::Refused(503, None),
            Fault::Lost,
        ]
        .into_iter()
        .enumerate()
        {
            let namespace = format!("ns-no-events-{at}");
            rig.make_namespace(&namespace).await;
            rig.storm(vec![Rule::all(
                |call: &Call| call.resource == "events",
                fault,
            )]);
            rig.serve(&namespace, &spec(2)).await.unwrap();
            let took = rig
                .reaches(&namespace, &two, Duration::from_secs(10))
                .await
                .unwrap();
            println!("\nA29: well after {took:?}");
            rig.delete(&namespace).await;
        }
    });
}

#[test]
#[ignore = "needs a control plane: make test-faults"]
fn nonsense_in_answers_is_asked_again() {
    let huge = format!(
        r#"{{"type":"MODIFIED","object":{{"kind":"Deployment","metadata":{{"name":"a","annotations":{{"a":"{}"}}}}}}}}"#,
        "x".repeat(10 << 20)
    );
    let gone = r#"{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}"#;
    let faults = [
        ("cut", Fault::AnswerCut),
        ("no JSON", Fault::LineBefore("{\"type\":".to_owned())),
        (
            "another kind",
            Fault::LineBefore(r#"{"type":"ADDED","object":{"kind":"Fish"}}"#.to_owned()),
        ),
        (
            "an unknown type",
            Fault::LineBefore(r#"{"type":"FISH","object":{}}"#.to_owned()),
        ),
        ("10 MiB", Fault::LineBefore(huge)),
        ("expired", Fault::LineBefore(gone.to_owned())),
        ("a page of a login", Fault::Answered("<html>".to_owned())),
        ("nothing", Fault::Answered(String::new())),
    ];
    with_rig(async |rig| {
        let (two, three) = (end(rig, 2).await, end(rig, 3).await);
        well(rig, "ns-nonsense", &two).await;
        for (at, (what, fault)) in faults.into_iter().enumerate() {
            let (replicas, end) = [(3, &three), (2, &two)][at % 2];
            // Every watch and every list that begins in the next seconds; watches begin anew soon.
            let reads = |call: &Call| call.method == Method::GET && call.name.is_empty();
            rig.storm(vec![Rule::all(reads, fault)]);
            rig.serve("ns-nonsense", &spec(replicas)).await.unwrap();
            let begin = Instant::now();
            while rig.proxy.hits() < 6 && begin.elapsed() < Duration::from_secs(40) {
                sleep(Duration::from_millis(100)).await;
            }
            sleep(RENEWAL).await;
            let hits = rig.proxy.hits();
            rig.calm();
            let took = rig
                .reaches("ns-nonsense", end, Duration::from_secs(30))
                .await
                .unwrap();
            println!("\nA5, A10: {what} {hits} times: well after {took:?}");
            assert!(hits > 5 && !rig.is_dead());
        }
        rig.delete("ns-nonsense").await;
    });
}

#[test]
#[ignore = "needs a control plane: make test-faults"]
fn somebody_who_writes_all_the_time_loses_nothing_and_does_not_win() {
    const FIGHT: Duration = Duration::from_secs(6);
    with_rig(async |rig| {
        let two = end(rig, 2).await;
        well(rig, "ns-fight", &two).await;
        rig.calm();
        let deployments = rig.objects("deployments", "ns-fight");
        let services = rig.services("ns-fight");
        let (begin, mut edits) = (Instant::now(), 0);
        while begin.elapsed() < FIGHT {
            let edit = json!({
                "metadata": {"annotations": {"theirs": edits.to_string()}},
                "spec": {"replicas": edits % 7},
            });
            deployments
                .patch("churn", &PatchParams::default(), &Patch::Merge(&edit))
                .await
                .unwrap();
            let note = json!({"metadata": {"annotations": {"theirs": edits.to_string()}}});
            services
                .patch("churn", &PatchParams::default(), &Patch::Merge(&note))
                .await
                .unwrap();
            edits += 1;
            sleep(Duration::from_millis(20)).await;
        }
        let writes = rig
            .proxy
            .calls()
            .iter()
            .filter(|call| call.is_write())
            .count();
        let mut wanted = two.clone();
        for plural in ["deployments", "modelservices"] {
            let object = wanted
                .get_mut(&(plural.to_owned(), "churn".to_owned()))
                .unwrap();
            object["metadata"]["annotations"]["theirs"] = json!((edits - 1).to_string());
        }
        let took = rig
            .reaches("ns-fight", &wanted, Duration::from_secs(10))
            .await
            .unwrap();
        println!(
            "\nA9, A18: {edits} edits of each, {writes} writes of ours, well {took:?} after the last"
        );
        assert!(writes <= 2 * edits, "{writes} writes");
        rig.delete("ns-fight").await;
    });
}

#[test]
#[ignore = "needs a control plane: make test-faults"]
fn made_and_deleted_again_and_again_nothing_of_an_earlier_one_stays_or_goes_wrong() {
    with_rig(async |rig| {
        let two = end(rig, 2).await;
        rig.make_namespace("ns-again").await;
        let times = 100 * i32::try_from(scale()).unwrap();
        for at in 0..times {
            rig.serve("ns-again", &spec(1 + at % 3)).await.unwrap();
            sleep(Duration::from_millis(7 * (at % 5) as u64)).await;
            rig.delete("ns-again").await;
        }
        rig.serve("ns-again", &spec(2)).await.unwrap();
        let took = rig
            .reaches("ns-again", &two, Duration::from_secs(60))
            .await
            .unwrap();
        let owner = rig
            .services("ns-again")
            .get("churn")
            .await
            .unwrap()
            .metadata
            .uid;
        for plural in ["deployments", "services"] {
            let found = rig
                .objects(plural, "ns-again")
                .list(&ListParams::default())
                .await
                .unwrap();
            let owners = found.items[0].metadata.owner_references.clone().unwrap();
            assert_eq!(Some(&owners[0].uid), owner.as_ref());
        }
        println!("\nA21: {times} times made and deleted; the last is well after {took:?}");
        rig.delete("ns-again").await;
    });
}

fn pid(program: &str) -> String {
    let file = directory().join(format!("{program}.pid"));
    std::fs::read_to_string(file).unwrap().trim().to_owned()
}

fn signal(signal: &str, program: &str) {
    let sent = Command::new("kill")
        .args([signal, &pid(program)])
        .status()
        .unwrap();
    assert!(sent.success());
}

/// Starts what is dead again.
fn revive() {
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../cluster/control-plane");
    let status = Command::new(script).arg("up").arg(directory()).status();
    assert!(status.unwrap().success());
}

/// Waits until the controller of Deployments has heard how many pods there are to be.
async fn caught_up(rig: &Rig, namespace: &str, replicas: i32) -> Duration {
    let deployments = rig.objects("deployments", namespace);
    let begin = Instant::now();
    loop {
        let deployment = deployments.get("churn").await.unwrap();
        let updated = &deployment.data["status"]["updatedReplicas"];
        if deployment.data["spec"]["replicas"] == replicas && *updated == replicas {
            return begin.elapsed();
        }
        assert!(begin.elapsed() < Duration::from_secs(120), "{deployment:?}");
        sleep(Duration::from_millis(100)).await;
    }
}

#[test]
#[ignore = "needs a control plane: make test-faults"]
fn an_api_server_or_a_store_that_dies_or_freezes_is_waited_for() {
    with_rig(async |rig| {
        let (two, three) = (end(rig, 2).await, end(rig, 3).await);
        well(rig, "ns-down", &two).await;
        for (at, (sign, program)) in [
            ("-KILL", "kube-apiserver"),
            ("-KILL", "etcd"),
            ("-STOP", "kube-apiserver"),
            ("-KILL", "kube-apiserver"),
            ("-STOP", "etcd"),
            ("-KILL", "etcd"),
        ]
        .into_iter()
        .enumerate()
        {
            let (replicas, end) = [(3, &three), (2, &two)][at % 2];
            rig.serve("ns-down", &spec(replicas)).await.unwrap();
            signal(sign, program);
            sleep(Duration::from_secs(3)).await;
            match sign {
                "-STOP" => signal("-CONT", program),
                _ => revive(),
            }
            // An API server that has just come back may refuse for a moment.
            sleep(RENEWAL).await;
            if rig.is_dead() {
                // It could not renew its lease, and the kubelet starts it again.
                rig.restart().await;
            }
            // Kubernetes' own controllers may take longer than the operator.
            let theirs = caught_up(rig, "ns-down", replicas).await;
            let within = Duration::from_secs(15);
            let took = rig.reaches("ns-down", end, within).await.unwrap();
            println!(
                "\nA11: {program} {sign}: Kubernetes is well after {theirs:?}, we {took:?} later"
            );
        }
        rig.delete("ns-down").await;
    });
}
