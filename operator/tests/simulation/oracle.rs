//! What the cluster must hold in the end: exactly what each ModelService becomes by itself.

use crate::api_server::ApiServer;
use crate::cluster::owner;
use crate::objects::{Key, Objects};
use crate::people::{CONFIGURATION, key_of};
use crate::rendered::objects as objects_of;
use crate::settings::settings_of;
use k8s_openapi::api::apps::v1::Deployment;
use operator::api::ModelService;
use operator::render::render;
use operator::validate::validate;
use operator::world::{Live, ModelData, SeenDeployment, World};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Everything that is not as it should be.
pub(crate) fn faults(server: &ApiServer) -> Vec<String> {
    let objects = server.objects();
    let services = objects.list("modelservices");
    let faults = services.into_iter().flat_map(|ms| of_one(&objects, ms));
    let missed = objects.missed.iter();
    let missed = missed.map(|key| format!("{key:?} was deleted though pods may have needed it"));
    missed.chain(faults).collect()
}

/// Names of the configurations that ModelServices are to have by now.
pub(crate) fn configurations(objects: &Objects) -> Vec<String> {
    let services = objects.list("modelservices").into_iter();
    let plans = services.filter_map(|ms| {
        let service: ModelService = serde_json::from_value(ms.clone()).ok()?;
        let name = ms["metadata"]["name"].as_str()?;
        validate(&service, &world(objects, name), &settings_of(&[])).ok()
    });
    let config_maps = plans.filter_map(|plan| render(&plan).config_map?.metadata.name);
    config_maps.collect()
}

fn of_one(objects: &Objects, ms: &Value) -> Vec<String> {
    let name = ms["metadata"]["name"].as_str().unwrap();
    let service: ModelService = serde_json::from_value(ms.clone()).unwrap();
    let Ok(plan) = validate(&service, &world(objects, name), &settings_of(&[])) else {
        return refused(ms);
    };
    let wanted: Vec<_> = objects_of(render(&plan))
        .into_iter()
        .filter(|child| !objects.unknown.contains(&key_of(child).0))
        .collect();
    let mut faults: Vec<_> = wanted
        .iter()
        .filter_map(|child| differs(objects, child))
        .collect();
    let keys: BTreeSet<Key> = wanted.iter().map(key_of).collect();
    let uid = ms["metadata"]["uid"].to_string();
    let surplus = objects.keys().into_iter().filter(|key| {
        let is_its = |object: &&Value| owner(object).as_ref() == Some(&uid);
        let found = objects.get(key).filter(is_its);
        !keys.contains(key) && found.is_some_and(|found| !is_left_alone(key, found))
    });
    faults.extend(surplus.map(|key| format!("{key:?} is not wanted")));
    faults.extend(untrue(ms));
    faults
}

fn world(objects: &Objects, name: &str) -> World {
    let deployment = ("deployments".to_owned(), "ns".to_owned(), name.to_owned());
    let deployment = objects.get(&deployment);
    World {
        model: ModelData::NoConfigMap,
        live: Live {
            deployment: deployment.map(|found| {
                let found: Deployment = serde_json::from_value(found.clone()).unwrap();
                Arc::new(SeenDeployment::new(&found))
            }),
            ..Live::default()
        },
        ..World::default()
    }
}

/// Whether an object belongs to an earlier configuration and somebody took the operator's label from it, by
/// which alone it is known: it goes with its ModelService.
fn is_left_alone(key: &Key, object: &Value) -> bool {
    let managed_by = &object["metadata"]["labels"]["app.kubernetes.io/managed-by"];
    key.2.contains(CONFIGURATION) && managed_by != "modelservice-operator"
}

/// How a child differs from what is wanted of it; others may have added to it.
fn differs(objects: &Objects, wanted: &Value) -> Option<String> {
    let key = key_of(wanted);
    let Some(found) = objects.get(&key) else {
        return Some(format!("{key:?} is missing"));
    };
    contradiction(wanted, found, "").map(|at| format!("{key:?} differs at {at}"))
}

/// Where `found` lacks something of `wanted`.
fn contradiction(wanted: &Value, found: &Value, at: &str) -> Option<String> {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => wanted.iter().find_map(|(key, value)| {
            let at = format!("{at}.{key}");
            match found.get(key) {
                Some(found) => contradiction(value, found, &at),
                None => Some(at),
            }
        }),
        (wanted, found) => (wanted != found).then(|| format!("{at}: {found}, expected {wanted}")),
    }
}

fn condition<'a>(ms: &'a Value, type_: &str) -> Option<&'a Value> {
    let conditions = ms["status"]["conditions"].as_array()?;
    conditions.iter().find(|known| known["type"] == type_)
}

/// What the status of a valid ModelService says that is not so.
fn untrue(ms: &Value) -> Vec<String> {
    let name = &ms["metadata"]["name"];
    let mut faults = Vec::new();
    if ms["status"]["observedGeneration"] != ms["metadata"]["generation"] {
        faults.push(format!("the status of {name} is old: {}", ms["status"]));
    }
    let expected = match ms["spec"]["replicas"] == 0 {
        true => "ScaledToZero",
        false => "Available",
    };
    let ready = condition(ms, "Ready").map(|ready| &ready["reason"]);
    if ready != Some(&json!(expected)) {
        faults.push(format!("{name} is {ready:?}, expected {expected}"));
    }
    faults
}

/// What the status of an invalid ModelService fails to say.
fn refused(ms: &Value) -> Vec<String> {
    let ready = condition(ms, "Ready");
    let said = ready.is_some_and(|ready| {
        ready["status"] == "False"
            && ready["observedGeneration"] == ms["metadata"]["generation"]
            && ["InvalidSpec", "NotFound"].contains(&ready["reason"].as_str().unwrap_or_default())
    });
    match said {
        true => Vec::new(),
        false => vec![format!(
            "{} is not refused: {}",
            ms["metadata"]["name"], ms["status"]
        )],
    }
}
