//! Which model the server serves, and the features that it takes.

use super::connection::Connection;
use super::url::Url;
use crate::load_generator::transport::{DescribeError, Failure, Served};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Bytes of a description: more than thousands of features need.
const LONGEST: usize = 4 * 1024 * 1024;

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
    Served::new(health.model, features.collect())
}

async fn get<T: DeserializeOwned>(
    url: &Url,
    path: &str,
    timeout: Duration,
) -> Result<T, DescribeError> {
    let asked = || format!("GET {url}{path}");
    let exchange = async {
        let mut connection = Connection::open(url).await?;
        connection.get(&url.path(path), LONGEST).await
    };
    let reply = tokio::time::timeout(timeout, exchange).await;
    let reply = reply.unwrap_or(Err(Failure::Timeout(timeout)));
    let reply = reply.map_err(|source| DescribeError::Unanswered {
        asked: asked(),
        source,
    })?;
    if !reply.status.is_success() {
        return Err(DescribeError::Refused {
            asked: asked(),
            status: reply.status.to_string(),
            said: reply.said(),
        });
    }
    serde_json::from_slice(&reply.body).map_err(|source| DescribeError::Other {
        asked: asked(),
        source,
    })
}
