//! What differs from what a cache held: of a list that is made anew only what is new, changed or gone.

use crate::seen::Seen;
use futures::{Stream, StreamExt, stream};
use kube::Resource;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::{self, Event};
use std::sync::Arc;

/// The objects that `events`, all of which `store` has noted already, are news of. A list tells them
/// at its end, when the store holds it.
pub(super) fn changes<K, D>(
    store: Store<Seen<K, D>>,
    events: impl Stream<Item = watcher::Result<Event<Seen<K, D>>>>,
) -> impl Stream<Item = Arc<Seen<K, D>>>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
    D: Clone + 'static,
{
    let (mut before, mut differing) = (Vec::new(), Vec::new());
    let news = events.map(move |event| match event {
        Ok(Event::Apply(object) | Event::Delete(object)) => vec![Arc::new(object)],
        Ok(Event::Init) => {
            before = store.state();
            differing.clear();
            Vec::new()
        }
        Ok(Event::InitApply(object)) => {
            // Until the end of the list the store holds the one before.
            let known = store.get(&ObjectRef::from_obj(&object));
            if known.is_none_or(|known| known.version != object.version) {
                differing.push(Arc::new(object));
            }
            Vec::new()
        }
        Ok(Event::InitDone) => {
            let is_gone =
                |object: &Arc<Seen<K, D>>| store.get(&ObjectRef::from_obj(&**object)).is_none();
            let gone = std::mem::take(&mut before).into_iter().filter(is_gone);
            std::mem::take(&mut differing)
                .into_iter()
                .chain(gone)
                .collect()
        }
        Err(_) => Vec::new(),
    });
    news.flat_map(stream::iter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::runtime::reflector::{reflector, store};

    fn object((name, version): (&str, &str)) -> Seen<ConfigMap> {
        let mut object = ConfigMap::default();
        object.metadata.name = Some(name.to_owned());
        object.metadata.namespace = Some("default".to_owned());
        object.metadata.resource_version = Some(version.to_owned());
        Seen::new(&object)
    }

    fn list(objects: &[(&str, &str)]) -> Vec<watcher::Result<Event<Seen<ConfigMap>>>> {
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
        let mut events = list(&[("a", "1"), ("b", "1"), ("c", "1")]);
        events.push(Ok(Event::Apply(object(("a", "2")))));
        events.push(Err(watcher::Error::NoResourceVersion));
        // One that breaks off tells nothing.
        events.extend(list(&[("d", "1")]).into_iter().take(2));
        events.extend(list(&[("a", "2"), ("b", "3"), ("d", "1")]));
        events.push(Ok(Event::Delete(object(("d", "1")))));
        let (store, writer) = store();
        let events = reflector(writer, stream::iter(events));
        let told =
            changes(store, events).map(|object| format!("{} {}", object.name, object.version));
        let mut told: Vec<_> = told.collect().await;
        told[..3].sort();
        assert_eq!(
            told,
            ["a 1", "b 1", "c 1", "a 2", "b 3", "d 1", "c 1", "d 1"]
        );
    }
}
