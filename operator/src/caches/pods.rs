//! Which pods belong to which ModelService: without that each reconcile would look at all of them.

use crate::world::SeenPod;
use kube::runtime::watcher::{self, Event};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Namespace and name of a ModelService.
type Service = (Box<str>, Box<str>);

/// Names of pods by ModelService.
#[derive(Debug, Default)]
struct Names(HashMap<Service, BTreeSet<Box<str>>>);

/// Names of the pods that the watch has seen.
#[derive(Debug, Clone, Default)]
pub(super) struct Index(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    known: Names,
    /// Of a list that has not ended.
    listed: Names,
}

impl Index {
    /// Notes what the watch says.
    pub(super) fn note(&self, answer: &watcher::Result<Event<SeenPod>>) {
        let mut seen = self.seen();
        match answer {
            Ok(Event::Init) => seen.listed = Names::default(),
            Ok(Event::InitApply(pod)) => seen.listed.insert(pod),
            Ok(Event::InitDone) => seen.known = std::mem::take(&mut seen.listed),
            Ok(Event::Apply(pod)) => seen.known.insert(pod),
            Ok(Event::Delete(pod)) => seen.known.remove(pod),
            Err(_) => {}
        }
    }

    /// Names of the pods that belong to a ModelService, or did before somebody changed their label.
    pub(super) fn of(&self, namespace: &str, service: &str) -> Vec<Box<str>> {
        let seen = self.seen();
        let names = seen.known.0.get(&(namespace.into(), service.into()));
        names.into_iter().flatten().cloned().collect()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // A panic elsewhere cannot leave the maps half-written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Names {
    fn insert(&mut self, pod: &SeenPod) {
        if let Some(service) = service(pod) {
            self.0.entry(service).or_default().insert(pod.name.clone());
        }
    }

    fn remove(&mut self, pod: &SeenPod) {
        let Some(service) = service(pod) else {
            return;
        };
        if let Some(names) = self.0.get_mut(&service) {
            names.remove(&pod.name);
            if names.is_empty() {
                self.0.remove(&service);
            }
        }
    }
}

fn service(pod: &SeenPod) -> Option<Service> {
    Some((pod.namespace.clone()?, pod.service.clone()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seen::ReadPod;

    fn pod(name: &str, service: &str) -> SeenPod {
        let text = format!(
            "metadata: {{name: {name}, namespace: shop, labels: {{app.kubernetes.io/instance: {service}}}}}"
        );
        SeenPod::new(&crate::yaml::parse::<ReadPod>(&text).unwrap())
    }

    #[test]
    fn each_modelservice_has_its_own_pods_while_they_live() {
        let index = Index::default();
        let of = |service: &str| index.of("shop", service).join(" ");
        let tell = |event| index.note(&Ok(event));
        for (name, service) in [("b-1", "b"), ("a-2", "a"), ("a-1", "a")] {
            tell(Event::Apply(pod(name, service)));
        }
        assert_eq!((&*of("a"), &*of("b")), ("a-1 a-2", "b-1"));
        assert!(index.of("other", "a").is_empty());
        tell(Event::Delete(pod("a-2", "a")));
        assert_eq!(of("a"), "a-1");
        tell(Event::Init);
        tell(Event::InitApply(pod("a-3", "a")));
        assert_eq!(
            (&*of("a"), &*of("b")),
            ("a-1", "b-1"),
            "until the list ends"
        );
        tell(Event::InitDone);
        assert_eq!((&*of("a"), &*of("b")), ("a-3", ""));
    }
}
