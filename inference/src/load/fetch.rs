//! Model files that lie elsewhere: what a configuration names → bytes.
//!
//! ```text
//! mlflow: alias → version → artifacts ┐
//! s3: bucket, key → signed URL ───────┼→ client: address allowed? → get → follow → at most so many bytes
//! http: URL ──────────────────────────┘
//! ```

mod client;
mod mlflow;
mod s3;
mod secrets;

use super::LoadError;
use client::Client;
use contract::config::{HttpSource, MlflowSource, S3Source};
use contract::labels::LoadFailure;
use secrets::Secrets;

/// A file, and the version that the place it comes from gives it.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) bytes: Vec<u8>,
    pub(super) version: Option<String>,
}

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error(transparent)]
    Client(#[from] client::ClientError),
    #[error(transparent)]
    Secrets(#[from] secrets::SecretsError),
    #[error(transparent)]
    Mlflow(#[from] mlflow::MlflowError),
    #[error(transparent)]
    S3(#[from] s3::S3Error),
}

impl FetchError {
    fn reason(&self) -> LoadFailure {
        match self {
            Self::Client(error) => error.reason(),
            Self::Secrets(_) => LoadFailure::Forbidden,
            Self::Mlflow(error) => error.reason(),
            Self::S3(error) => error.reason(),
        }
    }
}

impl From<FetchError> for LoadError {
    fn from(error: FetchError) -> Self {
        Self::new(error.reason(), super::with_causes(&error))
    }
}

/// What a web server has.
pub(super) fn http(source: &HttpSource) -> Result<Fetched, FetchError> {
    let secrets = Secrets::in_folder(source.secrets.as_deref())?;
    let authorization = secrets.authorization("username", "password", "token")?;
    let url = client::parse(&source.url)?;
    secrets.check(&url)?;
    let client = Client::new(secrets.authority()?.as_deref())?;
    let bytes = client.get(&url, authorization.as_deref())?;
    Ok(Fetched {
        bytes,
        version: None,
    })
}

/// An object in a bucket.
pub(super) fn s3(source: &S3Source) -> Result<Fetched, FetchError> {
    let secrets = Secrets::in_folder(source.secrets.as_deref())?;
    let client = Client::new(secrets.authority()?.as_deref())?;
    let bucket = s3::Place::new(source, &secrets)?;
    let bytes = bucket.get(&client, &source.key)?;
    Ok(Fetched {
        bytes,
        version: None,
    })
}

/// A file of a registered model.
pub(super) fn mlflow(source: &MlflowSource) -> Result<Fetched, FetchError> {
    let registry = mlflow::Registry::new(source)?;
    let version = registry.resolve()?;
    let bytes = registry.model_file(&version)?;
    Ok(Fetched {
        bytes,
        version: Some(version),
    })
}

/// The version that an MLflow alias stands for now.
pub(super) fn mlflow_version(source: &MlflowSource) -> Result<String, FetchError> {
    mlflow::Registry::new(source)?.resolve()
}
