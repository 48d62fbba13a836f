//! Watches of everything that belongs to ModelServices: a kind that cannot be watched delays no other.

mod availability;
mod changes;
mod index;
mod watches;

pub(crate) use changes::changes;
pub use watches::{Source, anew, config};

use crate::api::ModelService;
use crate::prometheus_operator::{Prometheus, PrometheusRule, PrometheusSpec, ServiceMonitor};
use crate::rejection::{self, Rejection};
use crate::seen::{Details, Metadata, PodState, ReadPod, Seen};
use crate::selection::{Labels, Prometheuses, SeenPrometheus};
use crate::status::{ReadDeployment, Rollout};
use crate::world::{Apis, Live, LiveChild, SeenDeployment, SeenPod};
use availability::{Availability, is_refusal};
use futures::stream::{BoxStream, SelectAll};
use futures::{StreamExt, future};
use index::Index;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ConfigMap, Event as KubeEvent, Namespace, Pod, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::Resource;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::{self, Config, Event};
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::timeout;
use watches::{ours, watch};

/// What the watches have seen.
#[derive(Debug)]
pub struct Caches {
    config_maps: Several<ConfigMap>,
    services: Store<Seen<Service>>,
    deployments: Store<SeenDeployment>,
    disruption_budgets: Store<Seen<PodDisruptionBudget>>,
    autoscalers: Store<Seen<HorizontalPodAutoscaler>>,
    network_policies: Several<NetworkPolicy>,
    pods: Several<Pod, PodState>,
    service_monitors: Optional<ServiceMonitor>,
    prometheus_rules: Optional<PrometheusRule>,
    prometheuses: Store<SeenPrometheus>,
    rejections: Store<Seen<KubeEvent, Rejection>>,
    namespaces: Store<Seen<Namespace, Labels>>,
    /// Of what is of use and not needed.
    first_answers: [FirstAnswer; 3],
}

/// A kind of which a ModelService may have several objects.
#[derive(Debug)]
struct Several<K: Resource<DynamicType = ()> + 'static, D: 'static = ()> {
    store: Store<Seen<K, D>>,
    index: Index,
}

impl<K, D> Several<K, D>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
    D: Clone + 'static,
{
    /// Those of a ModelService, by name.
    fn of(&self, namespace: &str, service: &str) -> Vec<Arc<Seen<K, D>>> {
        let names = self.index.of(namespace, service).into_iter();
        let found = names.filter_map(|name| find(&self.store, namespace, &name));
        found
            .filter(|seen| seen.service.as_deref() == Some(service))
            .collect()
    }
}

/// A kind that the API server may not know.
#[derive(Debug)]
struct Optional<K: Resource<DynamicType = ()> + 'static> {
    store: Store<Seen<K>>,
    availability: Arc<Availability>,
}

/// Told when it is known which objects of a kind there are, or that the operator may not see them.
type FirstAnswer = Arc<Notify>;

/// Why a ModelService may have to be looked at again.
pub type Triggers = SelectAll<BoxStream<'static, ObjectRef<ModelService>>>;
/// Why all of them may have to be.
pub type AllTriggers = SelectAll<BoxStream<'static, ()>>;

/// For the first answer about what is of use and not needed.
const PATIENCE: Duration = Duration::from_secs(20);

/// Starts every watch. The caches fill while the triggers are polled.
pub fn start(source: &Source) -> (Caches, Triggers, AllTriggers) {
    let mut triggers = SelectAll::new();
    let mut all = SelectAll::new();
    let (prometheuses, prometheuses_known) = prometheuses(source, &mut all);
    let (rejections, rejections_known) = rejections(source, &mut triggers);
    let (namespaces, namespaces_known) = namespaces(source, &mut all);
    let caches = Caches {
        config_maps: several::<Metadata<ConfigMap>, _, _>(source, &mut triggers),
        services: metadata(source, &mut triggers),
        deployments: keep::<ReadDeployment, Deployment, Rollout>(
            source,
            ours(),
            &mut triggers,
            |_| {},
        ),
        disruption_budgets: metadata(source, &mut triggers),
        autoscalers: metadata(source, &mut triggers),
        network_policies: several::<Metadata<NetworkPolicy>, _, _>(source, &mut triggers),
        pods: several::<ReadPod, _, _>(source, &mut triggers),
        service_monitors: optional(source, &mut triggers, &mut all),
        prometheus_rules: optional(source, &mut triggers, &mut all),
        prometheuses,
        rejections,
        namespaces,
        first_answers: [prometheuses_known, rejections_known, namespaces_known],
    };
    (caches, triggers, all)
}

/// Keeps what is watched, and has the ModelServices looked at that it belongs to.
fn keep<O, K, D>(
    source: &Source,
    config: Config,
    triggers: &mut Triggers,
    note: impl FnMut(&watcher::Result<Event<Seen<K, D>>>) + Send + 'static,
) -> Store<Seen<K, D>>
where
    O: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
    K: Resource<DynamicType = ()> + Clone + 'static,
    D: Details<O> + Clone + Send + Sync + 'static,
{
    let (store, changed) = watch::<O, K, D>(source, config, note);
    triggers.push(changed.filter_map(future::ready).boxed());
    store
}

fn metadata<K>(source: &Source, triggers: &mut Triggers) -> Store<Seen<K>>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
{
    keep::<Metadata<K>, K, ()>(source, ours(), triggers, |_| {})
}

fn several<O, K, D>(source: &Source, triggers: &mut Triggers) -> Several<K, D>
where
    O: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
    K: Resource<DynamicType = ()> + Clone + 'static,
    D: Details<O> + Clone + Send + Sync + 'static,
{
    let index = Index::default();
    let noted = index.clone();
    let note = move |answer: &_| noted.note(answer);
    let store = keep::<O, K, D>(source, ours(), triggers, note);
    Several { store, index }
}

fn optional<K>(source: &Source, triggers: &mut Triggers, all: &mut AllTriggers) -> Optional<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
{
    let availability = Arc::<Availability>::default();
    let noted = Arc::clone(&availability);
    let (told, changes) = futures::channel::mpsc::unbounded();
    let note = move |answer: &_| {
        if noted.note(answer) {
            // The receiver lives as long as the controller.
            let _ = told.unbounded_send(());
        }
    };
    let store = keep::<Metadata<K>, K, ()>(source, ours(), triggers, note);
    all.push(changes.boxed());
    Optional {
        store,
        availability,
    }
}

/// What the Prometheus operator says about ours; perhaps the operator may not see it.
fn rejections(
    source: &Source,
    triggers: &mut Triggers,
) -> (Store<Seen<KubeEvent, Rejection>>, FirstAnswer) {
    let config = config().fields(rejection::FIELDS);
    let (note, known) = first_answer();
    let store = keep::<KubeEvent, KubeEvent, Rejection>(source, config, triggers, note);
    (store, known)
}

/// Perhaps the operator may not see them.
fn prometheuses(source: &Source, all: &mut AllTriggers) -> (Store<SeenPrometheus>, FirstAnswer) {
    let (note, known) = first_answer();
    let (store, changed) = watch::<Prometheus, Prometheus, PrometheusSpec>(source, config(), note);
    all.push(changed.map(drop).boxed());
    (store, known)
}

/// Perhaps the operator may not see them.
fn namespaces(
    source: &Source,
    all: &mut AllTriggers,
) -> (Store<Seen<Namespace, Labels>>, FirstAnswer) {
    type Found = Metadata<Namespace>;
    let (note, known) = first_answer();
    let (store, changed) = watch::<Found, Namespace, Labels>(source, config(), note);
    // There are many, their labels hardly ever change, and a resync sees that too.
    all.push(changed.map(drop).filter(|()| future::ready(false)).boxed());
    (store, known)
}

/// What notes the answers of a watch, and who is told of the first that says something.
fn first_answer<S>() -> (impl FnMut(&watcher::Result<Event<S>>), FirstAnswer) {
    let known = FirstAnswer::default();
    let told = Arc::clone(&known);
    let note = move |answer: &watcher::Result<Event<S>>| {
        if matches!(answer, Ok(Event::InitDone)) || answer.as_ref().is_err_and(is_refusal) {
            told.notify_one();
        }
    };
    (note, known)
}

impl Caches {
    /// Waits until every cache has its first list, and every optional kind its first answer.
    ///
    /// To be called once: kube's stores wake only the last of several waiters.
    pub async fn wait_until_ready(&self) {
        // An error says that a watch ended, which none does before the process.
        let _ = self.config_maps.store.wait_until_ready().await;
        let _ = self.services.wait_until_ready().await;
        let _ = self.deployments.wait_until_ready().await;
        let _ = self.disruption_budgets.wait_until_ready().await;
        let _ = self.autoscalers.wait_until_ready().await;
        let _ = self.network_policies.store.wait_until_ready().await;
        let _ = self.pods.store.wait_until_ready().await;
        while !(self.service_monitors.availability.is_known()
            && self.prometheus_rules.availability.is_known())
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // Not for ever: without them models are served all the same.
        let answers = self.first_answers.iter().map(|known| known.notified());
        let _ = timeout(PATIENCE, future::join_all(answers)).await;
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
        let found = self.namespaces.get(&ObjectRef::new(namespace));
        let mut servers = self.prometheuses.state();
        // Caches have no order, and what is said must not change when nothing does.
        servers.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
        Prometheuses {
            servers,
            namespace_labels: found.map(|found| found.details.clone()),
        }
    }

    /// Why the Prometheus operator refuses a monitoring object of a ModelService, if it does.
    pub fn rejection(&self, live: &Live) -> Option<String> {
        let monitor = self.refusal(&live.service_monitor);
        monitor.or_else(|| self.refusal(&live.prometheus_rule))
    }

    fn refusal<K: Resource<DynamicType = ()>>(&self, live: &LiveChild<K>) -> Option<String> {
        let live = live.as_ref()?;
        let refuses = |event: &Seen<KubeEvent, Rejection>| event.details.refuses(live);
        let refusals = self.rejections.state_filter(refuses).into_iter();
        // Several servers may refuse it in words of their own, and what is said must not change.
        let messages = refusals.map(|event| event.details.message.to_string());
        messages.min()
    }

    /// The children of a ModelService that the watches have seen.
    pub fn live(&self, namespace: &str, name: &str) -> Live {
        Live {
            config_maps: self.config_maps.of(namespace, name),
            service: find(&self.services, namespace, name),
            deployment: find(&self.deployments, namespace, name),
            disruption_budget: find(&self.disruption_budgets, namespace, name),
            autoscaler: find(&self.autoscalers, namespace, name),
            network_policies: self.network_policies.of(namespace, name),
            service_monitor: find(&self.service_monitors.store, namespace, name),
            prometheus_rule: find(&self.prometheus_rules.store, namespace, name),
        }
    }

    /// The pods of a ModelService that the watch has seen.
    pub fn pods(&self, namespace: &str, name: &str) -> Vec<Arc<SeenPod>> {
        self.pods.of(namespace, name)
    }
}

fn find<K, D>(store: &Store<Seen<K, D>>, namespace: &str, name: &str) -> Option<Arc<Seen<K, D>>>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
    D: Clone + 'static,
{
    store.get(&ObjectRef::new(name).within(namespace))
}
