//! Which model, from where.

use super::Invalid;
use super::destination::destination;
use crate::api::{self, BuiltinName, ModelSpec};
use crate::plan::{Destination, ModelVolume, SourceSecret};
use crate::world::{ModelData, World};
use contract::config::{
    Builtin, HttpSource, MlflowSource, MlflowVersion, ModelConfig, ModelSource, S3Source,
};
use contract::endpoints;

/// What a model asks of its pods.
pub(super) struct Model {
    /// What the server is told.
    pub(super) config: ModelConfig,
    /// Volume that holds the file.
    pub(super) volume: Option<ModelVolume>,
    /// What the server needs to fetch the file.
    pub(super) secret: Option<SourceSecret>,
    /// Whom it is fetched from.
    pub(super) destination: Option<Destination>,
}

/// Resolves the model of the ModelService `name` in `namespace`.
pub(super) fn model(
    spec: &ModelSpec,
    name: &str,
    namespace: &str,
    world: &World,
) -> Result<Model, Invalid> {
    let Found {
        source,
        volume,
        secret,
        url,
    } = source(&spec.source)?;
    let sha256 = sha256(spec, world)?;
    Ok(Model {
        config: ModelConfig {
            name: Some(name.to_owned()),
            version: version(spec, &source, sha256.as_deref()),
            source,
            sha256,
        },
        volume,
        secret,
        // Where there is none, the pod says why.
        destination: url.and_then(|url| destination(&url, namespace).ok()),
    })
}

/// The one source that is set.
struct Found {
    source: ModelSource,
    volume: Option<ModelVolume>,
    secret: Option<SourceSecret>,
    /// Where it is fetched from.
    url: Option<String>,
}

fn source(spec: &api::ModelSource) -> Result<Found, Invalid> {
    let api::ModelSource {
        builtin,
        config_map,
        persistent_volume_claim,
        http,
        s3,
        mlflow,
        image,
    } = spec;
    let set = [
        builtin.as_ref().map(of_builtin),
        config_map.as_ref().map(of_config_map),
        persistent_volume_claim.as_ref().map(of_claim),
        http.as_ref().map(of_http),
        s3.as_ref().map(of_s3),
        mlflow.as_ref().map(of_mlflow).transpose()?,
        image.as_ref().map(of_image),
    ];
    let mut set = set.into_iter().flatten();
    match (set.next(), set.next()) {
        (Some(only), None) => Ok(only),
        _ => Err(Invalid::Source),
    }
}

fn of_builtin(source: &api::BuiltinSource) -> Found {
    let builtin = match source.name {
        BuiltinName::Diabetes => Builtin::Diabetes,
    };
    Found {
        source: ModelSource::Builtin(builtin),
        volume: None,
        secret: None,
        url: None,
    }
}

fn mounted(path: &str, volume: ModelVolume) -> Found {
    Found {
        source: ModelSource::File(format!("{}/{path}", endpoints::MODEL_DIR)),
        volume: Some(volume),
        secret: None,
        url: None,
    }
}

fn of_config_map(source: &api::ConfigMapSource) -> Found {
    let volume = ModelVolume::ConfigMap {
        name: source.name.clone(),
        key: source.key.clone(),
    };
    mounted(&source.key, volume)
}

fn of_claim(source: &api::VolumeClaimSource) -> Found {
    let name = source.claim_name.clone();
    mounted(&source.path, ModelVolume::Claim { name })
}

fn of_image(source: &api::ImageSource) -> Found {
    let reference = source.reference.clone();
    mounted(&source.path, ModelVolume::Image { reference })
}

fn of_http(source: &api::HttpSource) -> Found {
    let secret = secret(source.secret_ref.as_ref());
    Found {
        source: ModelSource::Http(HttpSource {
            url: source.url.clone(),
            secrets: secret.as_ref().map(SourceSecret::folder),
        }),
        volume: None,
        secret,
        url: Some(source.url.clone()),
    }
}

fn of_s3(source: &api::S3Source) -> Found {
    let secret = secret(source.secret_ref.as_ref());
    let amazon = "https://s3.amazonaws.com".to_owned();
    Found {
        source: ModelSource::S3(S3Source {
            bucket: source.bucket.clone(),
            key: source.key.clone(),
            region: source.region.clone(),
            endpoint: source.endpoint.clone(),
            secrets: secret.as_ref().map(SourceSecret::folder),
        }),
        volume: None,
        secret,
        url: Some(source.endpoint.clone().unwrap_or(amazon)),
    }
}

fn of_mlflow(source: &api::MlflowSource) -> Result<Found, Invalid> {
    let version = match (source.version, &source.alias) {
        (Some(number), None) => MlflowVersion::Number(number),
        (None, Some(alias)) => MlflowVersion::Alias(alias.clone()),
        _ => return Err(Invalid::MlflowVersion),
    };
    let secret = secret(source.secret_ref.as_ref());
    Ok(Found {
        source: ModelSource::Mlflow(MlflowSource {
            tracking_uri: source.tracking_uri.clone(),
            model: source.model.clone(),
            version,
            path: source.path.clone(),
            secrets: secret.as_ref().map(SourceSecret::folder),
        }),
        volume: None,
        secret,
        url: Some(source.tracking_uri.clone()),
    })
}

fn secret(reference: Option<&api::SourceSecret>) -> Option<SourceSecret> {
    reference.map(|secret| SourceSecret {
        name: secret.name.clone(),
    })
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

/// The version on metrics; None leaves it to the pod, which reads the file or asks for the alias.
fn version(model: &ModelSpec, source: &ModelSource, sha256: Option<&str>) -> Option<String> {
    let by_source = || match source {
        ModelSource::Builtin(builtin) => Some(builtin.version().to_owned()),
        ModelSource::Mlflow(MlflowSource {
            version: MlflowVersion::Number(number),
            ..
        }) => Some(number.to_string()),
        ModelSource::Mlflow(_) => None,
        ModelSource::File(_) | ModelSource::Http(_) | ModelSource::S3(_) => {
            sha256.map(|hash| hash.chars().take(8).collect())
        }
    };
    model.version.clone().or_else(by_source)
}
