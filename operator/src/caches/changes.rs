//! What differs from what a cache held: of a list that is made anew only what is new, changed or gone.

use futures::{Stream, StreamExt, stream};
use kube::runtime::reflector::{Lookup, ObjectRef, Store};
use kube::runtime::watcher::{self, Event};
use std::sync::Arc;

/// Tells of each object that `events`, all of which `store` has noted already, are news of. A list
/// does so at its end, when the store holds it.
pub(crate) fn changes<K, T>(
    store: Store<K>,
    differs: impl Fn(&K, &K) -> bool,
    tell: impl Fn(&K) -> T,
    events: impl Stream<Item = watcher::Result<Event<K>>>,
) -> impl Stream<Item = T>
where
    K: Lookup<DynamicType = ()> + Clone + 'static,
{
    let (mut before, mut differing) = (Vec::new(), Vec::new());
    let news = events.map(move |event| match event {
        Ok(Event::Apply(object) | Event::Delete(object)) => vec![tell(&object)],
        Ok(Event::Init) => {
            before = store.state();
            differing.clear();
            Vec::new()
        }
        Ok(Event::InitApply(object)) => {
            // Until the end of the list the store holds the one before.
            let known = store.get(&ObjectRef::from_obj(&object));
            if known.is_none_or(|known| differs(&known, &object)) {
                differing.push(tell(&object));
            }
            Vec::new()
        }
        Ok(Event::InitDone) => {
            let is_gone = |object: &&Arc<K>| store.get(&ObjectRef::from_obj(&***object)).is_none();
            let mut gone: Vec<_> = before.iter().filter(is_gone).collect();
            // Stores have no order, and the same events are to be told in the same one each time.
            gone.sort_by_key(|object| (object.namespace(), object.name()));
            let gone = gone.into_iter().map(|object| tell(object));
            let all = differing.drain(..).chain(gone).collect();
            before.clear();
            all
        }
        Err(_) => Vec::new(),
    });
    news.flat_map(stream::iter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seen::Seen;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::runtime::reflector::{reflector, store};

    type Object = Seen<ConfigMap>;

    fn object((name, version): (&str, &str)) -> Object {
        let mut object = ConfigMap::default();
        object.metadata.name = Some(name.to_owned());
        object.metadata.namespace = Some("default".to_owned());
        object.metadata.resource_version = Some(version.to_owned());
        Seen::new(&object)
    }

    fn list(objects: &[(&str, &str)]) -> Vec<watcher::Result<Event<Object>>> {
        let objects = objects.iter().copied().map(object);
        let inner = objects.map(|object| Ok(Event::InitApply(object)));
        [Ok(Event::Init)]
            .into_iter()
            .chain(inner)
            .chain([Ok(Event::InitDone)])
            .collect()
    }

    #[tokio::test]
    async fn a_list_made_anew_tells_what_differs() {
        let first = ["a", "b", "g", "c", "e", "f"];
        let mut events = list(&first.map(|name| (name, "1")));
        events.push(Ok(Event::Apply(object(("a", "2")))));
        events.push(Err(watcher::Error::NoResourceVersion));
        // One that breaks off tells nothing.
        events.extend(list(&[("d", "1")]).into_iter().take(2));
        events.extend(list(&[("a", "2"), ("b", "3"), ("d", "1")]));
        events.push(Ok(Event::Delete(object(("d", "1")))));
        let (store, writer) = store();
        let events = reflector(writer, stream::iter(events));
        let differs = |a: &Object, b: &Object| a.version != b.version;
        let tell = |object: &Object| format!("{} {}", object.name, object.version);
        let told: Vec<_> = changes(store, differs, tell, events).collect().await;
        assert_eq!(told[..6], first.map(|name| format!("{name} 1")));
        let gone = ["c 1", "e 1", "f 1", "g 1"];
        assert_eq!(told[6..9], ["a 2", "b 3", "d 1"]);
        assert_eq!(told[9..13], gone, "by name");
        assert_eq!(told[13..], ["d 1"]);
    }
}
