//! Watches that never end, each with its own backoff, reflected into stores of what is kept.

use super::availability::is_unknown_kind;
use super::changes::changes;
use crate::api::ModelService;
use crate::backoff::{self, WatchBackoff};
use crate::meta;
use crate::seen::{Details, Seen};
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use kube::runtime::reflector::{ObjectRef, Store, reflector, store};
use kube::runtime::watcher::{self, Config, Event};
use kube::runtime::{WatchStreamExt, watcher as watch_kind};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::time::Duration;

/// Where watches come from, and after how long they begin anew.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "the client has none")]
pub struct Source {
    /// For watches.
    pub client: Client,
    /// Time until everything is listed again though no watch has ended: an event that gets lost on
    /// its way is never told again.
    pub relist: Duration,
}

/// Of every watch.
pub fn config() -> Config {
    Config::default().timeout(60).page_size(100)
}

/// Only what we made ourselves: other people's objects cost nothing.
pub(super) fn ours() -> Config {
    let label = format!("{}={}", meta::MANAGED_BY, meta::MANAGER);
    config().labels(&label)
}

/// A watch that begins anew, with a list, after about `relist`.
pub fn anew<S: Stream>(relist: Duration, watch: impl Fn() -> S) -> impl Stream<Item = S::Item> {
    let end = move || tokio::time::sleep(backoff::jittered(relist));
    stream::repeat_with(move || watch().take_until(end())).flatten()
}

/// The ModelServices to which objects belong that differ from what the store held.
pub(super) type Changed = BoxStream<'static, Option<ObjectRef<ModelService>>>;

/// Watches objects of type `O`, and keeps `Seen<K, D>` of each. The store fills as the stream is
/// polled. `note` is told of every answer, once the store has it.
pub(super) fn watch<O, K, D>(
    source: &Source,
    config: Config,
    mut note: impl FnMut(&watcher::Result<Event<Seen<K, D>>>) + Send + 'static,
) -> (Store<Seen<K, D>>, Changed)
where
    O: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
    K: Resource<DynamicType = ()> + Clone + 'static,
    D: Details<O> + Clone + Send + Sync + 'static,
{
    let (store, writer) = store();
    let api = Api::<O>::all(source.client.clone());
    let answers = anew(source.relist, move || {
        watch_kind(api.clone(), config.clone())
    });
    let seen = answers
        .map(|answer| answer.map(|event| map(event, |object| Seen::new(&object))))
        .backoff(WatchBackoff::default());
    let seen = reflector(writer, seen).inspect(move |answer| {
        note(answer);
        log::<K, _>(answer);
    });
    let differs = |a: &Seen<K, D>, b: &Seen<K, D>| a.version != b.version;
    let changed = changes(store.clone(), differs, Seen::owner, seen);
    (store, changed.boxed())
}

fn map<O, S>(event: Event<O>, keep: impl FnOnce(O) -> S) -> Event<S> {
    match event {
        Event::Apply(object) => Event::Apply(keep(object)),
        Event::Delete(object) => Event::Delete(keep(object)),
        Event::Init => Event::Init,
        Event::InitApply(object) => Event::InitApply(keep(object)),
        Event::InitDone => Event::InitDone,
    }
}

fn log<K: Resource<DynamicType = ()>, S>(answer: &watcher::Result<Event<S>>) {
    match answer {
        Err(error) if is_unknown_kind(error) => {
            tracing::debug!(kind = %K::kind(&()), "the API server does not know this kind");
        }
        Err(error) => tracing::warn!(kind = %K::kind(&()), %error, "watch interrupted"),
        Ok(_) => {}
    }
}
