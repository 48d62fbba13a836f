//! Which objects of a kind belong to which ModelService: without that each reconcile would look at all of
//! them.

use crate::seen::Seen;
use kube::runtime::watcher::{self, Event};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Namespace and name of a ModelService.
type Service = (Box<str>, Box<str>);

/// Names of objects by ModelService.
#[derive(Debug, Default)]
struct Names(HashMap<Service, BTreeSet<Box<str>>>);

/// Names of the objects that a watch has seen.
#[derive(Debug, Clone, Default)]
pub(super) struct Index(Arc<Mutex<Lists>>);

#[derive(Debug, Default)]
struct Lists {
    known: Names,
    /// Of a list that has not ended.
    listed: Names,
}

impl Index {
    /// Notes what the watch says.
    pub(super) fn note<K, D>(&self, answer: &watcher::Result<Event<Seen<K, D>>>) {
        let mut lists = self.lists();
        match answer {
            Ok(Event::Init) => lists.listed = Names::default(),
            Ok(Event::InitApply(object)) => lists.listed.insert(object),
            Ok(Event::InitDone) => lists.known = std::mem::take(&mut lists.listed),
            Ok(Event::Apply(object)) => lists.known.insert(object),
            Ok(Event::Delete(object)) => lists.known.remove(object),
            Err(_) => {}
        }
    }

    /// Names of the objects that belong to a ModelService, or did before somebody changed their label.
    pub(super) fn of(&self, namespace: &str, service: &str) -> Vec<Box<str>> {
        let lists = self.lists();
        let names = lists.known.0.get(&(namespace.into(), service.into()));
        names.into_iter().flatten().cloned().collect()
    }

    fn lists(&self) -> MutexGuard<'_, Lists> {
        // A panic elsewhere cannot leave the maps half-written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Names {
    fn insert<K, D>(&mut self, object: &Seen<K, D>) {
        if let Some(service) = service(object) {
            let names = self.0.entry(service).or_default();
            names.insert(object.name.clone());
        }
    }

    fn remove<K, D>(&mut self, object: &Seen<K, D>) {
        let Some(service) = service(object) else {
            return;
        };
        if let Some(names) = self.0.get_mut(&service) {
            names.remove(&object.name);
            if names.is_empty() {
                self.0.remove(&service);
            }
        }
    }
}

fn service<K, D>(object: &Seen<K, D>) -> Option<Service> {
    Some((object.namespace.clone()?, object.service.clone()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seen::ReadPod;
    use crate::world::SeenPod;

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
