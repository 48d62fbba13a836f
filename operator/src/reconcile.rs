//! One look at a ModelService: from what is seen of it to its status.

use crate::api::ModelService;
use crate::apply::{self, Applied, Applier, Owner};
use crate::backoff::{self, Backoff};
use crate::caches::Caches;
use crate::clients::Clients;
use crate::controller::Work;
use crate::error::{Error, Retry};
use crate::metrics::Metrics;
use crate::observe::observe;
use crate::plan::{Plan, Settings};
use crate::queue::Id;
use crate::render::{Children, render};
use crate::settled::{Scene, Settled};
use crate::status::{Verdict, publish::Publisher, status, was_settled};
use crate::validate::validate;
use crate::world::World;
use futures::FutureExt;
use kube::runtime::reflector::Store;
use kube::{Client, ResourceExt};
use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// After this long a reconcile is given up, so that an API server that never answers cannot
/// wedge a ModelService. Shorter than a pod's termination grace.
const DEADLINE: Duration = Duration::from_secs(25);

/// What every reconcile needs.
pub(crate) struct Context {
    client: Client,
    store: Store<ModelService>,
    caches: Arc<Caches>,
    applier: Applier,
    settings: Settings,
    pub(crate) metrics: Metrics,
    publisher: Publisher,
    backoff: Backoff,
    settled: Settled,
    /// Told when what the watch says of ModelServices cannot be true.
    pub(crate) stale: Arc<Notify>,
}

impl Context {
    pub(crate) fn new(
        clients: Clients,
        work: &Work,
        store: Store<ModelService>,
        caches: Arc<Caches>,
    ) -> Self {
        Self {
            applier: Applier::new(clients.work.clone()),
            publisher: Publisher::new(clients.work.clone(), work.now),
            client: clients.work,
            store,
            caches,
            backoff: Backoff::default(),
            settled: Settled::default(),
            stale: Arc::default(),
            settings: work.settings.clone(),
            metrics: work.metrics.clone(),
        }
    }

    /// Frees what was remembered of a ModelService that is gone.
    pub(crate) fn forget(&self, ms: &ModelService) {
        let uid = ms.uid().unwrap_or_default();
        self.applier.retain(|known| known != uid);
        self.settled.retain(|known| known != uid);
        self.backoff.reset(&uid);
        let name = (ms.namespace().unwrap_or_default(), ms.name_any());
        self.metrics.forget(&name);
    }

    /// Frees what was remembered of all but these.
    pub(crate) fn forget_all_but(&self, living: &[Arc<ModelService>]) {
        let uids: HashSet<_> = living.iter().filter_map(|ms| ms.uid()).collect();
        let name = |ms: &Arc<ModelService>| (ms.namespace().unwrap_or_default(), ms.name_any());
        self.applier.retain(|known| uids.contains(known));
        self.settled.retain(|known| uids.contains(known));
        self.backoff.retain(|known| uids.contains(known));
        self.metrics
            .forget_all_but(&living.iter().map(name).collect());
    }
}

/// Reconciles what a ModelService is by now. Time until it is to be looked at again; None if it is gone.
pub(crate) async fn reconcile(id: &Id, context: &Context) -> Option<Duration> {
    let Some(ms) = context.store.get(id) else {
        let name = (id.namespace.clone().unwrap_or_default(), id.name.clone());
        context.metrics.forget(&name);
        return None;
    };
    let pause = context.backoff.pause(&ms.uid().unwrap_or_default());
    if !pause.is_zero() {
        return Some(pause);
    }
    let next = guarded(&ms, context).await;
    Some(next.unwrap_or_else(|error| retry(&ms, &error, context)))
}

/// One reconcile: bounded in time, a panic contained.
async fn guarded(ms: &ModelService, context: &Context) -> Result<Duration, Arc<Error>> {
    let _guard = context.metrics.reconcile();
    let work = AssertUnwindSafe(settle(ms, context)).catch_unwind();
    let outcome = tokio::time::timeout(DEADLINE, work).await;
    let outcome = outcome.map_err(|_| Error::Deadline {
        seconds: DEADLINE.as_secs(),
    })?;
    let next = outcome.map_err(|panic| Error::Panicked {
        message: panic_message(panic.as_ref()),
    })??;
    context.backoff.reset(&ms.uid().unwrap_or_default());
    Ok(next)
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
    let world = observe(&context.client, &context.caches, ms).await?;
    let (uid, scene) = (ms.uid().unwrap_or_default(), Scene::new(ms, &world));
    if context.settled.holds(&uid, scene) {
        return Ok(next_look(ms));
    }
    let outcome = converge(ms, context, &world).await;
    let is_news = report(ms, context, &world, &outcome).await?;
    let Done {
        children, swept, ..
    } = outcome?;
    if !is_news && children.were_as_wanted() && swept.is_ok() {
        context.settled.note(&uid, scene);
    }
    if let Some(error) = children.failure() {
        return Err(Arc::clone(error));
    }
    swept?;
    match children.has_conflict() {
        // No watch tells when somebody else's object goes.
        true => Ok(RECHECK),
        false => Ok(next_look(ms)),
    }
}

/// Time until a ModelService is looked at again of which nothing is left to do.
fn next_look(ms: &ModelService) -> Duration {
    // No watch tells when an alias moves, or when a ConfigMap of somebody else's changes.
    let model = &ms.spec.model;
    match (model.is_known_to_pods_only(), &model.source.config_map) {
        (true, _) => ASK_AGAIN,
        (false, Some(_)) => backoff::jittered(LOOK_AT_FILE),
        (false, None) => backoff::resync(),
    }
}

/// What was planned and became of it.
struct Done {
    plan: Plan,
    children: Children<Applied>,
    /// Whether what belongs to earlier configurations could be deleted, as far as it was to be.
    swept: Result<(), Error>,
}

type Outcome = Result<Done, Error>;

/// Says in the status what came of a reconcile; whether that is news.
async fn report(
    ms: &ModelService,
    context: &Context,
    world: &World,
    outcome: &Outcome,
) -> Result<bool, Error> {
    let verdict = match outcome {
        Ok(done) => Verdict::Applied(&done.plan, &done.children),
        Err(error) => Verdict::Failed(error),
    };
    let Some(statement) = status(ms, world, &verdict) else {
        return Ok(true);
    };
    let status = context.publisher.publish(ms, &statement).await?;
    let Some(status) = status else {
        context.stale.notify_waiters();
        return Ok(true);
    };
    let planned = outcome.as_ref().map(|done| done.plan.replicas);
    let wanted = planned.unwrap_or(ms.spec.replicas);
    context.metrics.observe(ms, wanted, &status);
    Ok(ms.status.as_ref() != Some(&status))
}

async fn converge(ms: &ModelService, context: &Context, world: &World) -> Outcome {
    let plan = validate(ms, world, &context.settings)?;
    let uid = ms.uid().unwrap_or_default();
    let config = plan.config_name();
    let owner = Owner {
        namespace: &plan.id.namespace,
        name: &plan.id.name,
        config: &config,
        uid: &uid,
        settled: was_settled(ms),
    };
    let children = context.applier.apply(owner, render(&plan), world).await?;
    let swept = match children.deployment {
        apply::Outcome::Unchanged => context.applier.sweep(owner, world).await,
        _ => Ok(()),
    };
    Ok(Done {
        plan,
        children,
        swept,
    })
}

/// Time until what failed is tried again.
fn retry(ms: &ModelService, error: &Error, context: &Context) -> Duration {
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
        Retry::OnChange => RECHECK,
        Retry::WithBackoff => context.backoff.after_failure(&ms.uid().unwrap_or_default()),
    }
}

/// Time until pods are asked again what they serve.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// About the time until the ConfigMap with a model file is looked at again: within five minutes.
const LOOK_AT_FILE: Duration = Duration::from_secs(240);

/// Time until what waits for somebody else's object is looked at again: a ConfigMap that is to
/// appear, or an object of our name that is to go.
const RECHECK: Duration = Duration::from_secs(15);
