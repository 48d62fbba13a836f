//! What the API server in memory keeps: objects, their versions, and all that ever changed.

use crate::deployment::mounted;
use operator::seen::hash_of;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Resource, namespace and name.
pub(crate) type Key = (String, String, String);

/// Resource, apiVersion, kind, and whether its spec has a generation.
#[rustfmt::skip]
const KINDS: [(&str, &str, &str, bool); 14] = [
    ("modelservices", "modelservice.dev/v1alpha1", "ModelService", true),
    ("configmaps", "v1", "ConfigMap", false),
    ("services", "v1", "Service", false),
    ("pods", "v1", "Pod", false),
    ("deployments", "apps/v1", "Deployment", true),
    ("poddisruptionbudgets", "policy/v1", "PodDisruptionBudget", true),
    ("horizontalpodautoscalers", "autoscaling/v2", "HorizontalPodAutoscaler", false),
    ("networkpolicies", "networking.k8s.io/v1", "NetworkPolicy", true),
    ("servicemonitors", "monitoring.coreos.com/v1", "ServiceMonitor", true),
    ("prometheusrules", "monitoring.coreos.com/v1", "PrometheusRule", true),
    ("prometheuses", "monitoring.coreos.com/v1", "Prometheus", true),
    ("namespaces", "v1", "Namespace", false),
    ("leases", "coordination.k8s.io/v1", "Lease", false),
    ("events", "events.k8s.io/v1", "Event", false),
];

/// Resource of a kind.
pub(crate) fn resource(kind: &str) -> &'static str {
    let known = KINDS.iter().find(|(_, _, known, _)| *known == kind);
    known.unwrap_or_else(|| panic!("no kind {kind}")).0
}

/// Why something was not done: a status code and its reason.
pub(crate) type Refusal = (u16, &'static str);

pub(crate) const NOT_FOUND: Refusal = (404, "NotFound");
pub(crate) const CONFLICT: Refusal = (409, "Conflict");

/// An object before and after a write; None before it was made and after it was deleted.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) version: u64,
    pub(crate) resource: String,
    pub(crate) before: Option<Value>,
    pub(crate) after: Option<Value>,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    objects: BTreeMap<Key, Stored>,
    pub(crate) history: Vec<Change>,
    pub(crate) version: u64,
    /// Changes up to this version are forgotten.
    pub(crate) compacted: u64,
    /// Resources that the API server does not know.
    pub(crate) unknown: BTreeSet<String>,
    /// Configurations that pods of each Deployment may be of.
    mounted: BTreeMap<Key, BTreeSet<String>>,
    /// What was taken away though a pod may have needed it.
    pub(crate) missed: Vec<Key>,
    made: u64,
}

#[derive(Debug, Clone)]
struct Stored {
    object: Value,
    /// What the operator last applied: of it goes what is not applied any more.
    applied: Value,
}

impl Objects {
    pub(crate) fn get(&self, key: &Key) -> Option<&Value> {
        self.objects.get(key).map(|stored| &stored.object)
    }

    /// All objects of a resource.
    pub(crate) fn list(&self, resource: &str) -> Vec<&Value> {
        let all = self.objects.iter();
        let of = all.filter(|((of, _, _), _)| of == resource);
        of.map(|(_, stored)| &stored.object).collect()
    }

    pub(crate) fn keys(&self) -> Vec<Key> {
        self.objects.keys().cloned().collect()
    }

    /// Server-side apply by the operator, of everything but the status, or of the status only.
    pub(crate) fn apply(
        &mut self,
        key: &Key,
        wanted: &Value,
        of_status: bool,
    ) -> Result<(Value, bool), Refusal> {
        let mut wanted = wanted.clone();
        let Some(stored) = self.objects.get(key).cloned() else {
            if of_status {
                return Err(NOT_FOUND);
            }
            if !wanted["metadata"]["resourceVersion"].is_null() {
                return Err(CONFLICT);
            }
            return Ok((self.create(key, wanted.clone(), wanted), true));
        };
        let differs = |field: &str| {
            let expected = &wanted["metadata"][field];
            !expected.is_null() && *expected != stored.object["metadata"][field]
        };
        if differs("uid") || differs("resourceVersion") {
            return Err(CONFLICT);
        }
        if let Some(metadata) = wanted["metadata"].as_object_mut() {
            metadata.remove("resourceVersion");
        }
        let mut object = stored.object;
        let applied = match of_status {
            true => {
                object["status"] = wanted["status"].take();
                stored.applied
            }
            false => {
                forget(&mut object, &stored.applied, &wanted);
                merge(&mut object, &wanted);
                wanted
            }
        };
        Ok((self.write(key, object, applied), false))
    }

    /// Replaces an object that has not changed since it was read.
    pub(crate) fn replace(&mut self, key: &Key, object: Value) -> Result<Value, Refusal> {
        let stored = self.objects.get(key).ok_or(NOT_FOUND)?;
        let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
        if version(&object) != version(&stored.object) {
            return Err(CONFLICT);
        }
        let applied = stored.applied.clone();
        Ok(self.write(key, object, applied))
    }

    /// Makes an object.
    pub(crate) fn make(&mut self, key: &Key, object: Value) -> Result<Value, Refusal> {
        match self.objects.contains_key(key) {
            true => Err((409, "AlreadyExists")),
            false => Ok(self.create(key, object, Value::Null)),
        }
    }

    /// Lets somebody else edit an object.
    pub(crate) fn edit(&mut self, key: &Key, edit: impl FnOnce(&mut Value)) {
        if let Some(stored) = self.objects.get(key).cloned() {
            let mut object = stored.object;
            edit(&mut object);
            self.write(key, object, stored.applied);
        }
    }

    /// Deletes an object as the operator does, if it still is the one meant.
    pub(crate) fn give_up(&mut self, key: &Key, uid: Option<&Value>) -> Result<Value, Refusal> {
        let object = self.delete(key, uid)?;
        if self.mounted.values().any(|names| names.contains(&key.2)) {
            self.missed.push(key.clone());
        }
        Ok(object)
    }

    /// Deletes an object, if it still is the one meant.
    pub(crate) fn delete(&mut self, key: &Key, uid: Option<&Value>) -> Result<Value, Refusal> {
        let stored = self.objects.get(key).ok_or(NOT_FOUND)?;
        if uid.is_some_and(|uid| *uid != stored.object["metadata"]["uid"]) {
            return Err(CONFLICT);
        }
        let Some(Stored { object, .. }) = self.objects.remove(key) else {
            return Err(NOT_FOUND);
        };
        self.mounted.remove(key);
        let mut last = object.clone();
        self.version += 1;
        last["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.note(key, Some(last), None);
        Ok(object)
    }

    /// The API server does not know a resource any more, and what there was of it is gone.
    pub(crate) fn uninstall(&mut self, resource: &str) {
        for key in self.keys().into_iter().filter(|key| key.0 == resource) {
            // It was there a moment ago.
            let _ = self.delete(&key, None);
        }
        self.unknown.insert(resource.to_owned());
    }

    fn create(&mut self, key: &Key, mut object: Value, applied: Value) -> Value {
        let (resource, namespace, name) = key;
        let kind = KINDS.iter().find(|(known, ..)| known == resource);
        let (_, version, kind, counted) = kind.unwrap_or_else(|| panic!("no resource {resource}"));
        self.made += 1;
        object["apiVersion"] = json!(version);
        object["kind"] = json!(kind);
        if let Some(all) = object.as_object_mut() {
            all.remove("status");
        }
        let metadata = &mut object["metadata"];
        metadata["name"] = json!(name);
        metadata["namespace"] = json!(namespace);
        metadata["uid"] = json!(format!("uid-{}", self.made));
        metadata["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
        if *counted {
            metadata["generation"] = json!(1);
        }
        // What the API server fills in.
        if resource == "services" {
            object["spec"]["clusterIP"] = json!("10.0.0.1");
        }
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        say_who_wrote(&mut object);
        let stored = Stored {
            object: object.clone(),
            applied,
        };
        self.objects.insert(key.clone(), stored);
        self.note(key, None, Some(object.clone()));
        object
    }

    /// Writes an object unless nothing about it changed.
    fn write(&mut self, key: &Key, mut object: Value, applied: Value) -> Value {
        let Some(stored) = self.objects.get_mut(key) else {
            return object;
        };
        stored.applied = applied;
        let before = stored.object.clone();
        if object == before {
            return object;
        }
        if let Some(generation) = before["metadata"]["generation"].as_u64()
            && object["spec"] != before["spec"]
        {
            object["metadata"]["generation"] = json!(generation + 1);
        }
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        say_who_wrote(&mut object);
        stored.object = object.clone();
        self.note(key, Some(before), Some(object.clone()));
        object
    }

    fn note(&mut self, key: &Key, before: Option<Value>, after: Option<Value>) {
        if let (Some(after), "deployments") = (&after, key.0.as_str()) {
            let names = self.mounted.entry(key.clone()).or_default();
            if is_rolled_out(after) {
                names.clear();
            }
            names.extend(mounted(after).map(str::to_owned));
        }
        // Nobody watches leases, which are written all the time.
        if key.0 == "leases" {
            return;
        }
        self.history.push(Change {
            version: self.version,
            resource: key.0.clone(),
            before,
            after,
        });
    }
}

/// Whether all pods of a Deployment are of its template.
fn is_rolled_out(deployment: &Value) -> bool {
    let (status, replicas) = (&deployment["status"], &deployment["spec"]["replicas"]);
    let counts = ["replicas", "updatedReplicas", "readyReplicas"];
    status["observedGeneration"] == deployment["metadata"]["generation"]
        && counts.iter().all(|count| status[count] == *replicas)
}

/// Instead of the fields, a hash of what is in them: different after each write of a spec, and after each
/// of a status.
fn say_who_wrote(object: &mut Value) {
    let mut content = object.clone();
    let status = content["status"].take();
    let metadata = &mut content["metadata"];
    for bookkeeping in ["managedFields", "resourceVersion", "generation"] {
        metadata[bookkeeping] = Value::Null;
    }
    let fields = |of: &Value| json!({"f:spec": {format!("f:{:x}", hash_of(&of.to_string())): {}}});
    let time = "2026-01-01T00:00:00Z";
    object["metadata"]["managedFields"] = json!([
        {"manager": "a", "operation": "Apply", "time": time, "fieldsV1": fields(&content)},
        {
            "manager": "b", "operation": "Update", "subresource": "status", "time": time,
            "fieldsV1": fields(&status),
        },
    ]);
}

/// Removes from `object` what `applied` has and `wanted` lacks.
fn forget(object: &mut Value, applied: &Value, wanted: &Value) {
    let (Some(object), Some(applied)) = (object.as_object_mut(), applied.as_object()) else {
        return;
    };
    let none = Map::new();
    let wanted = wanted.as_object().unwrap_or(&none);
    for (key, value) in applied {
        match (wanted.get(key), object.get_mut(key)) {
            (None, Some(_)) => drop(object.remove(key)),
            (Some(wanted), Some(inner)) => forget(inner, value, wanted),
            (_, None) => {}
        }
    }
}

/// Writes `wanted` over `object`: maps key by key, all else as a whole.
fn merge(object: &mut Value, wanted: &Value) {
    match (object, wanted) {
        (Value::Object(object), Value::Object(wanted)) => {
            for (key, value) in wanted {
                merge(object.entry(key).or_insert(Value::Null), value);
            }
        }
        (object, wanted) => *object = wanted.clone(),
    }
}
