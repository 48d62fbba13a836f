//! Watches ModelServices and all that belongs to them, and reconciles what was touched.

use crate::api::ModelService;
use crate::apply::{Applied, Applier, Owner};
use crate::backoff::{self, Backoff, WatchBackoff};
use crate::caches::{self, Caches, Source};
use crate::clients::Clients;
use crate::error::{Error, Retry};
use crate::leadership::Leadership;
use crate::meta;
use crate::metrics::Metrics;
use crate::observe::observe;
use crate::plan::{Plan, Settings};
use crate::render::{Children, render};
use crate::settled::{Scene, Settled};
use crate::status::{Verdict, publish::publish, status, was_settled};
use crate::turns::Turns;
use crate::validate::validate;
use crate::world::World;
use futures::{FutureExt, Stream, StreamExt};
use kube::runtime::WatchStreamExt;
use kube::runtime::controller::{Action, Controller};
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, ResourceExt};
use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// After this long a reconcile is given up, so that an API server that never answers cannot
/// wedge a ModelService. Shorter than a pod's termination grace.
const DEADLINE: Duration = Duration::from_secs(25);

/// What every reconcile needs.
struct Context {
    client: Client,
    store: Store<ModelService>,
    leadership: Leadership,
    turns: Turns,
    caches: Arc<Caches>,
    ready: watch::Receiver<bool>,
    applier: Applier,
    settings: Settings,
    metrics: Metrics,
    recorder: Recorder,
    backoff: Backoff,
    settled: Settled,
    /// Told when what the watch says of ModelServices cannot be true.
    stale: Arc<Notify>,
}

/// What is to be done, and who is told of it.
#[derive(Debug)]
pub struct Work {
    /// Time until everything is listed again.
    pub relist: Duration,
    /// What the administrator decides.
    pub settings: Settings,
    /// What is counted.
    pub metrics: Metrics,
    /// Set once the caches are full.
    pub ready: watch::Sender<bool>,
}

/// Runs until `shutdown` completes and the reconciles under way have ended. The caches fill at
/// once, and `ready` is set when they are full; reconciles begin when this operator leads.
pub async fn run(
    clients: Clients,
    work: Work,
    shutdown: impl Future<Output = ()> + Clone + Send + Sync + 'static,
) {
    let source = Source {
        client: clients.watch.clone(),
        relist: work.relist,
    };
    let (caches, triggers, all_triggers) = caches::start(&source);
    let caches = Arc::new(caches);
    let (store, writer) = reflector::store();
    let context = Context::new(clients, &work, store.clone(), Arc::clone(&caches));
    let context = Arc::new(context);
    let services = services(source, writer, Arc::clone(&context));
    // Without a limit of its own: turns limit what runs at once, and fairly.
    let reconciles = Controller::for_stream(services, store.clone())
        .reconcile_on(triggers)
        .reconcile_all_on(all_triggers)
        .graceful_shutdown_on(end(shutdown.clone(), Arc::clone(&context)))
        .run(
            reconcile,
            |ms, error, context| retry(&ms, error, &context),
            context,
        )
        .for_each(|result| async {
            if let Err(error) = result {
                tracing::debug!(%error, "controller");
            }
        });
    tokio::select! {
        biased;
        () = ended_before_the_first(shutdown.clone(), store) => {}
        () = fill(&caches, work.ready, shutdown) => {}
        () = reconciles => {}
    }
}

/// Says once that the caches are full; from `shutdown` on nobody fills them any more, and who waits for
/// that is told. Never done.
async fn fill(caches: &Caches, ready: watch::Sender<bool>, shutdown: impl Future<Output = ()>) {
    tokio::select! {
        biased;
        () = shutdown => drop(ready),
        () = caches.wait_until_ready() => {
            ready.send_replace(true);
            tracing::info!("all caches are filled");
        }
    }
    std::future::pending::<()>().await;
}

/// Done at `shutdown` if the ModelServices are not known by then: no reconcile has begun, and the
/// controller would wait for ever for a list that nobody makes any more.
async fn ended_before_the_first(shutdown: impl Future<Output = ()>, store: Store<ModelService>) {
    shutdown.await;
    if store.wait_until_ready().now_or_never().is_some() {
        std::future::pending::<()>().await;
    }
}

/// The ModelServices that are new or changed, all of which `writer` keeps.
fn services(
    source: Source,
    writer: Writer<ModelService>,
    context: Arc<Context>,
) -> impl Stream<Item = watcher::Result<ModelService>> {
    let api = Api::all(source.client);
    let stale = Arc::clone(&context.stale);
    let watch = move || {
        let stale = Arc::clone(&stale);
        watcher(api.clone(), caches::config()).take_until(stale.notified_owned())
    };
    caches::anew(source.relist, watch)
        .modify(prune)
        .backoff(WatchBackoff::default())
        .reflect(writer)
        .inspect(forget_deleted(context))
        .applied_objects()
}

/// Nobody asks who wrote what, nor what `kubectl apply` was given last.
fn prune(ms: &mut ModelService) {
    ms.metadata.managed_fields = None;
    ms.annotations_mut()
        .remove("kubectl.kubernetes.io/last-applied-configuration");
}

/// Done at `shutdown`, when those that wait for their turn need not wait any more.
async fn end(shutdown: impl Future<Output = ()>, context: Arc<Context>) {
    shutdown.await;
    context.turns.close();
}

/// Frees what was remembered of ModelServices that are gone: at once of one whose deletion was
/// told, and after each list of those whose deletion was not.
fn forget_deleted(context: Arc<Context>) -> impl FnMut(&watcher::Result<Event<ModelService>>) {
    move |event| match event {
        Ok(Event::Delete(ms)) => context.forget(ms),
        Ok(Event::InitDone) => context.forget_all_but(&context.store.state()),
        Ok(Event::Init | Event::InitApply(_) | Event::Apply(_)) => {}
        Err(error) => tracing::warn!(%error, kind = "ModelService", "watch interrupted"),
    }
}

impl Context {
    fn new(clients: Clients, work: &Work, store: Store<ModelService>, caches: Arc<Caches>) -> Self {
        Self {
            applier: Applier::new(clients.work.clone()),
            recorder: Recorder::new(clients.work.clone(), Reporter::from(meta::MANAGER)),
            client: clients.work,
            store,
            leadership: clients.leadership,
            turns: Turns::default(),
            caches,
            ready: work.ready.subscribe(),
            backoff: Backoff::default(),
            settled: Settled::default(),
            stale: Arc::default(),
            settings: work.settings.clone(),
            metrics: work.metrics.clone(),
        }
    }

    fn forget(&self, ms: &ModelService) {
        let uid = ms.uid().unwrap_or_default();
        self.applier.retain(|known| known != uid);
        self.settled.retain(|known| known != uid);
        self.backoff.reset(&uid);
        let name = (ms.namespace().unwrap_or_default(), ms.name_any());
        self.metrics.forget(&name);
    }

    fn forget_all_but(&self, living: &[Arc<ModelService>]) {
        let uids: HashSet<_> = living.iter().filter_map(|ms| ms.uid()).collect();
        let name = |ms: &Arc<ModelService>| (ms.namespace().unwrap_or_default(), ms.name_any());
        self.applier.retain(|known| uids.contains(known));
        self.settled.retain(|known| uids.contains(known));
        self.backoff.retain(|known| uids.contains(known));
        self.metrics
            .forget_all_but(&living.iter().map(name).collect());
    }
}

/// Waits for its turn, and reconciles what the ModelService is by then.
async fn reconcile(ms: Arc<ModelService>, context: Arc<Context>) -> Result<Action, Arc<Error>> {
    let pause = context.backoff.pause(&ms.uid().unwrap_or_default());
    if !pause.is_zero() {
        return Ok(Action::requeue(pause));
    }
    let waiting = context.metrics.wait();
    context.leadership.begin().await;
    let namespace = ms.namespace().unwrap_or_default();
    let turn = context.turns.take(&namespace).await;
    drop(waiting);
    match (turn, context.store.get(&ObjectRef::from_obj(&*ms))) {
        // Thousands may wait: only what runs is worth its memory.
        (Some(_turn), Some(ms)) => Box::pin(guarded(ms, context)).await,
        // The operator ends, or the ModelService is gone.
        _ => Ok(Action::await_change()),
    }
}

/// One reconcile: bounded in time, a panic contained.
async fn guarded(ms: Arc<ModelService>, context: Arc<Context>) -> Result<Action, Arc<Error>> {
    let _guard = context.metrics.reconcile();
    let work = AssertUnwindSafe(settle(&ms, &context)).catch_unwind();
    let outcome = tokio::time::timeout(DEADLINE, work).await;
    let outcome = outcome.map_err(|_| Error::Deadline {
        seconds: DEADLINE.as_secs(),
    })?;
    let next = outcome.map_err(|panic| Error::Panicked {
        message: panic_message(panic.as_ref()),
    })??;
    context.backoff.reset(&ms.uid().unwrap_or_default());
    Ok(Action::requeue(next))
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default()
}

/// ModelService ─observe→ World ─validate→ Plan ─render→ Children ─apply→ Children<Applied> ─status→
async fn settle(ms: &ModelService, context: &Context) -> Result<Duration, Arc<Error>> {
    if ms.metadata.deletion_timestamp.is_some() {
        // The garbage collector takes the children.
        return Ok(backoff::resync());
    }
    let mut ready = context.ready.clone();
    if ready.wait_for(|ready| *ready).await.is_err() {
        // The operator ends before it has seen everything.
        return Ok(backoff::resync());
    }
    let world = observe(&context.client, &context.caches, ms).await?;
    let (uid, scene) = (ms.uid().unwrap_or_default(), Scene::new(ms, &world));
    if context.settled.holds(&uid, scene) {
        return Ok(next_look(ms));
    }
    let outcome = converge(ms, context, &world).await;
    let is_news = report(ms, context, &world, &outcome).await?;
    let (_, children) = outcome?;
    if !is_news && children.were_as_wanted() {
        context.settled.note(&uid, scene);
    }
    match children.failure() {
        Some(error) => Err(Arc::clone(error)),
        // No watch tells when somebody else's object goes.
        None if children.has_conflict() => Ok(RECHECK),
        None => Ok(next_look(ms)),
    }
}

/// Time until a ModelService is looked at again of which nothing is left to do.
fn next_look(ms: &ModelService) -> Duration {
    // No watch tells when an alias moves.
    match ms.spec.model.is_known_to_pods_only() {
        true => ASK_AGAIN,
        false => backoff::resync(),
    }
}

/// What was planned and became of it.
type Outcome = Result<(Plan, Children<Applied>), Error>;

/// Says in the status what came of a reconcile; whether that is news.
async fn report(
    ms: &ModelService,
    context: &Context,
    world: &World,
    outcome: &Outcome,
) -> Result<bool, Error> {
    let verdict = match outcome {
        Ok((plan, children)) => Verdict::Applied(plan, children),
        Err(error) => Verdict::Failed(error),
    };
    let Some(statement) = status(ms, world, &verdict) else {
        return Ok(true);
    };
    let status = publish(&context.client, &context.recorder, ms, &statement).await?;
    let Some(status) = status else {
        context.stale.notify_waiters();
        return Ok(true);
    };
    let planned = outcome.as_ref().map(|(plan, _)| plan.replicas);
    let wanted = planned.unwrap_or(ms.spec.replicas);
    context.metrics.observe(ms, wanted, &status);
    Ok(ms.status.as_ref() != Some(&status))
}

async fn converge(ms: &ModelService, context: &Context, world: &World) -> Outcome {
    let plan = validate(ms, world, &context.settings)?;
    let uid = ms.uid().unwrap_or_default();
    let owner = Owner {
        namespace: &plan.id.namespace,
        name: &plan.id.name,
        uid: &uid,
        settled: was_settled(ms),
    };
    let children = context.applier.apply(owner, render(&plan), world).await?;
    Ok((plan, children))
}

/// What follows a failed reconcile.
fn retry(ms: &ModelService, error: &Error, context: &Context) -> Action {
    let (namespace, name) = (ms.namespace().unwrap_or_default(), ms.name_any());
    context.metrics.failed(error.category());
    tracing::warn!(
        namespace,
        name,
        category = error.category().as_str(),
        error = error.chain(),
        "reconcile failed"
    );
    if error.is_about_another_incarnation() {
        context.stale.notify_waiters();
    }
    match error.retry() {
        // Not never: what the spec refers to may appear without an event.
        Retry::OnChange => Action::requeue(RECHECK),
        Retry::WithBackoff => {
            Action::requeue(context.backoff.after_failure(&ms.uid().unwrap_or_default()))
        }
    }
}

/// Time until pods are asked again what they serve.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// Time until what waits for somebody else's object is looked at again: a ConfigMap that is to
/// appear, or an object of our name that is to go.
const RECHECK: Duration = Duration::from_secs(15);
