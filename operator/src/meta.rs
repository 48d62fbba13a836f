//! Names, labels and ownership of the children.

use crate::api::GROUP;
use crate::plan::Identity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Field manager of every write, and value of the managed-by label.
pub const MANAGER: &str = "modelservice-operator";
/// Label that every child and pod carries; watches select on it.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Label with the name of the ModelService; with the namespace it leads from a pod to its owner.
pub const INSTANCE: &str = "app.kubernetes.io/instance";
/// Label with the name of the application, the same for all ModelServices.
const APP: &str = "app.kubernetes.io/name";

/// Name of the Deployment, the Service, the ServiceMonitor and the PrometheusRule.
pub fn name(id: &Identity) -> String {
    id.name.clone()
}

/// Name of what belongs to one configuration of the ModelService of this name: of its ConfigMap, and of
/// its pods' NetworkPolicy. `hash` is the configuration's own.
pub fn config_name(service: &str, hash: &str) -> String {
    format!("{service}-config-{hash}")
}

/// Label of a pod with the hash of its configuration.
pub fn config_label() -> String {
    key("config-hash")
}

/// Name of the ConfigMap with the dashboard, of the ModelService of this name.
pub fn dashboard_name(service: &str) -> String {
    format!("{service}-dashboard")
}

/// Identifier of the dashboard in Grafana: unique per namespace and name, at most 40 characters.
pub fn dashboard_uid(id: &Identity) -> String {
    format!(
        "ms-{}",
        &sha256_hex(format!("{}/{}", id.namespace, id.name).as_bytes())[..32]
    )
}

/// Labels of every child.
pub fn labels(id: &Identity) -> BTreeMap<String, String> {
    let mut labels = selector(id);
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    labels
}

/// Labels that select the pods. A Deployment's selector cannot change, so nothing that may change
/// belongs here.
pub fn selector(id: &Identity) -> BTreeMap<String, String> {
    BTreeMap::from([
        (APP.to_owned(), "modelservice".to_owned()),
        (INSTANCE.to_owned(), id.name.clone()),
    ])
}

/// [`selector`] as Kubernetes objects carry it.
pub fn label_selector(id: &Identity) -> LabelSelector {
    LabelSelector {
        match_labels: Some(selector(id)),
        ..LabelSelector::default()
    }
}

/// [`selector`] as text, for `kubectl get pods -l`.
pub fn selector_text(id: &Identity) -> String {
    let pairs: Vec<_> = selector(id)
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    pairs.join(",")
}

/// Metadata of a child: its name, our labels and `extra` ones, and who owns it.
pub fn object(id: &Identity, name: String, extra: &BTreeMap<String, String>) -> ObjectMeta {
    let mut all = extra.clone();
    all.extend(labels(id));
    ObjectMeta {
        name: Some(name),
        namespace: Some(id.namespace.clone()),
        labels: Some(all),
        owner_references: id.owner.clone().map(|owner| vec![owner]),
        ..ObjectMeta::default()
    }
}

/// An annotation or label key of this project.
pub fn key(suffix: &str) -> String {
    format!("{GROUP}/{suffix}")
}

/// Lower-case hex sha256.
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const HASH: &str = "0123456789";

    /// Names that are as alike as possible: of a few parts, with and without what children add.
    fn alike() -> Vec<String> {
        let parts = ["a", "config", "dashboard", "metrics", HASH];
        let pairs = parts.iter().flat_map(|a| parts.map(|b| format!("{a}-{b}")));
        let triples = pairs
            .clone()
            .flat_map(|a| parts.map(|b| format!("{a}-{b}")));
        let single = parts.map(str::to_owned).into_iter();
        single.chain(pairs).chain(triples).collect()
    }

    #[test]
    fn no_two_modelservices_have_a_name_in_common() {
        let names = alike();
        let (mut uids, mut config_maps) = (HashSet::new(), HashSet::new());
        for namespace in &names {
            for name in &names {
                let id = Identity {
                    name: name.clone(),
                    namespace: namespace.clone(),
                    owner: None,
                };
                assert!(uids.insert(dashboard_uid(&id)), "{id:?}");
                for map in [config_name(name, HASH), dashboard_name(name)] {
                    assert!(config_maps.insert((namespace, map)), "{id:?}");
                }
            }
        }
        let all = uids.len();
        assert!(all * all / 2 > 1_000_000, "{all} are too few pairs");
    }
}
