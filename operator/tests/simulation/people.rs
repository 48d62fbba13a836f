//! What people and other programs do to ModelServices and to what belongs to them.

use crate::api_server::ApiServer;
use crate::objects::{Key, resource};
use crate::oracle::configurations;
use fastrand::Rng;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// Namespace of all ModelServices.
const NAMESPACE: &str = "ns";
const NAMES: [&str; 3] = ["a", "b", "c"];
/// What a ModelService has one of by each name, and what it has by configuration.
const CHILDREN: [(&str, &str); 9] = [
    ("configmaps", CONFIGURATION),
    ("networkpolicies", CONFIGURATION),
    ("configmaps", "-dashboard"),
    ("services", ""),
    ("deployments", ""),
    ("poddisruptionbudgets", ""),
    ("horizontalpodautoscalers", ""),
    ("servicemonitors", ""),
    ("prometheusrules", ""),
];
/// Begins what the name of a configuration adds to that of its ModelService.
pub(crate) const CONFIGURATION: &str = "-config-";
/// Where a model is fetched from, which pods must be let do.
const MODEL: &str = "http://models.shop.svc/model.json";
/// Kinds that may be installed or not.
const OPTIONAL: [&str; 2] = ["servicemonitors", "prometheusrules"];

/// The key of an object of somebody's ModelService.
fn key(resource: &str, name: &str) -> Key {
    (resource.to_owned(), NAMESPACE.to_owned(), name.to_owned())
}

/// Does `deeds` things, a while apart.
pub(crate) async fn act(server: &Arc<ApiServer>, random: &mut Rng, deeds: u32) {
    for _ in 0..deeds {
        do_something(server, random);
        let pause = [0.01, 0.5, 5.0, 60.0][random.usize(..4)];
        sleep(Duration::from_secs_f64(pause * random.f64())).await;
    }
}

fn do_something(server: &ApiServer, random: &mut Rng) {
    let name = NAMES[random.usize(..NAMES.len())];
    match random.u8(..100) {
        0..50 => serve(server, random, name),
        50..60 => drop(server.change(|objects| objects.delete(&key("modelservices", name), None))),
        60..70 => {
            let child = child(server, random, name);
            drop(server.change(|objects| objects.delete(&child, None)));
        }
        70..82 => meddle(server, random, name),
        82..85 => hide(server, random, name),
        85..90 => stand_in_the_way(server, random, name),
        90..95 => forget_history(server),
        _ => install_or_not(server, random),
    }
}

fn child(server: &ApiServer, random: &mut Rng, name: &str) -> Key {
    let (resource, suffix) = CHILDREN[random.usize(..CHILDREN.len())];
    let name = format!("{name}{suffix}");
    if suffix != CONFIGURATION {
        return key(resource, &name);
    }
    // Of this spec or an earlier one, or what this spec is about to become.
    let objects = server.objects();
    let there = objects.keys().into_iter().map(|(_, _, there)| there);
    let wanted = configurations(&objects).into_iter();
    let names: BTreeSet<_> = there
        .chain(wanted)
        .filter(|it| it.starts_with(&name))
        .collect();
    let any = random.usize(..names.len().max(1));
    key(resource, names.iter().nth(any).unwrap_or(&name))
}

/// Makes a ModelService, or changes its spec, perhaps to one that cannot work.
fn serve(server: &ApiServer, random: &mut Rng, name: &str) {
    let spec = spec(random);
    let key = key("modelservices", name);
    server.change(|objects| match objects.get(&key).is_some() {
        true => objects.edit(&key, |service| service["spec"] = spec),
        false => drop(objects.make(&key, json!({"metadata": {}, "spec": spec}))),
    });
}

fn spec(random: &mut Rng) -> Value {
    let mut spec = json!({
        "model": {"source": {"builtin": {"name": "diabetes"}}},
        "replicas": random.u8(..4),
        "server": {"maxBatchRows": random.u32(1..4)},
        "monitoring": {"enabled": random.u8(..4) > 0},
    });
    match random.u8(..7) {
        0 => spec["autoscaling"] = json!({"minReplicas": 2, "maxReplicas": 5}),
        1 => spec["monitoring"]["dashboard"] = json!({"enabled": false}),
        2 => spec["monitoring"]["scrape"] = json!({"labels": {"team": "risk"}}),
        3 => spec["model"]["source"] = json!({"http": {"url": MODEL}}),
        // It cannot work: there is no such ConfigMap, or the limit is below the request.
        4 => spec["model"]["source"] = json!({"configMap": {"name": "none", "key": "none"}}),
        5 => spec["resources"] = json!({"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}),
        _ => {}
    }
    spec
}

/// Edits what belongs to a ModelService: what is ours, and what is not.
fn meddle(server: &ApiServer, random: &mut Rng, name: &str) {
    let (child, what) = (child(server, random, name), random.u8(..5));
    server.change(|objects| {
        objects.edit(&child, |object| match what {
            0 => object["metadata"]["labels"]["team"] = json!("theirs"),
            1 => object["metadata"]["labels"]["app.kubernetes.io/managed-by"] = json!("me"),
            2 => object["metadata"]["annotations"] = json!({"note": "theirs"}),
            _ => wreck(object),
        });
    });
}

/// Takes the label away by which the operator knows a child, and at once changes the spec: perhaps to
/// one in which there is no such child.
fn hide(server: &ApiServer, random: &mut Rng, name: &str) {
    let child = child(server, random, name);
    server.change(|objects| {
        objects.edit(&child, |object| {
            object["metadata"]["labels"]["app.kubernetes.io/managed-by"] = json!("me");
        });
    });
    serve(server, random, name);
}

fn wreck(object: &mut Value) {
    match object["kind"].as_str() {
        Some("ConfigMap") => object["data"] = json!({"nonsense": "1"}),
        Some("Deployment") => object["spec"]["replicas"] = json!(7),
        Some("PodDisruptionBudget") => object["spec"]["maxUnavailable"] = json!(9),
        Some("HorizontalPodAutoscaler") => object["spec"]["maxReplicas"] = json!(9),
        Some("ServiceMonitor") => object["spec"]["endpoints"] = json!([]),
        Some("PrometheusRule") => object["spec"]["groups"] = json!([]),
        _ => object["spec"]["nonsense"] = json!("1"),
    }
}

/// Makes an object of a child's name, or takes it away.
fn stand_in_the_way(server: &ApiServer, random: &mut Rng, name: &str) {
    let child = child(server, random, name);
    server.change(|objects| {
        let found = objects.get(&child);
        let is_theirs = found.is_some_and(|found| crate::cluster::owner(found).is_none());
        if is_theirs {
            drop(objects.delete(&child, None));
        } else if found.is_none() && !objects.unknown.contains(&child.0) {
            drop(objects.make(&child, json!({"metadata": {}, "spec": {"theirs": true}})));
        }
    });
}

/// The API server forgets what changed before now: watches must begin anew.
fn forget_history(server: &ApiServer) {
    server.change(|objects| objects.compacted = objects.version);
}

fn install_or_not(server: &ApiServer, random: &mut Rng) {
    let kind = OPTIONAL[random.usize(..OPTIONAL.len())];
    server.change(|objects| {
        if !objects.unknown.remove(kind) {
            objects.uninstall(kind);
        }
    });
}

/// Takes away whatever stands in the way, so that the end is the same for all.
pub(crate) fn clear_the_way(server: &ApiServer) {
    server.change(|objects| {
        for key in objects.keys() {
            let is_child = CHILDREN.iter().any(|(of, _)| *of == key.0);
            let is_theirs = objects
                .get(&key)
                .is_some_and(|object| crate::cluster::owner(object).is_none());
            if is_child && is_theirs {
                drop(objects.delete(&key, None));
            }
        }
    });
}

/// The key of a rendered child.
pub(crate) fn key_of(object: &Value) -> Key {
    let kind = object["kind"].as_str().unwrap();
    key(resource(kind), object["metadata"]["name"].as_str().unwrap())
}
