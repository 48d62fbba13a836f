//! Watches of everything that belongs to ModelServices, each with its own backoff: a kind that
//! cannot be watched delays no other.

use crate::api::ModelService;
use crate::backoff::WatchBackoff;
use crate::meta;
use crate::prometheus_operator::{PrometheusRule, ServiceMonitor};
use crate::world::{Apis, Live};
use futures::stream::{BoxStream, SelectAll};
use futures::{Stream, StreamExt, future};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service};
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
    pods: Store<Pod>,
    service_monitors: Optional<ServiceMonitor>,
    prometheus_rules: Optional<PrometheusRule>,
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
pub fn start(client: &Client) -> (Caches, Triggers, AllTriggers) {
    let mut triggers = SelectAll::new();
    let mut all = SelectAll::new();
    let caches = Caches {
        config_maps: metadata(client, &mut triggers),
        services: metadata(client, &mut triggers),
        deployments: full(client, &mut triggers, |deployment: &mut Deployment| {
            deployment.managed_fields_mut().clear();
        }),
        pods: full(client, &mut triggers, prune_pod),
        service_monitors: optional(client, &mut triggers, &mut all),
        prometheus_rules: optional(client, &mut triggers, &mut all),
    };
    (caches, triggers, all)
}

/// Only what we made ourselves: other people's objects cost nothing.
fn config() -> watch_kind::Config {
    let label = format!("{}={}", meta::MANAGED_BY, meta::MANAGER);
    watch_kind::Config::default()
        .labels(&label)
        .timeout(60)
        .page_size(100)
}

/// Of a pod only its state is of interest.
fn prune_pod(pod: &mut Pod) {
    pod.managed_fields_mut().clear();
    pod.annotations_mut().clear();
    if let Some(spec) = &mut pod.spec {
        spec.volumes = None;
        spec.containers.clear();
        spec.tolerations = None;
    }
}

fn full<K>(client: &Client, triggers: &mut Triggers, prune: fn(&mut K)) -> Store<K>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    let (store, events) = watch::<K>(client, prune);
    triggers.push(owners(logged(events)).boxed());
    store
}

fn metadata<K>(client: &Client, triggers: &mut Triggers) -> Store<PartialObjectMeta<K>>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
{
    full(client, triggers, |object: &mut PartialObjectMeta<K>| {
        object.managed_fields_mut().clear();
    })
}

fn optional<K>(client: &Client, triggers: &mut Triggers, all: &mut AllTriggers) -> Optional<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
{
    let (store, events) = watch(client, |object: &mut PartialObjectMeta<K>| {
        object.managed_fields_mut().clear();
    });
    let availability = Arc::<Availability>::default();
    let (changed, changes) = futures::channel::mpsc::unbounded();
    let noted = Arc::clone(&availability);
    let events = events.inspect(move |answer| {
        if noted.note(answer) {
            // The receiver lives as long as the controller.
            let _ = changed.unbounded_send(());
        }
    });
    triggers.push(owners(logged(events)).boxed());
    all.push(changes.boxed());
    Optional {
        store,
        availability,
    }
}

/// A watch that never ends, its backoff its own, reflected into a store.
fn watch<K>(
    client: &Client,
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
    let events = watcher::watcher(Api::<K>::all(client.clone()), config())
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

/// The ModelServices that the touched objects belong to.
fn owners<K: Resource>(
    events: impl Stream<Item = watcher::Result<Event<K>>>,
) -> impl Stream<Item = ObjectRef<ModelService>> {
    events
        .touched_objects()
        .filter_map(|object| future::ready(object.ok().and_then(|o| owner(&o))))
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
            service_monitor: metadata_of(&self.service_monitors.store, namespace, name),
            prometheus_rule: metadata_of(&self.prometheus_rules.store, namespace, name),
            dashboard: metadata_of(&self.config_maps, namespace, &dashboard),
        }
    }

    /// The pods of a ModelService that the watch has seen.
    pub fn pods(&self, namespace: &str, name: &str) -> Vec<Arc<Pod>> {
        let belongs = |pod: &Pod| {
            pod.namespace().as_deref() == Some(namespace)
                && pod
                    .labels()
                    .get(meta::INSTANCE)
                    .is_some_and(|instance| instance == name)
        };
        self.pods
            .state()
            .into_iter()
            .filter(|pod| belongs(pod))
            .collect()
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
