//! Everything that a reconcile reads. Nearly all of it lies in the caches.

use crate::api::{ConfigMapSource, ModelService};
use crate::caches::Caches;
use crate::error::Error;
use crate::meta;
use crate::served::served;
use crate::world::{ModelData, World};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client, ResourceExt};

/// Reads all that deciding about `ms` needs.
///
/// The ConfigMap that holds a model is the only thing read from the API server: it belongs to the
/// user, and watching all ConfigMaps of a cluster would cost memory for other people's objects.
/// Which version an alias stands for, only the pods can say.
pub async fn observe(client: &Client, caches: &Caches, ms: &ModelService) -> Result<World, Error> {
    let (namespace, name) = (ms.namespace().unwrap_or_default(), ms.name_any());
    let model = match &ms.spec.model.source.config_map {
        Some(source) => read_model(client, &namespace, source).await?,
        None => ModelData::NotRead,
    };
    let pods = caches.pods(&namespace, &name);
    let live = caches.live(&namespace, &name);
    Ok(World {
        model,
        rejection: caches.rejection(&live),
        live,
        served: match ms.spec.model.is_known_to_pods_only() {
            true => served(&pods).await,
            false => None,
        },
        pods,
        apis: caches.apis(),
        prometheuses: caches.prometheuses(&namespace),
    })
}

async fn read_model(
    client: &Client,
    namespace: &str,
    source: &ConfigMapSource,
) -> Result<ModelData, Error> {
    let api = Api::<ConfigMap>::namespaced(client.clone(), namespace);
    let map = api
        .get_opt(&source.name)
        .await
        .map_err(|error| Error::Observe {
            what: format!("ConfigMap {}", source.name),
            source: error,
        })?;
    Ok(map.map_or(ModelData::NoConfigMap, |map| model_data(&map, &source.key)))
}

fn model_data(map: &ConfigMap, key: &str) -> ModelData {
    let text = map
        .data
        .as_ref()
        .and_then(|data| data.get(key))
        .map(String::as_bytes);
    let binary = map
        .binary_data
        .as_ref()
        .and_then(|data| data.get(key))
        .map(|b| b.0.as_slice());
    let bytes = text.or(binary);
    bytes.map_or(ModelData::NoKey, |bytes| {
        ModelData::Sha256(meta::sha256_hex(bytes))
    })
}
