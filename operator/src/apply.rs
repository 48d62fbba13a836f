//! Every write of a child: server-side apply of what is wanted, deletion of what is not.

mod outcome;
mod verify;

pub use outcome::{Applied, Fault, Faults, Outcome};

use crate::error::Error;
use crate::meta;
use crate::render::{Children, Rendered};
use crate::world::World;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Mutex, PoisonError};

/// Writes children, and remembers what it wrote so that the same need not be written again.
#[expect(missing_debug_implementations, reason = "the client has none")]
pub struct Applier {
    client: Client,
    written: Mutex<HashMap<Key, Written>>,
}

/// Annotation with the hash of what was rendered. Who finds another hash knows that a field may have
/// to go which is not rendered any more.
const RENDERED: &str = "rendered";

/// UID of the ModelService, kind and name of the child.
type Key = (String, String, String);

/// What was written last: the hash of what we sent, and of what the API server made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Written {
    sent: u64,
    live: u64,
}

/// Whose children are written.
#[derive(Debug, Clone, Copy)]
pub struct Owner<'a> {
    /// Namespace of the ModelService.
    pub namespace: &'a str,
    /// Its UID.
    pub uid: &'a str,
}

/// A kind of child.
trait Child:
    Resource<Scope = NamespaceResourceScope, DynamicType = ()>
    + Clone
    + Debug
    + DeserializeOwned
    + Serialize
{
}

impl<K> Child for K where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + DeserializeOwned
        + Serialize
{
}

impl Applier {
    /// An applier that has written nothing yet.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            written: Mutex::default(),
        }
    }

    /// Forgets the ModelServices whose UID does not pass.
    pub fn retain(&self, living: impl Fn(&str) -> bool) {
        self.written().retain(|(owner, _, _), _| living(owner));
    }

    /// Makes the cluster hold `children`, in an order in which nothing refers to what is missing.
    pub async fn apply(
        &self,
        owner: Owner<'_>,
        children: Children<Rendered>,
        world: &World,
    ) -> Result<Children<Applied>, Error> {
        let Children {
            config_map,
            service,
            deployment,
            disruption_budget,
            autoscaler,
            network_policy,
            service_monitor,
            prometheus_rule,
            dashboard,
        } = children;
        let World { live, apis, .. } = world;
        let live_deployment = live.deployment.as_ref().map(|found| &found.metadata);
        let config_map = self.one(owner, config_map, live.config_map.as_ref());
        let config_map = config_map.await?;
        // Before the pods: who refuses those does not keep the way to the old ones closed.
        let service = self.one(owner, service, live.service.as_ref()).await?;
        // Pods must not run under a configuration that somebody else wrote.
        let deployment = match config_map.is_conflict() {
            true => Outcome::Withheld,
            false => self.one(owner, deployment, live_deployment).await?,
        };
        let budget = self.aside(owner, disruption_budget, &live.disruption_budget);
        let disruption_budget = budget.await;
        let autoscaler = self.aside(owner, autoscaler, &live.autoscaler).await;
        let policy = self.aside(owner, network_policy, &live.network_policy);
        let network_policy = policy.await;
        let service_monitor = match apis.service_monitors {
            true => {
                let found = &live.service_monitor;
                self.aside(owner, service_monitor, found).await
            }
            false => missing(service_monitor.as_ref()),
        };
        let prometheus_rule = match apis.prometheus_rules {
            true => {
                let found = &live.prometheus_rule;
                self.aside(owner, prometheus_rule, found).await
            }
            false => missing(prometheus_rule.as_ref()),
        };
        let dashboard = self.aside(owner, dashboard, &live.dashboard).await;
        Ok(Children {
            config_map,
            service,
            deployment,
            disruption_budget,
            autoscaler,
            network_policy,
            service_monitor,
            prometheus_rule,
            dashboard,
        })
    }

    /// A child that no pod needs. Its faults stay its own: the others are written all the same.
    async fn aside<K: Child>(
        &self,
        owner: Owner<'_>,
        wanted: Option<K>,
        live: &Option<ObjectMeta>,
    ) -> Outcome<K> {
        let outcome = self.one(owner, wanted, live.as_ref()).await;
        outcome.unwrap_or_else(|error| Outcome::Failed(error.into()))
    }

    async fn one<K: Child>(
        &self,
        owner: Owner<'_>,
        wanted: Option<K>,
        live: Option<&ObjectMeta>,
    ) -> Result<Outcome<K>, Error> {
        let api = Api::<K>::namespaced(self.client.clone(), owner.namespace);
        match (wanted, live) {
            (Some(wanted), live) => self.write(&api, owner, wanted, live).await,
            (None, Some(live)) if is_ours(live, owner.uid) => delete(&api, live).await,
            (None, _) => Ok(Outcome::Absent),
        }
    }

    async fn write<K: Child>(
        &self,
        api: &Api<K>,
        owner: Owner<'_>,
        mut wanted: K,
        live: Option<&ObjectMeta>,
    ) -> Result<Outcome<K>, Error> {
        let (kind, name) = identify(&wanted);
        let key = (owner.uid.to_owned(), kind.clone(), name.clone());
        let seen_at = wanted.meta_mut().resource_version.take();
        let sent = hash(&wanted);
        let remembered = self.written().get(&key).copied();
        let as_left = |live| remembered == Some(Written { sent, live });
        if live.map(fingerprint).is_some_and(as_left) {
            return Ok(Outcome::Unchanged);
        }
        let failed = |source| Error::Apply {
            verb: "apply",
            kind: kind.clone(),
            name: name.clone(),
            source,
        };
        let free = may_write(api, &name, owner.uid, live).await;
        if !free.map_err(failed)? {
            return Ok(Outcome::Conflict { kind, name });
        }
        let annotations = wanted.annotations_mut();
        annotations.insert(meta::key(RENDERED), format!("{sent:016x}"));
        wanted.meta_mut().resource_version = seen_at;
        let outcome = match (live, remembered) {
            // An operator that has just started remembers nothing; what it finds is mostly as it
            // should be.
            (Some(_), None) => verify_or_put(api, &name, &wanted).await,
            _ => put(api, &name, &wanted).await,
        };
        let (outcome, live) = match outcome {
            // Our kinds all exist but for the optional ones, which may vanish between look and write.
            Err(kube::Error::Api(status)) if is_unknown_kind(&status) => {
                return Ok(Outcome::KindMissing);
            }
            outcome => outcome.map_err(failed)?,
        };
        self.written().insert(key, Written { sent, live });
        Ok(outcome)
    }

    fn written(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Written>> {
        // A panic elsewhere cannot leave the map half-written.
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leaves an object that stands as it is wanted, else writes it; the fingerprint of what is there then.
async fn verify_or_put<K: Child>(
    api: &Api<K>,
    name: &str,
    wanted: &K,
) -> Result<(Outcome<K>, u64), kube::Error> {
    let found = api.get_opt(name).await?;
    match found.filter(|found| stands(wanted, found)) {
        Some(found) => Ok((Outcome::Unchanged, fingerprint(found.meta()))),
        None => put(api, name, wanted).await,
    }
}

/// Writes an object; the fingerprint of what the API server made of it.
async fn put<K: Child>(
    api: &Api<K>,
    name: &str,
    wanted: &K,
) -> Result<(Outcome<K>, u64), kube::Error> {
    let params = PatchParams::apply(meta::MANAGER)
        .force()
        .validation_strict();
    let object = api.patch(name, &params, &Patch::Apply(wanted)).await?;
    let live = fingerprint(object.meta());
    Ok((Outcome::Written(Box::new(object)), live))
}

/// Whether `found` is what rendering `wanted` has made of it, and nobody has changed it since.
fn stands(wanted: &impl Serialize, found: &impl Serialize) -> bool {
    let values = (serde_json::to_value(wanted), serde_json::to_value(found));
    matches!(values, (Ok(wanted), Ok(found)) if verify::is_as_wanted(&wanted, &found))
}

fn missing<K>(wanted: Option<&K>) -> Outcome<K> {
    wanted.map_or(Outcome::Absent, |_| Outcome::KindMissing)
}

fn is_unknown_kind(status: &kube::core::Status) -> bool {
    status.code == 404
        && status
            .details
            .as_ref()
            .is_none_or(|details| details.name.is_empty())
}

/// Whether the object of this name is ours or free to make: an object of somebody else is never
/// taken over. The caches hold only what carries our label, so a name that they do not know is
/// looked up once.
async fn may_write<K: Child>(
    api: &Api<K>,
    name: &str,
    uid: &str,
    live: Option<&ObjectMeta>,
) -> Result<bool, kube::Error> {
    match live {
        Some(live) => Ok(is_ours(live, uid)),
        None => Ok(api
            .get_metadata_opt(name)
            .await?
            .is_none_or(|found| is_ours(&found.metadata, uid))),
    }
}

fn is_ours(object: &ObjectMeta, uid: &str) -> bool {
    object
        .owner_references
        .iter()
        .flatten()
        .any(|owner| owner.uid == uid)
}

async fn delete<K: Child>(api: &Api<K>, live: &ObjectMeta) -> Result<Outcome<K>, Error> {
    let name = live.name.clone().unwrap_or_default();
    let params = DeleteParams {
        // A stale cache must not delete an object made anew under the same name.
        preconditions: Some(Preconditions {
            uid: live.uid.clone(),
            resource_version: None,
        }),
        ..DeleteParams::background()
    };
    match api.delete(&name, &params).await {
        Ok(_) => Ok(Outcome::Absent),
        Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => {
            Ok(Outcome::Absent)
        }
        Err(source) => Err(Error::Apply {
            verb: "delete",
            kind: K::kind(&()).into_owned(),
            name,
            source,
        }),
    }
}

fn identify<K: Child>(object: &K) -> (String, String) {
    (
        K::kind(&()).into_owned(),
        object.meta().name.clone().unwrap_or_default(),
    )
}

/// Hash of what is sent.
fn hash(object: &impl Serialize) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    // Kubernetes objects are maps of texts and numbers: they always serialise.
    serde_json::to_vec(object)
        .unwrap_or_default()
        .hash(&mut hasher);
    hasher.finish()
}

/// Hash of what others could have changed in a live object: its labels, annotations and owners,
/// and its spec by generation where the API server counts one, else by resourceVersion (so that
/// a Deployment whose status changes is not written again).
fn fingerprint(live: &ObjectMeta) -> u64 {
    let annotations: Vec<_> = live
        .annotations
        .iter()
        .flatten()
        .filter(|(key, _)| !key.starts_with("deployment.kubernetes.io/"))
        .collect();
    let version = match live.generation {
        Some(generation) => generation.to_string(),
        None => live.resource_version.clone().unwrap_or_default(),
    };
    hash(&(
        &live.uid,
        &live.labels,
        annotations,
        &live.owner_references,
        version,
    ))
}
