//! Every write of a child: server-side apply of what is wanted, deletion of what is not.

mod earlier;
mod memory;
mod outcome;
mod place;
mod verify;

pub use outcome::{Applied, Fault, Faults, Outcome};

use crate::error::Error;
use crate::meta;
use crate::render::{Children, Rendered};
use crate::seen::{Seen, hash_of};
use crate::world::{World, named};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource, ResourceExt};
use memory::{Known, Memory};
use place::Place;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

/// Writes children, and remembers what it wrote so that the same need not be written again.
#[expect(missing_debug_implementations, reason = "the client has none")]
pub struct Applier {
    client: Client,
    memory: Memory,
}

/// Annotation with the hash of what was rendered. Who finds another hash knows that a field may have
/// to go which is not rendered any more.
const RENDERED: &str = "rendered";

/// Whose children are written.
#[derive(Debug, Clone, Copy)]
pub struct Owner<'a> {
    /// Namespace of the ModelService.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Name of what belongs to its configuration.
    pub config: &'a str,
    /// Its UID.
    pub uid: &'a str,
    /// Whether its children were all as its spec wants them once.
    pub settled: bool,
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
        let memory = Memory::default();
        Self { client, memory }
    }

    /// Forgets the ModelServices whose UID does not pass.
    pub fn retain(&self, living: impl Fn(&str) -> bool) {
        self.memory.retain(living);
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
        let Owner { name, config, .. } = owner;
        let found = named(&live.config_maps, config);
        let config_map = self.one(owner, config, config_map, found).await?;
        let found = named(&live.network_policies, config);
        let network_policy = self.aside(owner, config, network_policy, found).await;
        // Before the pods: who refuses those does not keep the way to the old ones closed.
        let found = live.service.as_deref();
        let service = self.one(owner, name, service, found).await?;
        // Pods must not run under a configuration that somebody else wrote.
        let found = live.deployment.as_deref();
        let deployment = match config_map.is_conflict() {
            true => Outcome::Withheld,
            false => self.one(owner, name, deployment, found).await?,
        };
        let found = live.disruption_budget.as_deref();
        let disruption_budget = self.aside(owner, name, disruption_budget, found).await;
        let found = live.autoscaler.as_deref();
        let autoscaler = self.aside(owner, name, autoscaler, found).await;
        let (found, is_known) = (live.service_monitor.as_deref(), apis.service_monitors);
        let service_monitor = self.optional(is_known, owner, service_monitor, found).await;
        let (found, is_known) = (live.prometheus_rule.as_deref(), apis.prometheus_rules);
        let prometheus_rule = self.optional(is_known, owner, prometheus_rule, found).await;
        let board = meta::dashboard_name(name);
        let found = named(&live.config_maps, &board);
        let dashboard = self.aside(owner, &board, dashboard, found).await;
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
        name: &str,
        wanted: Option<K>,
        live: Option<&Seen<K>>,
    ) -> Outcome<K> {
        let outcome = self.one(owner, name, wanted, live).await;
        outcome.unwrap_or_else(|error| Outcome::Failed(error.into()))
    }

    /// A child of a kind that the API server may not know.
    async fn optional<K: Child>(
        &self,
        is_known: bool,
        owner: Owner<'_>,
        wanted: Option<K>,
        live: Option<&Seen<K>>,
    ) -> Outcome<K> {
        match is_known {
            true => self.aside(owner, owner.name, wanted, live).await,
            false => wanted.map_or(Outcome::Absent, |_| Outcome::KindMissing),
        }
    }

    async fn one<K: Child, D>(
        &self,
        owner: Owner<'_>,
        name: &str,
        wanted: Option<K>,
        live: Option<&Seen<K, D>>,
    ) -> Result<Outcome<K>, Error> {
        let place = self.place(owner, name);
        match wanted {
            Some(wanted) => self.write(&place, wanted, live).await,
            None => self.remove(&place, live).await,
        }
    }

    fn place<'a, K: Child>(&self, owner: Owner<'a>, name: &'a str) -> Place<'a, K> {
        Place {
            api: Api::namespaced(self.client.clone(), owner.namespace),
            owner,
            name,
        }
    }

    async fn write<K: Child, D>(
        &self,
        place: &Place<'_, K>,
        mut wanted: K,
        live: Option<&Seen<K, D>>,
    ) -> Result<Outcome<K>, Error> {
        let seen_at = wanted.meta_mut().resource_version.take();
        let sent = hash_of_json(&wanted);
        let known = place.known(&self.memory);
        let as_left = |live: &Seen<K, D>| {
            let live = live.fingerprint;
            known == Some(Known::Written { sent, live })
        };
        if live.is_some_and(as_left) {
            return Ok(Outcome::Unchanged);
        }
        let failed = |source| place.failed("apply", source);
        if !place.is_free(live).await.map_err(failed)? {
            return Ok(Outcome::Conflict {
                kind: K::kind(&()).into_owned(),
                name: place.name.to_owned(),
            });
        }
        let annotations = wanted.annotations_mut();
        annotations.insert(meta::key(RENDERED), format!("{sent:016x}"));
        wanted.meta_mut().resource_version = seen_at;
        let outcome = match (live, known) {
            // An operator that has just started remembers nothing; what it finds is mostly as it
            // should be.
            (Some(live), None) => place.verify_or_put(&wanted, &live.version).await,
            _ => place.put(&wanted).await,
        };
        let (outcome, live) = match outcome {
            // Our kinds all exist but for the optional ones, which may vanish between look and write.
            Err(kube::Error::Api(status)) if is_unknown_kind(&status) => {
                return Ok(Outcome::KindVanished);
            }
            outcome => outcome.map_err(failed)?,
        };
        place.note(&self.memory, Known::Written { sent, live });
        Ok(outcome)
    }

    /// Sees to it that a child that is not wanted is not there.
    async fn remove<K: Child, D>(
        &self,
        place: &Place<'_, K>,
        live: Option<&Seen<K, D>>,
    ) -> Result<Outcome<K>, Error> {
        let failed = |source| place.failed("delete", source);
        let ours = match live {
            Some(live) => live.is_of(place.owner.uid).then(|| live.uid.to_string()),
            None if place.is_known_to_be_absent(&self.memory) => return Ok(Outcome::Absent),
            None => {
                place.note(&self.memory, Known::Doubtful);
                place.uid_of_ours().await.map_err(failed)?
            }
        };
        let outcome = match ours {
            Some(uid) => {
                place.delete(uid).await.map_err(failed)?;
                Outcome::Deleted
            }
            None => Outcome::Absent,
        };
        place.note(&self.memory, Known::Absent);
        Ok(outcome)
    }
}

fn is_unknown_kind(status: &kube::core::Status) -> bool {
    status.code == 404
        && status
            .details
            .as_ref()
            .is_none_or(|details| details.name.is_empty())
}

/// Hash of what is sent.
fn hash_of_json(object: &impl Serialize) -> u64 {
    // Kubernetes objects are maps of texts and numbers: they always serialise.
    hash_of(&serde_json::to_vec(object).unwrap_or_default())
}
