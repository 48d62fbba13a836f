//! Which model the server serves, and the features that it takes.

use super::connection::Connection;
use super::url::Url;
use crate::load_generator::transport::{Failure, Served};
use http::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Bytes of a description: more than thousands of features need.
const LONGEST: usize = 4 * 1024 * 1024;

/// Why it is not known what the server serves.
#[derive(Debug, thiserror::Error)]
pub enum DescribeError {
    /// No answer.
    #[error("GET {url}")]
    Unanswered {
        /// What was asked.
        url: String,
        /// Why.
        source: Failure,
    },
    /// An answer without success.
    #[error("GET {url}: {status} {said}")]
    Refused {
        /// What was asked.
        url: String,
        /// The answer's status.
        status: StatusCode,
        /// What the server says.
        said: String,
    },
    /// An answer that is not what this server gives.
    #[error("GET {url}: this is no inference server")]
    Other {
        /// What was asked.
        url: String,
        /// Why.
        source: serde_json::Error,
    },
    /// A model that takes nothing.
    #[error("the model {model:?} takes no features")]
    NoFeatures {
        /// Its name.
        model: String,
    },
}

/// Of `GET /health`.
#[derive(Deserialize)]
struct Health {
    model: String,
}

/// Of `GET /v2/models/NAME`.
#[derive(Deserialize)]
struct Metadata {
    inputs: Vec<Input>,
}

#[derive(Deserialize)]
struct Input {
    name: String,
}

/// Asks the server at `url` what it serves; each of two questions is given up after `timeout`.
///
/// # Errors
/// [`DescribeError`], which names the question.
pub async fn describe(url: &Url, timeout: Duration) -> Result<Served, DescribeError> {
    let health: Health = get(url, "/health", timeout).await?;
    let path = format!("/v2/models/{}", health.model);
    let metadata: Metadata = get(url, &path, timeout).await?;
    let features = metadata.inputs.into_iter().map(|input| input.name);
    let features: Vec<String> = features.collect();
    let model = health.model;
    match features.is_empty() {
        true => Err(DescribeError::NoFeatures { model }),
        false => Ok(Served { model, features }),
    }
}

async fn get<T: DeserializeOwned>(
    url: &Url,
    path: &str,
    timeout: Duration,
) -> Result<T, DescribeError> {
    let asked = || format!("{url}{path}");
    let exchange = async {
        let mut connection = Connection::open(url).await?;
        connection.get(&url.path(path), LONGEST).await
    };
    let reply = tokio::time::timeout(timeout, exchange).await;
    let reply = reply.unwrap_or(Err(Failure::Timeout(timeout)));
    let reply = reply.map_err(|source| DescribeError::Unanswered {
        url: asked(),
        source,
    })?;
    if !reply.status.is_success() {
        return Err(DescribeError::Refused {
            url: asked(),
            status: reply.status,
            said: reply.said(),
        });
    }
    serde_json::from_slice(&reply.body).map_err(|source| DescribeError::Other {
        url: asked(),
        source,
    })
}
