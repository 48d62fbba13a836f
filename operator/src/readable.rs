//! ModelServices that this operator can read, of all that the API server has. One that it cannot, because the
//! definition of another version admits more, must not hide the others: a list is read as a whole.

use crate::api::ModelService;
use kube::core::DeserializeGuard;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::{self, Event};

/// A ModelService, or why it cannot be read.
pub type Guarded = DeserializeGuard<ModelService>;

/// What an answer says of ModelServices that can be read. The others, which `note` is told of, count as
/// gone: nothing is done about them, and what they had stays. `store` has what was known before.
pub fn readable(
    answer: watcher::Result<Event<Guarded>>,
    store: &Store<ModelService>,
    note: impl FnOnce(&InvalidObject),
) -> Option<watcher::Result<Event<ModelService>>> {
    let event = match answer {
        Ok(event) => event,
        Err(error) => return Some(Err(error)),
    };
    let readable = match event {
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
        Event::InitApply(DeserializeGuard(Ok(ms))) => Event::InitApply(ms),
        Event::Apply(DeserializeGuard(Ok(ms))) => Event::Apply(ms),
        Event::Delete(DeserializeGuard(Ok(ms))) => Event::Delete(ms),
        Event::InitApply(DeserializeGuard(Err(unreadable))) => {
            note(&unreadable);
            return None;
        }
        Event::Apply(DeserializeGuard(Err(unreadable))) => {
            note(&unreadable);
            gone(&unreadable, store)?
        }
        Event::Delete(DeserializeGuard(Err(unreadable))) => gone(&unreadable, store)?,
    };
    Some(Ok(readable))
}

fn gone(unreadable: &InvalidObject, store: &Store<ModelService>) -> Option<Event<ModelService>> {
    let metadata = &unreadable.metadata;
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    let known = ObjectRef::new(metadata.name.as_deref()?).within(namespace);
    store
        .get(&known)
        .map(|known| Event::Delete((*known).clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{StreamExt as _, stream};
    use kube::runtime::WatchStreamExt as _;
    use kube::runtime::reflector::store;
    use serde_json::json;

    fn guarded(name: &str, replicas: i64) -> Guarded {
        let spec =
            json!({"model": {"source": {"builtin": {"name": "diabetes"}}}, "replicas": replicas});
        let object = json!({"metadata": {"name": name, "namespace": "a"}, "spec": spec});
        serde_json::from_value(object).unwrap()
    }

    /// What the store holds after `events`, and which could not be read.
    async fn known(events: Vec<Event<Guarded>>) -> (Vec<String>, Vec<String>) {
        let (store, writer) = store();
        let mut unreadable = Vec::new();
        {
            let answers = stream::iter(events).filter_map(|event| {
                let note =
                    |object: &InvalidObject| unreadable.push(object.metadata.name.clone().unwrap());
                std::future::ready(readable(Ok(event), &store, note))
            });
            answers
                .reflect(writer)
                .for_each(|_| std::future::ready(()))
                .await;
        }
        let mut names: Vec<_> = store
            .state()
            .iter()
            .map(|ms| ms.metadata.name.clone().unwrap())
            .collect();
        names.sort();
        (names, unreadable)
    }

    #[tokio::test]
    async fn one_that_cannot_be_read_hides_no_other() {
        let huge = i64::from(i32::MAX) + 1;
        let list = [guarded("a", 1), guarded("b", huge), guarded("c", 2)];
        let list = list.into_iter().map(Event::InitApply);
        let events = [Event::Init]
            .into_iter()
            .chain(list)
            .chain([Event::InitDone]);
        let (names, unreadable) = known(events.collect()).await;
        assert_eq!(
            (names, unreadable),
            (vec!["a".into(), "c".into()], vec!["b".into()])
        );
    }

    #[tokio::test]
    async fn one_that_can_be_read_no_longer_counts_as_gone() {
        let huge = i64::from(i32::MAX) + 1;
        let before = [
            Event::Init,
            Event::InitApply(guarded("a", 1)),
            Event::InitDone,
        ];
        for end in [
            Event::Apply(guarded("a", huge)),
            Event::Delete(guarded("a", huge)),
        ] {
            let (names, _) = known([before.to_vec(), vec![end]].concat()).await;
            assert!(names.is_empty());
        }
    }
}
