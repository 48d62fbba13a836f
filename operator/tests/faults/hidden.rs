//! Events that the operator is never told of: whatever they were, the next list makes them good.

use crate::rig::{KINDS, RELIST, Rig, State};
use crate::with_rig;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::sleep;

/// Longest time until all is well: a list is due after at most so long, and then there is work.
const WITHIN: Duration = Duration::from_secs(RELIST * 12 / 10 + 10);

const TYPES: [&str; 3] = ["ADDED", "MODIFIED", "DELETED"];

/// What ModelServices there are, by name, and how they change in the end.
fn specs() -> [(&'static str, Value, Value); 3] {
    let of = |rest: Value| {
        let mut spec = json!({"model": {"source": {"builtin": {"name": "diabetes"}}}});
        spec.as_object_mut()
            .unwrap()
            .extend(rest.as_object().unwrap().clone());
        spec
    };
    [
        (
            "two",
            of(json!({"replicas": 2})),
            of(json!({"replicas": 3})),
        ),
        (
            "scaled",
            of(json!({"autoscaling": {"minReplicas": 2, "maxReplicas": 4}})),
            of(json!({"autoscaling": {"minReplicas": 2, "maxReplicas": 5}})),
        ),
        (
            "plain",
            of(json!({"replicas": 2, "monitoring": {"dashboard": {"enabled": false}}})),
            of(json!({"replicas": 2, "monitoring": {"dashboard": {"enabled": true}}})),
        ),
    ]
}

/// An event that is hidden, and of which ModelService.
struct Plan {
    namespace: String,
    spec: Value,
    other: Value,
    type_: &'static str,
    plural: &'static str,
    begin: State,
    end: State,
}

impl Plan {
    /// Does what the event would tell of.
    async fn happen(&self, rig: &Rig) {
        let Self {
            namespace, plural, ..
        } = self;
        match (self.type_, *plural) {
            ("ADDED", _) => rig.serve(namespace, &self.spec).await.unwrap(),
            ("DELETED", "modelservices") => rig.delete(namespace).await,
            (_, "modelservices") => rig.serve(namespace, &self.other).await.unwrap(),
            ("DELETED", _) => each(rig, namespace, plural, None).await,
            _ => {
                let label =
                    json!({"metadata": {"labels": {"app.kubernetes.io/instance": "another"}}});
                each(rig, namespace, plural, Some(&label)).await;
            }
        }
    }
}

/// Changes or deletes each object of a kind; there may be several.
async fn each(rig: &Rig, namespace: &str, plural: &str, patch: Option<&Value>) {
    let api = rig.objects(plural, namespace);
    for (kind, name) in rig.state(namespace).await.into_keys() {
        if kind == plural {
            match patch {
                Some(patch) => drop(
                    api.patch(&name, &PatchParams::default(), &Patch::Merge(patch))
                        .await
                        .unwrap(),
                ),
                None => drop(api.delete(&name, &DeleteParams::default()).await.unwrap()),
            }
        }
    }
}

/// What each spec becomes where nothing is hidden.
async fn ends(rig: &Rig) -> BTreeMap<String, State> {
    let mut ends = BTreeMap::new();
    for (name, spec, other) in specs() {
        for (kind, spec) in [("", &spec), ("-other", &other)] {
            let namespace = format!("told-{name}{kind}");
            rig.make_namespace(&namespace).await;
            rig.serve(&namespace, spec).await.unwrap();
            ends.insert(format!("{name}{kind}"), rig.settled(&namespace).await);
            rig.delete(&namespace).await;
        }
    }
    ends
}

fn plans(ends: &BTreeMap<String, State>) -> Vec<Plan> {
    let mut plans = Vec::new();
    for (name, spec, other) in specs() {
        let begin = &ends[name];
        for (_, _, plural) in KINDS {
            if !begin.keys().any(|(kind, _)| kind == plural) {
                continue;
            }
            plans.extend(TYPES.map(|type_| Plan {
                namespace: format!("hidden-{name}-{plural}-{}", type_.to_lowercase()),
                spec: spec.clone(),
                other: other.clone(),
                type_,
                plural,
                begin: begin.clone(),
                end: match (type_, plural) {
                    ("DELETED", "modelservices") => State::new(),
                    ("MODIFIED", "modelservices") => ends[&format!("{name}-other")].clone(),
                    _ => begin.clone(),
                },
            }));
        }
    }
    plans
}

#[test]
#[ignore = "needs a control plane: make test-faults"]
fn an_event_that_is_never_told_is_made_good_by_the_next_list() {
    with_rig(async |rig| {
        let plans = plans(&ends(rig).await);
        assert!(plans.len() >= 60, "{}", plans.len());
        for plan in &plans {
            rig.make_namespace(&plan.namespace).await;
            if plan.type_ != "ADDED" {
                rig.serve(&plan.namespace, &plan.spec).await.unwrap();
            }
        }
        for plan in plans.iter().filter(|plan| plan.type_ != "ADDED") {
            rig.reaches(&plan.namespace, &plan.begin, WITHIN)
                .await
                .unwrap();
        }
        sleep(Duration::from_secs(1)).await;
        let event = |plan: &Plan| (plan.type_, plan.plural.to_owned(), plan.namespace.clone());
        rig.proxy.hide(plans.iter().map(event).collect());
        for plan in &plans {
            plan.happen(rig).await;
        }
        let mut failed = Vec::new();
        let mut longest = Duration::ZERO;
        for plan in &plans {
            match rig.reaches(&plan.namespace, &plan.end, WITHIN).await {
                Ok(took) => longest = longest.max(took),
                Err(difference) => failed.push(format!("{}: {difference}", plan.namespace)),
            }
            rig.delete(&plan.namespace).await;
        }
        let untold = rig.proxy.still_to_hide();
        rig.proxy.hide(Vec::new());
        println!(
            "\nA3: {} events never told; all well within {longest:?}",
            plans.len() - untold.len()
        );
        assert!(failed.is_empty(), "{}", failed.join("\n"));
        assert!(plans.len() - untold.len() >= 60, "never came: {untold:?}");
    });
}
