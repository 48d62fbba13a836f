//! What belongs to configurations of earlier specs. It stays until no pod can need it: while a spec that
//! cannot work is being rolled out, pods of the one before may have to start again.

use super::memory::Known;
use super::{Applier, Child, Owner};
use crate::error::Error;
use crate::meta;
use crate::seen::Seen;
use crate::world::{Live, World};
use k8s_openapi::api::apps::v1::Deployment;
use std::sync::Arc;

impl Applier {
    /// Deletes what belongs to configurations other than the owner's, if no pod can need it. To be asked for
    /// once the Deployment is found to be as it is wanted.
    pub async fn sweep(&self, owner: Owner<'_>, world: &World) -> Result<(), Error> {
        if !self.is_rolled_out(owner, world) {
            return Ok(());
        }
        let pods = world.pods.iter();
        let hashes = pods.filter_map(|pod| pod.details.config.as_deref());
        let mut kept: Vec<_> = hashes
            .map(|hash| meta::config_name(owner.name, hash))
            .collect();
        kept.push(owner.config.to_owned());
        let Live {
            config_maps,
            network_policies,
            ..
        } = &world.live;
        let policies = self.delete_earlier(owner, network_policies, &kept).await;
        let config_maps = self.delete_earlier(owner, config_maps, &kept).await;
        policies.and(config_maps)
    }

    /// Whether all pods are as the Deployment wants them that was seen, and that is as it was left: what a
    /// stale cache says of an earlier one must not count.
    fn is_rolled_out(&self, owner: Owner<'_>, world: &World) -> bool {
        let Some(deployment) = &world.live.deployment else {
            return false;
        };
        let place = self.place::<Deployment>(owner, owner.name);
        let is_as_left = matches!(
            place.known(&self.memory),
            Some(Known::Written { live, .. }) if live == deployment.fingerprint
        );
        is_as_left && deployment.details.is_complete()
    }

    async fn delete_earlier<K: Child>(
        &self,
        owner: Owner<'_>,
        live: &[Arc<Seen<K>>],
        kept: &[String],
    ) -> Result<(), Error> {
        let is_earlier = |seen: &&Arc<Seen<K>>| {
            let is_kept = kept.iter().any(|name| **name == *seen.name);
            seen.is_of(owner.uid) && !is_kept && is_of_configuration(owner.name, &seen.name)
        };
        for seen in live.iter().filter(is_earlier) {
            let place = self.place::<K>(owner, &seen.name);
            let deleted = place.delete(seen.uid.to_string()).await;
            deleted.map_err(|source| place.failed("delete", source))?;
            place.forget(&self.memory);
        }
        Ok(())
    }
}

/// Whether an object of this name belongs to a configuration. Once there was only one, and a NetworkPolicy
/// of the name of the ModelService.
fn is_of_configuration(service: &str, name: &str) -> bool {
    let former = [service, &format!("{service}-config")];
    former.contains(&name) || name.starts_with(&meta::config_name(service, ""))
}
