//! The place of one child in the cluster, and each call that is made about it.

use super::memory::{Known, Memory};
use super::{Child, Outcome, Owner, verify};
use crate::error::Error;
use crate::meta;
use crate::seen::{Seen, fingerprint};
use kube::Api;
use kube::api::{DeleteParams, GetParams, Patch, PatchParams, Preconditions};
use serde::Serialize;

/// Where a child of kind `K` is or would be.
pub(super) struct Place<'a, K> {
    pub(super) api: Api<K>,
    pub(super) owner: Owner<'a>,
    pub(super) name: &'a str,
}

impl<K: Child> Place<'_, K> {
    pub(super) fn known(&self, memory: &Memory) -> Option<Known> {
        memory.of(self.owner.uid, &K::kind(&()), self.name)
    }

    pub(super) fn note(&self, memory: &Memory, known: Known) {
        memory.note(self.owner.uid, &K::kind(&()), self.name, known);
    }

    pub(super) fn forget(&self, memory: &Memory) {
        memory.forget(self.owner.uid, &K::kind(&()), self.name);
    }

    /// Whether nothing of ours can be here though the caches, which hold only what carries our label,
    /// do not know it: it was looked up and not found, or all was well once.
    pub(super) fn is_known_to_be_absent(&self, memory: &Memory) -> bool {
        match self.known(memory) {
            Some(known) => known == Known::Absent,
            None => self.owner.settled,
        }
    }

    /// What is here, whatever its labels.
    async fn look_up(&self) -> Result<Option<Seen<K>>, kube::Error> {
        let found = self.api.get_metadata_opt(self.name).await?;
        Ok(found.map(|found| Seen::new(&found)))
    }

    /// UID of what is ours here, whatever its labels.
    pub(super) async fn uid_of_ours(&self) -> Result<Option<String>, kube::Error> {
        let ours = self.look_up().await?;
        let ours = ours.filter(|found| found.is_of(self.owner.uid));
        Ok(ours.map(|found| found.uid.into()))
    }

    /// Whether what is here is ours, or nothing: an object of somebody else is never taken over. A
    /// name that the caches do not know is looked up.
    pub(super) async fn is_free<D>(&self, live: Option<&Seen<K, D>>) -> Result<bool, kube::Error> {
        let uid = self.owner.uid;
        match live {
            Some(live) => Ok(live.is_of(uid)),
            None => Ok(self.look_up().await?.is_none_or(|found| found.is_of(uid))),
        }
    }

    /// Leaves an object that stands as it is wanted, else writes it; the fingerprint of what is there
    /// then. The object is read as it was at `version`, or later: that spares the API server a look
    /// into its database.
    pub(super) async fn verify_or_put(
        &self,
        wanted: &K,
        version: &str,
    ) -> Result<(Outcome<K>, u64), kube::Error> {
        match self.api.get_with(self.name, &GetParams::at(version)).await {
            Ok(found) if stands(wanted, &found) => {
                Ok((Outcome::Unchanged, fingerprint(found.meta())))
            }
            Err(error) if !is_not_found(&error) => Err(error),
            Ok(_) | Err(_) => self.put(wanted).await,
        }
    }

    /// Writes an object; the fingerprint of what the API server made of it.
    pub(super) async fn put(&self, wanted: &K) -> Result<(Outcome<K>, u64), kube::Error> {
        let params = PatchParams::apply(meta::MANAGER)
            .force()
            .validation_strict();
        let wanted = Patch::Apply(wanted);
        let object = self.api.patch(self.name, &params, &wanted).await?;
        let live = fingerprint(object.meta());
        Ok((Outcome::Written(Box::new(object)), live))
    }

    /// Deletes the object of this UID: a stale cache must not delete one made anew under the same name,
    /// which the API server refuses with 409.
    pub(super) async fn delete(&self, uid: String) -> Result<(), kube::Error> {
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: Some(uid),
                resource_version: None,
            }),
            ..DeleteParams::background()
        };
        match self.api.delete(self.name, &params).await {
            Err(error) if !is_not_found(&error) => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    pub(super) fn failed(&self, verb: &'static str, source: kube::Error) -> Error {
        Error::Apply {
            verb,
            kind: K::kind(&()).into_owned(),
            name: self.name.to_owned(),
            source,
        }
    }
}

fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

/// Whether `found` is what rendering `wanted` has made of it, and nobody has changed it since.
fn stands(wanted: &impl Serialize, found: &impl Serialize) -> bool {
    let values = (serde_json::to_value(wanted), serde_json::to_value(found));
    matches!(values, (Ok(wanted), Ok(found)) if verify::is_as_wanted(&wanted, &found))
}
