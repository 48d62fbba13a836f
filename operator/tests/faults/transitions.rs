//! From any spec to any other: what there is in the end depends on the last one alone.

use crate::deployment::mounted as mounted_by;
use crate::rig::{Rig, State, difference};
use crate::{scale, with_rig};
use fastrand::Rng;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::sleep;

/// Specs that one ModelService has in turn, and ModelServices.
const CHAIN: usize = 21;
const CHAINS: usize = 25;

/// What a field may be, by its path; null leaves it out.
#[rustfmt::skip]
fn fields() -> Vec<(&'static str, Vec<Value>)> {
    let long = "x".repeat(60);
    vec![
        ("replicas", vec![json!(null), json!(0), json!(1), json!(2), json!(3)]),
        ("model.version", vec![json!(null), json!("1"), json!(long), json!("2026-11-01")]),
        ("model.source", vec![
            json!({"builtin": {"name": "diabetes"}}),
            json!({"persistentVolumeClaim": {"claimName": "models", "path": "a/b.json"}}),
            json!({"mlflow": {"trackingUri": "http://mlflow:5000", "model": "churn ü", "version": 3, "secretRef": {"name": "keys"}}}),
            json!({"configMap": {"name": "nowhere", "key": "model.json"}}),
        ]),
        ("autoscaling", vec![json!(null), json!({"minReplicas": 2, "maxReplicas": 3}), json!({"maxReplicas": 9, "cpuUtilization": 1})]),
        ("resources", vec![
            json!(null), json!({"requests": {"cpu": "1m", "memory": "16Mi"}}), json!({"limits": {"cpu": "64"}}),
            json!({"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}),
        ]),
        ("server.maxConcurrentRequests", vec![json!(null), json!(1), json!(10_000)]),
        ("server.maxBatchRows", vec![json!(null), json!(1), json!(100_000)]),
        ("server.maxBodyBytes", vec![json!(null), json!("1Ki"), json!("64Mi"), json!("lots")]),
        ("server.requestTimeout", vec![json!(null), json!("1ms"), json!("10m"), json!("soon")]),
        ("server.apiKeys", vec![json!(null), json!({"secretRef": {"name": "keys"}}), json!({"secretRef": {"name": "keys", "key": "other"}})]),
        ("monitoring.enabled", vec![json!(null), json!(true), json!(false)]),
        ("monitoring.scrape", vec![json!(null), json!({"interval": "30s", "timeout": "5s"}), json!({"labels": {"team": "risk", "a/b": "c"}})]),
        ("monitoring.alerts.enabled", vec![json!(null), json!(true), json!(false)]),
        ("monitoring.alerts.window", vec![json!(null), json!("1m"), json!("1h")]),
        ("monitoring.alerts.labels", vec![json!(null), json!({"team": "risk"}), json!({"note": "Ünïcödé {{ $labels.pod }} \"'\n"})]),
        ("monitoring.alerts.thresholds", vec![json!(null), json!({"errorsPerSecond": 0}), json!({"latencyP95": "1ms", "activeRequests": 1})]),
        ("monitoring.dashboard", vec![json!(null), json!({"enabled": false}), json!({"folder": "Models", "labels": {"a": "b"}})]),
    ]
}

fn set(spec: &mut Value, path: &str, value: &Value) {
    let mut at = spec;
    for part in path.split('.') {
        at = &mut at[part];
    }
    *at = value.clone();
}

/// A spec with a few fields other than the default.
fn random(random: &mut Rng) -> Value {
    let mut spec = json!({"model": {"source": {"builtin": {"name": "diabetes"}}}});
    for _ in 0..random.u8(1..6) {
        let fields = fields();
        let (path, values) = &fields[random.usize(..fields.len())];
        let value = &values[random.usize(..values.len())];
        if !value.is_null() {
            set(&mut spec, path, value);
        }
    }
    spec
}

/// What the spec decides of a state, and history does not: how far pods have come it does not, under
/// autoscaling not how many there are, and not what belongs to earlier configurations, which stays while
/// pods may need it.
fn decided(state: &State, spec: &Value) -> State {
    let mut state = state.clone();
    let mounted = state.get(&("deployments".to_owned(), "churn".to_owned()));
    let mounted = mounted.and_then(|deployment| Some(mounted_by(deployment)?.to_owned()));
    state.retain(|(_, name), _| {
        !name.starts_with("churn-config-") || mounted.as_ref() == Some(name)
    });
    for ((plural, _), object) in &mut state {
        match plural.as_str() {
            "modelservices" => drop(object.as_object_mut().unwrap().remove("status")),
            "deployments" if !spec["autoscaling"].is_null() => {
                object["spec"]["replicas"] = json!(null);
            }
            _ => {}
        }
    }
    state
}

/// Whether the operator has made anything of a spec: if it cannot work, nothing is.
fn is_carried_out(state: &State) -> bool {
    state.keys().any(|(plural, _)| plural == "deployments")
}

fn children(state: &State) -> State {
    let children = state
        .iter()
        .filter(|((plural, _), _)| plural != "modelservices");
    children
        .map(|(key, object)| (key.clone(), object.clone()))
        .collect()
}

/// One ModelService that has many specs in turn.
struct Chain {
    namespace: String,
    random: Rng,
    state: State,
}

/// What one step of a chain did.
struct Step {
    spec: Value,
    /// Where there is only this spec.
    fresh: String,
}

impl Chain {
    /// Applies a spec that the API server admits, here and where there is nothing else.
    async fn step(&mut self, rig: &Rig, at: usize) -> Step {
        let fresh = format!("{}-{at}", self.namespace);
        rig.make_namespace(&fresh).await;
        loop {
            let spec = random(&mut self.random);
            if rig.serve(&fresh, &spec).await.is_ok() {
                rig.serve(&self.namespace, &spec).await.unwrap();
                return Step { spec, fresh };
            }
        }
    }

    /// How this differs from what there should be, if it does.
    fn judge(&self, state: &State, fresh: &State, spec: &Value) -> Option<String> {
        let (found, wanted) = match is_carried_out(fresh) {
            true => (decided(state, spec), decided(fresh, spec)),
            // What was served before is served on.
            false => (children(state), children(&self.state)),
        };
        (found != wanted).then(|| {
            format!(
                "{}: {spec}\n{}",
                self.namespace,
                difference(&found, &wanted)
            )
        })
    }
}

/// Waits until nothing changes any more: the states of namespaces.
async fn all_settled(rig: &Rig, namespaces: &[&str]) -> Vec<State> {
    let mut before = Vec::new();
    for _ in 0..40 {
        let states = rig.states(namespaces).await;
        if states == before && rig.is_observed(namespaces).await {
            return states;
        }
        before = states;
        sleep(Duration::from_millis(300)).await;
    }
    panic!("the operator does not come to rest");
}

#[test]
#[ignore = "needs a control plane: make test-faults"]
fn what_there_is_in_the_end_depends_on_the_last_spec_alone() {
    with_rig(async |rig| {
        let mut chains = Vec::new();
        for seed in 0..CHAINS as u64 {
            let namespace = format!("chain-{seed}");
            rig.make_namespace(&namespace).await;
            chains.push(Chain {
                namespace,
                random: Rng::with_seed(seed),
                state: State::new(),
            });
        }
        let (mut failed, mut transitions, mut refused) = (Vec::new(), 0, 0);
        for at in 0..CHAIN * scale() {
            let mut steps = Vec::new();
            for chain in &mut chains {
                steps.push(chain.step(rig, at).await);
            }
            let old = chains.iter().map(|chain| chain.namespace.as_str());
            let new = steps.iter().map(|step| step.fresh.as_str());
            let mut states = all_settled(rig, &old.chain(new).collect::<Vec<_>>()).await;
            let fresh = states.split_off(chains.len());
            for (((chain, state), fresh), step) in
                chains.iter_mut().zip(states).zip(&fresh).zip(&steps)
            {
                failed.extend(chain.judge(&state, fresh, &step.spec));
                transitions += usize::from(at > 0);
                refused += usize::from(!is_carried_out(fresh));
                chain.state = state;
                rig.delete(&step.fresh).await;
            }
        }
        println!("\nB1: {transitions} transitions, {refused} specs of which cannot work");
        for chain in &chains {
            rig.delete(&chain.namespace).await;
        }
        assert!(failed.is_empty(), "{}", failed.join("\n"));
        assert!(transitions >= 500 && refused > 0);
    });
}
