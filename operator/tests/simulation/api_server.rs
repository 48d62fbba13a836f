//! An API server in memory: the requests that an operator makes, answered as the real one does.

use crate::objects::{Change, Key, NOT_FOUND, Objects, Refusal};
use futures::stream::{self, Stream, StreamExt as _};
use http::{Method, Uri};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct ApiServer {
    objects: Mutex<Objects>,
    /// Told of every change.
    pub(crate) changed: Notify,
}

/// What a request is about.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) resource: String,
    namespace: String,
    name: Option<String>,
    of_status: bool,
    query: HashMap<String, String>,
}

impl Target {
    /// Of `/api/v1/…` and `/apis/group/version/…`.
    pub(crate) fn of(uri: &Uri) -> Self {
        let mut parts: Vec<_> = uri.path().split('/').skip(1).collect();
        parts.drain(..if parts[0] == "api" { 2 } else { 3 });
        let namespace = match parts[..] {
            ["namespaces", namespace, _, ..] => {
                parts.drain(..2);
                namespace
            }
            _ => "",
        };
        let query = uri.query().unwrap_or_default().split('&');
        let pairs = query.filter_map(|pair| pair.split_once('='));
        Self {
            resource: parts[0].to_owned(),
            namespace: namespace.to_owned(),
            name: parts.get(1).map(|name| (*name).to_owned()),
            of_status: parts.get(2) == Some(&"status"),
            query: pairs
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
        }
    }

    pub(crate) fn is_watch(&self) -> bool {
        self.query.get("watch").is_some_and(|watch| watch == "true")
    }

    /// What the operator made, if it asks for that only, and of events those that it asks for.
    fn selects(&self, object: &Value) -> bool {
        if self.query.contains_key("fieldSelector") {
            return object["reason"] == "InvalidConfiguration";
        }
        let ours = &object["metadata"]["labels"]["app.kubernetes.io/managed-by"];
        !self.query.contains_key("labelSelector") || ours == "modelservice-operator"
    }

    fn key(&self) -> Key {
        let name = self.name.clone().unwrap_or_default();
        (self.resource.clone(), self.namespace.clone(), name)
    }
}

impl ApiServer {
    /// What there is. Whoever watches hears of changes once this is dropped and told of.
    pub(crate) fn objects(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().unwrap()
    }

    /// Lets the cluster change.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Objects) -> T) -> T {
        let mut objects = self.objects();
        let seen = |objects: &Objects| (objects.history.len(), objects.unknown.len());
        let before = seen(&objects);
        let outcome = change(&mut objects);
        if seen(&objects) != before {
            self.changed.notify_waiters();
        }
        outcome
    }

    /// Answers anything but a watch: a status code and an object.
    pub(crate) fn answer(&self, method: &Method, target: &Target, body: Value) -> (u16, Value) {
        if self.objects().unknown.contains(&target.resource) {
            return (NOT_FOUND.0, failure(NOT_FOUND, None));
        }
        let answer = self.perform(method, target, body);
        let name = target.name.as_deref();
        answer.unwrap_or_else(|refusal| (refusal.0, failure(refusal, name)))
    }

    fn perform(
        &self,
        method: &Method,
        target: &Target,
        body: Value,
    ) -> Result<(u16, Value), Refusal> {
        let key = target.key();
        match (method, &target.name) {
            (&Method::GET, Some(_)) => {
                let objects = self.objects();
                Ok((200, objects.get(&key).ok_or(NOT_FOUND)?.clone()))
            }
            (&Method::GET, None) => Ok((200, self.list(target))),
            (&Method::POST, _) => {
                let name = body["metadata"]["name"].as_str().unwrap_or_default();
                let key = (key.0, key.1, name.to_owned());
                Ok((201, self.change(|objects| objects.make(&key, body))?))
            }
            (&Method::PUT, _) => Ok((200, self.change(|objects| objects.replace(&key, body))?)),
            // Events that happen again.
            (&Method::PATCH, _) if target.resource == "events" => Ok((200, body)),
            (&Method::PATCH, _) => {
                let apply = |objects: &mut Objects| objects.apply(&key, &body, target.of_status);
                let (object, is_new) = self.change(apply)?;
                Ok((if is_new { 201 } else { 200 }, object))
            }
            (&Method::DELETE, _) => {
                let uid = body["preconditions"].get("uid");
                Ok((200, self.change(|objects| objects.give_up(&key, uid))?))
            }
            _ => panic!("{method} {target:?}"),
        }
    }

    fn list(&self, target: &Target) -> Value {
        let objects = self.objects();
        let items = objects.list(&target.resource).into_iter();
        let items: Vec<_> = items.filter(|object| target.selects(object)).collect();
        json!({
            "kind": "List", "apiVersion": "v1", "items": items,
            "metadata": {"resourceVersion": objects.version.to_string()},
        })
    }

    /// The lines of a watch, until it ends: then the connection closes.
    pub(crate) fn watch(
        self: &Arc<Self>,
        target: &Target,
    ) -> Result<impl Stream<Item = Value> + Send + 'static, Refusal> {
        let number = |name: &str| target.query.get(name).and_then(|text| text.parse().ok());
        let since: u64 = number("resourceVersion").unwrap_or(0);
        let length = Duration::from_secs(number("timeoutSeconds").unwrap_or(290));
        if self.objects().unknown.contains(&target.resource) {
            return Err(NOT_FOUND);
        }
        // The real one too answers with success, and says so in the first line.
        let expired = since < self.objects().compacted;
        let first = expired.then(gone);
        let end = Instant::now() + length;
        let (server, target) = (Arc::clone(self), target.clone());
        let lines = stream::unfold(
            (server, target, since),
            move |(server, target, since)| async move {
                let (lines, seen) = server.next(&target, since, end).await?;
                Some((stream::iter(lines), (server, target, seen)))
            },
        );
        let rest = lines.flatten().take_while(move |_| ready(!expired));
        Ok(stream::iter(first).chain(rest))
    }

    /// The next changes after `since`, and the version that was seen; None at the end.
    async fn next(&self, target: &Target, since: u64, end: Instant) -> Option<(Vec<Value>, u64)> {
        loop {
            let changed = self.changed.notified();
            {
                let objects = self.objects();
                if objects.unknown.contains(&target.resource) {
                    return None;
                }
                let from = objects
                    .history
                    .partition_point(|change| change.version <= since);
                let lines = objects.history[from..]
                    .iter()
                    .filter_map(|change| line(change, target));
                let lines: Vec<_> = lines.collect();
                if !lines.is_empty() {
                    return Some((lines, objects.version));
                }
            }
            tokio::select! {
                biased;
                () = changed => {}
                () = sleep_until(end) => return None,
            }
        }
    }
}

/// What a watch says that should tell what is forgotten.
pub(crate) fn gone() -> Value {
    json!({"type": "ERROR", "object": failure((410, "Expired"), None)})
}

/// What a watch says of a change; None if it does not concern it.
fn line(change: &Change, target: &Target) -> Option<Value> {
    if change.resource != target.resource {
        return None;
    }
    let selected = |object: &Option<Value>| object.clone().filter(|object| target.selects(object));
    let (type_, mut object) = match (selected(&change.before), selected(&change.after)) {
        (None, None) => return None,
        (None, Some(after)) => ("ADDED", after),
        (Some(_), Some(after)) => ("MODIFIED", after),
        (Some(before), None) => ("DELETED", before),
    };
    object["metadata"]["resourceVersion"] = json!(change.version.to_string());
    Some(json!({"type": type_, "object": object}))
}

/// The answer to what is refused of the object of this name: without one it is a kind that is not
/// found.
pub(crate) fn failure((code, reason): Refusal, name: Option<&str>) -> Value {
    let details = name.map(|name| json!({"name": name}));
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "simulated", "reason": reason, "code": code, "details": details,
    })
}
