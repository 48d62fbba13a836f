//! Watches of everything that belongs to ModelServices, each with its own backoff: a kind that
//! cannot be watched delays no other.

mod changes;
mod prune;

use self::changes::changes;
use crate::api::ModelService;
use crate::backoff::{self, WatchBackoff};
use crate::meta;
use crate::prometheus_operator::{Prometheus, PrometheusRule, ServiceMonitor};
use crate::rejection;
use crate::selection::Prometheuses;
use crate::world::{Apis, Live};
use futures::stream::{BoxStream, SelectAll};
use futures::{Stream, StreamExt, future, stream};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ConfigMap, Event as KubeEvent, Namespace, Pod, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch_kind};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// What the watches have seen.
#[derive(Debug)]
pub struct Caches {
    config_maps: Store<PartialObjectMeta<ConfigMap>>,
    services: Store<PartialObjectMeta<Service>>,
    deployments: Store<Deployment>,
    disruption_budgets: Store<PartialObjectMeta<PodDisruptionBudget>>,
    autoscalers: Store<PartialObjectMeta<HorizontalPodAutoscaler>>,
    network_policies: Store<PartialObjectMeta<NetworkPolicy>>,
    pods: Store<Pod>,
    service_monitors: Optional<ServiceMonitor>,
    prometheus_rules: Optional<PrometheusRule>,
    prometheuses: Store<Prometheus>,
    rejections: Store<KubeEvent>,
    namespaces: Store<PartialObjectMeta<Namespace>>,
}

/// A kind that the API server may not know.
#[derive(Debug)]
struct Optional<K: Resource<DynamicType = ()> + 'static> {
    store: Store<PartialObjectMeta<K>>,
    availability: Arc<Availability>,
}

/// Whether the API server knows a kind: as the newest answer to its watch says.
#[derive(Debug, Default)]
struct Availability(AtomicU8);

impl Availability {
    const ABSENT: u8 = 1;
    const PRESENT: u8 = 2;

    /// Notes an answer; true if it differs from what was known before.
    fn note<K>(&self, answer: &watcher::Result<Event<K>>) -> bool {
        let now = match answer {
            Ok(Event::Init | Event::InitApply(_)) => return false,
            Ok(Event::InitDone | Event::Apply(_) | Event::Delete(_)) => Self::PRESENT,
            Err(error) if is_unknown_kind(error) => Self::ABSENT,
            // Any other fault says nothing about the kind; but nothing waits for it at the start.
            Err(_) if self.is_known() => return false,
            Err(_) => Self::ABSENT,
        };
        self.0.swap(now, Ordering::AcqRel) != now
    }

    fn is_known(&self) -> bool {
        self.0.load(Ordering::Acquire) != 0
    }

    fn is_present(&self) -> bool {
        self.0.load(Ordering::Acquire) == Self::PRESENT
    }
}

fn is_unknown_kind(error: &watcher::Error) -> bool {
    let source = match error {
        watcher::Error::InitialListFailed(source)
        | watcher::Error::WatchStartFailed(source)
        | watcher::Error::WatchFailed(source) => source,
        watcher::Error::WatchError(status) => return status.code == 404,
        watcher::Error::NoResourceVersion => return false,
    };
    matches!(source, kube::Error::Api(status) if status.code == 404)
}

/// Why a ModelService may have to be looked at again.
pub type Triggers = SelectAll<BoxStream<'static, ObjectRef<ModelService>>>;
/// Why all of them may have to be.
pub type AllTriggers = SelectAll<BoxStream<'static, ()>>;

/// Starts every watch. The caches fill while the triggers are polled.
pub fn start(source: &Source) -> (Caches, Triggers, AllTriggers) {
    let mut triggers = SelectAll::new();
    let mut all = SelectAll::new();
    let (prometheuses, touched) = of_others::<Prometheus>(source, prune::metadata);
    all.push(touched.boxed());
    let (namespaces, touched) = of_others(source, prune::namespace);
    // There are many, their labels hardly ever change, and a resync sees that too.
    all.push(touched.filter(|()| future::ready(false)).boxed());
    let (rejections, told) = watch(source, config().fields(rejection::FIELDS), rejection::prune);
    triggers.push(about(logged(told)).boxed());
    let caches = Caches {
        rejections,
        config_maps: metadata(source, &mut triggers),
        services: metadata(source, &mut triggers),
        deployments: full(source, &mut triggers, prune::deployment),
        disruption_budgets: metadata(source, &mut triggers),
        autoscalers: metadata(source, &mut triggers),
        network_policies: metadata(source, &mut triggers),
        pods: full(source, &mut triggers, prune::pod),
        service_monitors: optional(source, &mut triggers, &mut all),
        prometheus_rules: optional(source, &mut triggers, &mut all),
        prometheuses,
        namespaces,
    };
    (caches, triggers, all)
}

/// Only what we made ourselves: other people's objects cost nothing.
fn ours() -> watch_kind::Config {
    let label = format!("{}={}", meta::MANAGED_BY, meta::MANAGER);
    config().labels(&label)
}

/// Of every watch.
pub fn config() -> watch_kind::Config {
    watch_kind::Config::default().timeout(60).page_size(100)
}

fn full<K>(source: &Source, triggers: &mut Triggers, prune: fn(&mut K)) -> Store<K>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    let (store, events) = watch::<K>(source, ours(), prune);
    triggers.push(owners(store.clone(), logged(events)).boxed());
    store
}

fn metadata<K>(source: &Source, triggers: &mut Triggers) -> Store<PartialObjectMeta<K>>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
{
    full(source, triggers, prune::metadata)
}

fn optional<K>(source: &Source, triggers: &mut Triggers, all: &mut AllTriggers) -> Optional<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
{
    let (store, events) = watch(source, ours(), |object: &mut PartialObjectMeta<K>| {
        rejection::keep_newest_write(object.meta_mut());
    });
    let availability = Arc::<Availability>::default();
    let (changed, told) = futures::channel::mpsc::unbounded();
    let noted = Arc::clone(&availability);
    let events = events.inspect(move |answer| {
        if noted.note(answer) {
            // The receiver lives as long as the controller.
            let _ = changed.unbounded_send(());
        }
    });
    triggers.push(owners(store.clone(), logged(events)).boxed());
    all.push(told.boxed());
    Optional {
        store,
        availability,
    }
}

/// What others make, and when it changes; perhaps the operator may not see it.
fn of_others<K>(source: &Source, prune: fn(&mut K)) -> (Store<K>, impl Stream<Item = ()> + use<K>)
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    let (store, events) = watch(source, config(), prune);
    let touched = changes(store.clone(), logged(events)).map(drop);
    (store, touched)
}

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

/// A watch that begins anew, with a list, after about `relist`.
pub fn anew<S: Stream>(relist: Duration, watch: impl Fn() -> S) -> impl Stream<Item = S::Item> {
    let end = move || tokio::time::sleep(backoff::jittered(relist));
    stream::repeat_with(move || watch().take_until(end())).flatten()
}

/// A watch that never ends, its backoff its own, reflected into a store.
fn watch<K>(
    source: &Source,
    config: watch_kind::Config,
    prune: fn(&mut K),
) -> (
    Store<K>,
    impl Stream<Item = watcher::Result<Event<K>>> + use<K>,
)
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    K::DynamicType: Eq + Hash + Clone,
{
    let (store, writer) = reflector::store();
    let api = Api::<K>::all(source.client.clone());
    let events = anew(source.relist, move || {
        watch_kind(api.clone(), config.clone())
    })
    .modify(prune)
    .backoff(WatchBackoff::default())
    .reflect(writer);
    (store, events)
}

fn logged<K: Resource<DynamicType = ()>>(
    events: impl Stream<Item = watcher::Result<Event<K>>>,
) -> impl Stream<Item = watcher::Result<Event<K>>> {
    events.inspect(|answer| match answer {
        Err(error) if is_unknown_kind(error) => {
            tracing::debug!(kind = %K::kind(&()), "the API server does not know this kind");
        }
        Err(error) => tracing::warn!(kind = %K::kind(&()), %error, "watch interrupted"),
        Ok(_) => {}
    })
}

/// The ModelServices that objects belong to which changed.
fn owners<K>(
    store: Store<K>,
    events: impl Stream<Item = watcher::Result<Event<K>>>,
) -> impl Stream<Item = ObjectRef<ModelService>>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    changes(store, events).filter_map(|object| future::ready(owner(&*object)))
}

/// The ModelServices whose monitoring objects an event is about: those have their names.
fn about(
    events: impl Stream<Item = watcher::Result<Event<KubeEvent>>>,
) -> impl Stream<Item = ObjectRef<ModelService>> {
    events.touched_objects().filter_map(|event| {
        let about = event.ok().map(|event| event.involved_object);
        let name = about.and_then(|about| Some((about.name?, about.namespace?)));
        future::ready(name.map(|(name, namespace)| ObjectRef::new(&name).within(&namespace)))
    })
}

/// The ModelService that an object belongs to: its owner, or for pods, which ReplicaSets own, the
/// one that their label names.
fn owner<K: Resource>(object: &K) -> Option<ObjectRef<ModelService>> {
    let owners = object.meta().owner_references.iter().flatten();
    let owner = owners
        .filter(|owner| owner.kind == "ModelService")
        .map(|owner| &owner.name)
        .next();
    let name = owner.or_else(|| object.meta().labels.as_ref()?.get(meta::INSTANCE))?;
    Some(ObjectRef::new(name).within(object.meta().namespace.as_deref()?))
}

impl Caches {
    /// Waits until every cache has its first list, and every optional kind its first answer.
    ///
    /// To be called once: kube's stores wake only the last of several waiters.
    pub async fn wait_until_ready(&self) {
        // An error says that a watch ended, which none does before the process.
        let _ = self.config_maps.wait_until_ready().await;
        let _ = self.services.wait_until_ready().await;
        let _ = self.deployments.wait_until_ready().await;
        let _ = self.disruption_budgets.wait_until_ready().await;
        let _ = self.autoscalers.wait_until_ready().await;
        let _ = self.network_policies.wait_until_ready().await;
        let _ = self.pods.wait_until_ready().await;
        while !(self.service_monitors.availability.is_known()
            && self.prometheus_rules.availability.is_known())
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Which optional kinds the API server knows.
    pub fn apis(&self) -> Apis {
        Apis {
            service_monitors: self.service_monitors.availability.is_present(),
            prometheus_rules: self.prometheus_rules.availability.is_present(),
        }
    }

    /// The Prometheus servers, as far as the operator may see them, and the labels of a namespace.
    pub fn prometheuses(&self, namespace: &str) -> Prometheuses {
        match self.namespaces.get(&ObjectRef::new(namespace)) {
            Some(found) => Prometheuses {
                servers: self.prometheuses.state(),
                namespace_labels: found.labels().clone(),
            },
            // Whom a server that selects by them takes is not known.
            None => Prometheuses::default(),
        }
    }

    /// Why the Prometheus operator refuses a monitoring object of a ModelService, if it does.
    pub fn rejection(&self, live: &Live) -> Option<String> {
        let of = |kind, live: &Option<ObjectMeta>| {
            let live = live.as_ref()?;
            let event = self
                .rejections
                .find(|event| rejection::refuses(event, kind, live))?;
            Some(event.message.clone().unwrap_or_default())
        };
        of("ServiceMonitor", &live.service_monitor)
            .or_else(|| of("PrometheusRule", &live.prometheus_rule))
    }

    /// The children of a ModelService that the watches have seen.
    pub fn live(&self, namespace: &str, name: &str) -> Live {
        let config = format!("{name}-config");
        let dashboard = format!("{name}-dashboard");
        Live {
            config_map: metadata_of(&self.config_maps, namespace, &config),
            service: metadata_of(&self.services, namespace, name),
            deployment: self
                .deployments
                .get(&ObjectRef::new(name).within(namespace)),
            disruption_budget: metadata_of(&self.disruption_budgets, namespace, name),
            autoscaler: metadata_of(&self.autoscalers, namespace, name),
            network_policy: metadata_of(&self.network_policies, namespace, name),
            service_monitor: metadata_of(&self.service_monitors.store, namespace, name),
            prometheus_rule: metadata_of(&self.prometheus_rules.store, namespace, name),
            dashboard: metadata_of(&self.config_maps, namespace, &dashboard),
        }
    }

    /// The pods of a ModelService that the watch has seen.
    pub fn pods(&self, namespace: &str, name: &str) -> Vec<Arc<Pod>> {
        let belongs = |pod: &Pod| {
            pod.metadata.namespace.as_deref() == Some(namespace)
                && pod
                    .labels()
                    .get(meta::INSTANCE)
                    .is_some_and(|instance| instance == name)
        };
        self.pods.state_filter(belongs)
    }
}

fn metadata_of<K>(store: &Store<K>, namespace: &str, name: &str) -> Option<ObjectMeta>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    Some(
        store
            .get(&ObjectRef::new(name).within(namespace))?
            .meta()
            .clone(),
    )
}
