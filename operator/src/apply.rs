//! Every write of a child: server-side apply of what is wanted, deletion of what is not.

mod outcome;

pub use outcome::{Applied, Outcome};

use crate::error::Error;
use crate::meta;
use crate::prometheus_operator::{PrometheusRule, ServiceMonitor};
use crate::render::{Children, Rendered};
use crate::world::World;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource};
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
            service_monitor,
            prometheus_rule,
            dashboard,
        } = children;
        let live = &world.live;
        let live_deployment = live
            .deployment
            .as_ref()
            .map(|deployment| &deployment.metadata);
        let monitor = live.service_monitor.as_ref();
        let rule = live.prometheus_rule.as_ref();
        let config_map = self
            .one::<ConfigMap>(owner, config_map, live.config_map.as_ref())
            .await?;
        // Pods must not run under a configuration that somebody else wrote.
        let deployment = match config_map.is_conflict() {
            true => Outcome::Withheld,
            false => {
                self.one::<Deployment>(owner, deployment, live_deployment)
                    .await?
            }
        };
        Ok(Children {
            config_map,
            service: self
                .one::<Service>(owner, service, live.service.as_ref())
                .await?,
            deployment,
            service_monitor: match world.apis.service_monitors {
                true => contained(
                    self.one::<ServiceMonitor>(owner, service_monitor, monitor)
                        .await,
                ),
                false => missing(service_monitor.as_ref()),
            },
            prometheus_rule: match world.apis.prometheus_rules {
                true => contained(
                    self.one::<PrometheusRule>(owner, prometheus_rule, rule)
                        .await,
                ),
                false => missing(prometheus_rule.as_ref()),
            },
            dashboard: contained(
                self.one::<ConfigMap>(owner, dashboard, live.dashboard.as_ref())
                    .await,
            ),
        })
    }

    async fn one<K>(
        &self,
        owner: Owner<'_>,
        wanted: Option<K>,
        live: Option<&ObjectMeta>,
    ) -> Result<Outcome<K>, Error>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + DeserializeOwned
            + Serialize,
    {
        let api = Api::<K>::namespaced(self.client.clone(), owner.namespace);
        match (wanted, live) {
            (Some(wanted), live) => self.write(&api, owner, wanted, live).await,
            (None, Some(live)) if is_ours(live, owner.uid) => delete(&api, live).await,
            (None, _) => Ok(Outcome::Absent),
        }
    }

    async fn write<K>(
        &self,
        api: &Api<K>,
        owner: Owner<'_>,
        wanted: K,
        live: Option<&ObjectMeta>,
    ) -> Result<Outcome<K>, Error>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Serialize,
    {
        let (kind, name) = identify(&wanted);
        let key = (owner.uid.to_owned(), kind.clone(), name.clone());
        let sent = hash(&wanted);
        if let Some(live) = live
            && self.written().get(&key)
                == Some(&Written {
                    sent,
                    live: fingerprint(live),
                })
        {
            return Ok(Outcome::Unchanged);
        }
        let failed = |source| Error::Apply {
            verb: "apply",
            kind: kind.clone(),
            name: name.clone(),
            source,
        };
        if !may_write(api, &name, owner.uid, live)
            .await
            .map_err(failed)?
        {
            return Ok(Outcome::Conflict { kind, name });
        }
        let params = PatchParams::apply(meta::MANAGER)
            .force()
            .validation_strict();
        match api.patch(&name, &params, &Patch::Apply(&wanted)).await {
            Ok(object) => {
                self.written().insert(
                    key,
                    Written {
                        sent,
                        live: fingerprint(object.meta()),
                    },
                );
                Ok(Outcome::Written(Box::new(object)))
            }
            // Our kinds all exist but for the optional ones, which may vanish between look and write.
            Err(kube::Error::Api(status)) if is_unknown_kind(&status) => Ok(Outcome::KindMissing),
            Err(source) => Err(failed(source)),
        }
    }

    fn written(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Written>> {
        // A panic elsewhere cannot leave the map half-written.
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn missing<K>(wanted: Option<&K>) -> Outcome<K> {
    wanted.map_or(Outcome::Absent, |_| Outcome::KindMissing)
}

/// A fault of a monitoring object stays its own: the other children are written all the same.
fn contained<K>(result: Result<Outcome<K>, Error>) -> Outcome<K> {
    result.unwrap_or_else(|error| Outcome::Failed(error.into()))
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
async fn may_write<K>(
    api: &Api<K>,
    name: &str,
    uid: &str,
    live: Option<&ObjectMeta>,
) -> Result<bool, kube::Error>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
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

async fn delete<K>(api: &Api<K>, live: &ObjectMeta) -> Result<Outcome<K>, Error>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
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

fn identify<K: Resource<DynamicType = ()>>(object: &K) -> (String, String) {
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
