//! Watches ModelServices and all that belongs to them, and has those reconciled that were touched.

use crate::api::ModelService;
use crate::backoff::WatchBackoff;
use crate::caches::{self, Caches, Source};
use crate::clients::Clients;
use crate::error::Category;
use crate::leadership::Leadership;
use crate::metrics::Metrics;
use crate::plan::Settings;
use crate::queue::{Id, Queue};
use crate::readable::readable;
use crate::reconcile::{Context, reconcile};
use futures::{Stream, StreamExt, stream};
use k8s_openapi::jiff::Timestamp;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::WatchStreamExt;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, ResourceExt};
use std::future::ready;
use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

/// What is to be done, and who is told of it.
#[derive(Debug)]
pub struct Work {
    /// Time until everything is listed again.
    pub relist: Duration,
    /// What the administrator decides.
    pub settings: Settings,
    /// What is counted.
    pub metrics: Metrics,
    /// The time of day.
    pub now: fn() -> Timestamp,
    /// Set once the caches are full.
    pub ready: watch::Sender<bool>,
}

/// Runs until `shutdown` completes and the reconciles under way have ended. The caches fill at
/// once, and `ready` is set when they are full; reconciles begin when this operator leads.
pub async fn run(clients: Clients, work: Work, shutdown: impl Future<Output = ()>) {
    let source = Source {
        client: clients.watch.clone(),
        relist: work.relist,
    };
    let (caches, triggers, all_triggers) = caches::start(&source);
    let caches = Arc::new(caches);
    let (store, writer) = reflector::store();
    let leadership = clients.leadership.clone();
    let context = Context::new(clients, &work, store.clone(), Arc::clone(&caches));
    let context = Arc::new(context);
    let services = services(source, (store.clone(), writer), Arc::clone(&context));
    let known = store.clone();
    let everything = all_triggers.flat_map(move |()| stream::iter(all(&known)));
    let touched = stream::select(services, stream::select(triggers, everything));
    let open = open(&store, &caches, &work.ready, &leadership);
    let look = |id| look(id, Arc::clone(&context));
    dispatch(touched, open, shutdown, &work.metrics, look).await;
}

/// Waits until everything is seen, says so, and waits until this operator leads; all ModelServices.
async fn open(
    store: &Store<ModelService>,
    caches: &Caches,
    ready: &watch::Sender<bool>,
    leadership: &Leadership,
) -> Vec<Id> {
    // An error says that the watch ended, which it does not before the process.
    let _ = store.wait_until_ready().await;
    caches.wait_until_ready().await;
    ready.send_replace(true);
    tracing::info!("all caches are filled");
    leadership.begin().await;
    all(store)
}

/// Has a `look` at what `open` names, when it is done, and from then on at what is `touched`, until
/// `end` is done; then waits for the looks under way. The caches fill while this is polled.
async fn dispatch<L>(
    touched: impl Stream<Item = Id>,
    open: impl Future<Output = Vec<Id>>,
    end: impl Future<Output = ()>,
    metrics: &Metrics,
    look: impl Fn(Id) -> L,
) where
    L: Future<Output = (Id, Option<Duration>)> + Send + 'static,
{
    let (mut touched, mut open, mut end) = (pin!(touched), pin!(open), pin!(end));
    let (mut queue, mut running, mut is_open) = (Queue::default(), JoinSet::new(), false);
    loop {
        tokio::select! {
            // News first, so that a reconcile begins with what is known by then.
            biased;
            () = &mut end => break,
            all = &mut open, if !is_open => {
                is_open = true;
                all.into_iter().for_each(|id| queue.touch(id));
            }
            // Until then nothing waits for this operator: it may be another's turn.
            Some(id) = touched.next() => if is_open { queue.touch(id) },
            Some(()) = queue.come() => {}
            Some(ended) = running.join_next() => {
                let (id, again) = outcome(ended);
                queue.done(id, again);
            }
        }
        while let Some(id) = queue.start() {
            running.spawn(look(id));
        }
        metrics.waiting(queue.waiting());
    }
    while running.join_next().await.is_some() {}
}

async fn look(id: Id, context: Arc<Context>) -> (Id, Option<Duration>) {
    let again = reconcile(&id, &context).await;
    (id, again)
}

fn outcome<T>(ended: Result<T, JoinError>) -> T {
    // Reconciles contain their panics, and nobody aborts them: the fault is the operator's, and a new
    // process is better than a ModelService that nobody looks at any more.
    ended.unwrap_or_else(|error| resume_unwind(error.into_panic()))
}

/// The ModelServices that are new, changed or gone, once `store` knows.
fn services(
    source: Source,
    (store, writer): (Store<ModelService>, Writer<ModelService>),
    context: Arc<Context>,
) -> impl Stream<Item = Id> {
    let api = Api::all(source.client);
    let stale = Arc::clone(&context.stale);
    let watch = move || {
        let stale = Arc::clone(&stale);
        watcher(api.clone(), caches::config()).take_until(stale.notified_owned())
    };
    let known = store.clone();
    let metrics = context.metrics.clone();
    let events = caches::anew(source.relist, watch)
        .filter_map(move |answer| ready(readable(answer, &known, |it| complain(it, &metrics))))
        .modify(prune)
        .backoff(WatchBackoff::default())
        .reflect(writer)
        .inspect(forget_deleted(store.clone(), context));
    let differs = |a: &ModelService, b: &ModelService| a.resource_version() != b.resource_version();
    caches::changes(store, differs, id, events)
}

fn complain(unreadable: &InvalidObject, metrics: &Metrics) {
    let InvalidObject { metadata, error } = unreadable;
    metrics.failed(Category::Unreadable);
    tracing::error!(
        namespace = metadata.namespace,
        name = metadata.name,
        error,
        "a ModelService cannot be read"
    );
}

fn all(store: &Store<ModelService>) -> Vec<Id> {
    let mut all: Vec<_> = store.state().iter().map(|ms| id(ms)).collect();
    // The store's own order cannot be repeated from a seed. One by name would have an operator that never
    // gets far keep those at the end of the alphabet waiting for ever.
    all.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    fastrand::shuffle(&mut all);
    all
}

fn id(ms: &ModelService) -> Id {
    ObjectRef::new(&ms.name_any()).within(&ms.namespace().unwrap_or_default())
}

/// Nobody asks who wrote what, nor what `kubectl apply` was given last.
fn prune(ms: &mut ModelService) {
    ms.metadata.managed_fields = None;
    ms.annotations_mut()
        .remove("kubectl.kubernetes.io/last-applied-configuration");
}

/// Frees what was remembered of ModelServices that are gone: at once of one whose deletion was
/// told, and after each list of those whose deletion was not.
fn forget_deleted(
    store: Store<ModelService>,
    context: Arc<Context>,
) -> impl FnMut(&watcher::Result<Event<ModelService>>) {
    move |event| match event {
        Ok(Event::Delete(ms)) => context.forget(ms),
        Ok(Event::InitDone) => context.forget_all_but(&store.state()),
        Ok(Event::Init | Event::InitApply(_) | Event::Apply(_)) => {}
        Err(error) => tracing::warn!(%error, kind = "ModelService", "watch interrupted"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;
    use std::sync::Mutex;
    use tokio::sync::oneshot;

    fn waiting(metrics: &Metrics) -> String {
        let text = String::from_utf8(metrics.text().unwrap()).unwrap();
        let line = text
            .lines()
            .find(|line| line.starts_with("modelservice_reconciles_waiting "));
        line.unwrap().to_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_waits_before_it_is_this_operators_turn_and_nothing_is_cut_off_at_the_end() {
        let ids = || (0..20).map(|number| Id::new(&number.to_string()).within("a"));
        let metrics = Metrics::new().unwrap();
        let looked = Arc::new(Mutex::new(0));
        let look = |id| {
            let looked = Arc::clone(&looked);
            async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                *looked.lock().unwrap() += 1;
                (id, None)
            }
        };
        let (opens, open) = oneshot::channel();
        let (ends, end) = oneshot::channel();
        let touched = stream::iter(ids()).chain(stream::pending());
        let open = open.map(|all: Result<Vec<Id>, _>| all.unwrap());
        let mut run = Box::pin(dispatch(touched, open, end.map(drop), &metrics, look));
        assert!((&mut run).now_or_never().is_none());
        assert_eq!(waiting(&metrics), "modelservice_reconciles_waiting 0");
        opens.send(ids().collect()).unwrap();
        assert!((&mut run).now_or_never().is_none());
        assert_eq!(waiting(&metrics), "modelservice_reconciles_waiting 8");
        ends.send(()).unwrap();
        run.await;
        assert_eq!(*looked.lock().unwrap(), 12, "those that had begun");
    }
}
