//! Registered model and version → model file, over MLflow's REST API
//! (<https://mlflow.org/docs/latest/api_reference/rest-api.html>).

use super::FetchError;
use super::client::{self, Client};
use super::s3::Place;
use super::secrets::Secrets;
use contract::config::{MlflowSource, MlflowVersion, S3Source};
use contract::labels::LoadFailure;
use serde::Deserialize;
use url::Url;

/// Why a registry has no model file for us.
#[derive(Debug, thiserror::Error)]
pub(in crate::load) enum MlflowError {
    #[error("GET {url}: unexpected answer: {source}")]
    Answer { url: Url, source: serde_json::Error },
    #[error(
        "the artifacts of version {version} are at {uri:?}: only those that the tracking server hands out (mlflow-artifacts:) and those in S3 (s3:) can be read"
    )]
    Store { version: String, uri: String },
    #[error(
        "version {version} has no model file: expected one file .json or .json.gz, found {found}; name it by path"
    )]
    NoFile { version: String, found: String },
}

impl MlflowError {
    pub(super) fn reason(&self) -> LoadFailure {
        match self {
            Self::Answer { .. } | Self::Store { .. } => LoadFailure::Unsupported,
            Self::NoFile { .. } => LoadFailure::NotFound,
        }
    }
}

/// A registry, who asks it, and for what.
#[derive(Debug)]
pub(super) struct Registry<'a> {
    source: &'a MlflowSource,
    uri: Url,
    secrets: Secrets,
    authorization: Option<String>,
    client: Client,
}

#[derive(Deserialize)]
struct Aliased {
    model_version: ModelVersion,
}

#[derive(Deserialize)]
struct ModelVersion {
    version: String,
}

#[derive(Deserialize)]
struct Download {
    artifact_uri: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Artifacts {
    files: Vec<Artifact>,
}

#[derive(Deserialize)]
struct Artifact {
    path: String,
    #[serde(default)]
    is_dir: bool,
}

/// Where the artifacts of a version are.
enum Store {
    /// The tracking server hands them out; a folder in its store.
    Proxied(String),
    /// A bucket, and the prefix of their keys.
    S3(Box<Place>, String),
}

impl<'a> Registry<'a> {
    pub(super) fn new(source: &'a MlflowSource) -> Result<Self, FetchError> {
        let secrets = Secrets::in_folder(source.secrets.as_deref())?;
        let authorization = secrets.authorization(
            "MLFLOW_TRACKING_USERNAME",
            "MLFLOW_TRACKING_PASSWORD",
            "MLFLOW_TRACKING_TOKEN",
        )?;
        let uri = client::parse(&source.tracking_uri)?;
        secrets.check(&uri)?;
        Ok(Self {
            source,
            uri,
            authorization,
            client: Client::new(secrets.authority()?.as_deref())?,
            secrets,
        })
    }

    /// The version that is asked for.
    pub(super) fn resolve(&self) -> Result<String, FetchError> {
        match &self.source.version {
            MlflowVersion::Number(number) => Ok(number.to_string()),
            MlflowVersion::Alias(alias) => {
                let query = [("name", self.source.model.as_str()), ("alias", alias)];
                let found: Aliased = self.ask("mlflow/registered-models/alias", &query)?;
                Ok(found.model_version.version)
            }
        }
    }

    /// The model file of a version.
    pub(super) fn model_file(&self, version: &str) -> Result<Vec<u8>, FetchError> {
        let store = self.store(version)?;
        let path = match &self.source.path {
            Some(path) => path.clone(),
            None => only_model_file(version, &self.files(&store)?)?,
        };
        match store {
            Store::Proxied(folder) => {
                let url = self.url(&format!("mlflow-artifacts/artifacts/{folder}/{path}"));
                Ok(self.client.get(&url, self.authorization.as_deref())?)
            }
            Store::S3(place, prefix) => place.get(&self.client, &format!("{prefix}/{path}")),
        }
    }

    fn store(&self, version: &str) -> Result<Store, FetchError> {
        let query = [("name", self.source.model.as_str()), ("version", version)];
        let found: Download = self.ask("mlflow/model-versions/get-download-uri", &query)?;
        let uri = found.artifact_uri;
        let place = Url::parse(&uri).ok();
        let folder = |url: &Url| url.path().trim_matches('/').to_owned();
        match place.as_ref().map(|url| (url.scheme(), url)) {
            Some(("mlflow-artifacts", url)) => Ok(Store::Proxied(folder(url))),
            Some(("s3", url)) => {
                let bucket = self.bucket(url.host_str().unwrap_or_default())?;
                Ok(Store::S3(Box::new(bucket), folder(url)))
            }
            _ => Err(MlflowError::Store {
                version: version.to_owned(),
                uri,
            }
            .into()),
        }
    }

    /// A bucket that the clients of MLflow would find by the same names.
    fn bucket(&self, name: &str) -> Result<Place, FetchError> {
        let source = S3Source {
            bucket: name.to_owned(),
            key: String::new(),
            region: self.secrets.get("AWS_DEFAULT_REGION")?,
            endpoint: self.secrets.get("MLFLOW_S3_ENDPOINT_URL")?,
            secrets: None,
        };
        Place::new(&source, &self.secrets)
    }

    /// Paths of the files that lie directly in a store.
    fn files(&self, store: &Store) -> Result<Vec<String>, FetchError> {
        match store {
            Store::Proxied(folder) => {
                let found: Artifacts =
                    self.ask("mlflow-artifacts/artifacts", &[("path", folder)])?;
                let files = found.files.into_iter().filter(|file| !file.is_dir);
                let name = |path: String| path.rsplit('/').next().unwrap_or_default().to_owned();
                Ok(files.map(|file| name(file.path)).collect())
            }
            Store::S3(place, prefix) => {
                let prefix = format!("{prefix}/");
                let keys = place.list(&self.client, &prefix)?.into_iter();
                let names = keys.filter_map(|key| Some(key.strip_prefix(&prefix)?.to_owned()));
                Ok(names.filter(|name| !name.contains('/')).collect())
            }
        }
    }

    fn ask<T: for<'de> Deserialize<'de>>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<T, FetchError> {
        let mut url = self.url(path);
        url.query_pairs_mut().extend_pairs(query);
        let text = self.client.text(&url, self.authorization.as_deref())?;
        serde_json::from_str(&text).map_err(|source| MlflowError::Answer { url, source }.into())
    }

    /// The tracking server may be below a path of its own.
    fn url(&self, path: &str) -> Url {
        let mut url = self.uri.clone();
        let root = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{root}/api/2.0/{path}"));
        url
    }
}

/// The one file that may be a model's; MLflow's own examples of inputs are none.
fn only_model_file(version: &str, files: &[String]) -> Result<String, MlflowError> {
    let may_be = |name: &&String| {
        (name.ends_with(".json") || name.ends_with(".json.gz")) && !name.contains("input_example")
    };
    let found: Vec<_> = files.iter().filter(may_be).collect();
    match found[..] {
        [only] => Ok(only.clone()),
        _ => Err(MlflowError::NoFile {
            version: version.to_owned(),
            found: match files.is_empty() {
                true => "none".to_owned(),
                false => files.join(", "),
            },
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(&["MLmodel", "churn.json.gz", "input_example.json", "serving_input_example.json"], Ok("churn.json.gz"))]
    #[case(&["model.json"], Ok("model.json"))]
    #[case(&["a.json", "b.json"], Err("found a.json, b.json; name it by path"))]
    #[case(&[], Err("found none; name it by path"))]
    fn a_version_has_one_model_file(#[case] files: &[&str], #[case] expected: Result<&str, &str>) {
        let files: Vec<_> = files.iter().map(|&name| name.to_owned()).collect();
        match (only_model_file("3", &files), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected),
            (Err(error), Err(end)) => assert!(error.to_string().ends_with(end), "{error}"),
            (found, _) => panic!("{found:?}"),
        }
    }
}
