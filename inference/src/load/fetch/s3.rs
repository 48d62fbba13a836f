//! Bucket and key → signed URL, in Amazon's signature version 4.

use super::FetchError;
use super::client::{self, Client};
use super::secrets::Secrets;
use contract::config::S3Source;
use contract::labels::LoadFailure;
use rusty_s3::actions::{GetObject, ListObjectsV2};
use rusty_s3::{Bucket, BucketError, Credentials, S3Action as _, UrlStyle};
use std::time::Duration;

const REGION: &str = "us-east-1";
/// For how long a signature is good: longer than everything may take.
const VALID: Duration = Duration::from_secs(300);

/// Why a bucket cannot be asked.
#[derive(Debug, thiserror::Error)]
pub(in crate::load) enum S3Error {
    #[error("bucket {bucket:?} at {endpoint:?}")]
    Bucket {
        bucket: String,
        endpoint: String,
        source: BucketError,
    },
    #[error("what the bucket holds cannot be read: {0}")]
    List(String),
}

impl S3Error {
    pub(super) fn reason(&self) -> LoadFailure {
        match self {
            Self::Bucket { .. } => LoadFailure::Forbidden,
            Self::List(_) => LoadFailure::Unsupported,
        }
    }
}

/// A bucket and who asks it.
#[derive(Debug)]
pub(super) struct Place {
    bucket: Bucket,
    credentials: Option<Credentials>,
}

impl Place {
    pub(super) fn new(source: &S3Source, secrets: &Secrets) -> Result<Self, FetchError> {
        let region = source.region.clone().unwrap_or_else(|| REGION.to_owned());
        let (endpoint, style) = match &source.endpoint {
            Some(endpoint) => (endpoint.clone(), UrlStyle::Path),
            None => (
                format!("https://s3.{region}.amazonaws.com"),
                UrlStyle::VirtualHost,
            ),
        };
        let name = source.bucket.clone();
        let url = client::parse(&endpoint)?;
        secrets.check(&url)?;
        let bucket = Bucket::new(url, style, name.clone(), region);
        let bucket = bucket.map_err(|source| S3Error::Bucket {
            bucket: name,
            endpoint,
            source,
        })?;
        let keys = secrets.pair("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")?;
        let token = secrets.get("AWS_SESSION_TOKEN")?;
        let credentials = keys.map(|(id, secret)| match token {
            Some(token) => Credentials::new_with_token(id, secret, token),
            None => Credentials::new(id, secret),
        });
        Ok(Self {
            bucket,
            credentials,
        })
    }

    pub(super) fn get(&self, client: &Client, key: &str) -> Result<Vec<u8>, FetchError> {
        let get = GetObject::new(&self.bucket, self.credentials.as_ref(), key);
        Ok(client.get(&get.sign(VALID), None)?)
    }

    /// Keys that begin with `prefix`, at most 1,000.
    pub(super) fn list(&self, client: &Client, prefix: &str) -> Result<Vec<String>, FetchError> {
        let mut list = ListObjectsV2::new(&self.bucket, self.credentials.as_ref());
        list.with_prefix(prefix);
        let text = client.text(&list.sign(VALID), None)?;
        let found = ListObjectsV2::parse_response(&text);
        let found = found.map_err(|error| S3Error::List(error.to_string()))?;
        let keys = found.contents.into_iter().map(|object| object.key);
        Ok(keys.map(|key| key.to_string()).collect())
    }
}
