//! Which model, from where.

use super::Invalid;
use crate::api::{BuiltinName, ModelSource, ModelSpec};
use crate::plan::ModelVolume;
use crate::world::{ModelData, World};
use contract::config::{Builtin, ModelConfig};
use contract::endpoints;

/// What the server is told of its model, and the volume that holds the file.
pub(super) fn model(
    spec: &ModelSpec,
    name: &str,
    world: &World,
) -> Result<(ModelConfig, Option<ModelVolume>), Invalid> {
    let (source, volume) = source(&spec.source)?;
    let sha256 = sha256(spec, world)?;
    let config = ModelConfig {
        name: Some(name.to_owned()),
        version: version(spec, source, sha256.as_deref()),
        source: server_source(source),
        sha256,
    };
    Ok((config, volume))
}

/// The one source that is set, borrowed from the spec.
#[derive(Clone, Copy)]
enum Source<'a> {
    Builtin(Builtin),
    ConfigMap { key: &'a str },
    Claim { path: &'a str },
}

fn source(spec: &ModelSource) -> Result<(Source<'_>, Option<ModelVolume>), Invalid> {
    match (
        &spec.builtin,
        &spec.config_map,
        &spec.persistent_volume_claim,
    ) {
        (Some(builtin), None, None) => match builtin.name {
            BuiltinName::Diabetes => Ok((Source::Builtin(Builtin::Diabetes), None)),
        },
        (None, Some(map), None) => Ok((
            Source::ConfigMap { key: &map.key },
            Some(ModelVolume::ConfigMap {
                name: map.name.clone(),
                key: map.key.clone(),
            }),
        )),
        (None, None, Some(claim)) => Ok((
            Source::Claim { path: &claim.path },
            Some(ModelVolume::Claim {
                name: claim.claim_name.clone(),
            }),
        )),
        _ => Err(Invalid::Source),
    }
}

fn server_source(source: Source<'_>) -> contract::config::ModelSource {
    use contract::config::ModelSource::{Builtin, File};
    match source {
        Source::Builtin(name) => Builtin(name),
        Source::ConfigMap { key: path } | Source::Claim { path } => {
            File(format!("{}/{path}", endpoints::MODEL_DIR))
        }
    }
}

/// The checksum that pods must find: the spec's, or that of the ConfigMap's present content, so
/// that a changed ConfigMap rolls the pods.
fn sha256(model: &ModelSpec, world: &World) -> Result<Option<String>, Invalid> {
    let Some(map) = &model.source.config_map else {
        return Ok(model.sha256.clone());
    };
    let name = map.name.clone();
    match (&world.model, &model.sha256) {
        (ModelData::NoConfigMap, _) => Err(Invalid::NoConfigMap(name)),
        (ModelData::NoKey, _) => Err(Invalid::NoKey {
            name,
            key: map.key.clone(),
        }),
        (ModelData::Sha256(found), Some(expected)) if found != expected => Err(Invalid::Checksum {
            name,
            expected: expected.clone(),
            found: found.clone(),
        }),
        (ModelData::Sha256(found), _) => Ok(Some(found.clone())),
        (ModelData::NotRead, expected) => Ok(expected.clone()),
    }
}

/// The version on metrics; None leaves it to the pod, which reads the file.
fn version(model: &ModelSpec, source: Source<'_>, sha256: Option<&str>) -> Option<String> {
    let by_source = || match source {
        Source::Builtin(builtin) => Some(builtin.version().to_owned()),
        Source::ConfigMap { .. } | Source::Claim { .. } => {
            sha256.map(|hash| hash.chars().take(8).collect())
        }
    };
    model.version.clone().or_else(by_source)
}
