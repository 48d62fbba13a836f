//! JSON over HTTP/1.1.

mod body;
mod connection;
mod describe;
mod url;

pub use describe::describe;
pub use url::{Url, UrlError};

use super::{Answer, Client, Failure, Served, Verdict};
use crate::load_generator::request::Request;
use body::Body;
use connection::{Connection, Reply};
use http::StatusCode;
use std::sync::Arc;

/// Bytes of an answer without predictions that are kept.
const LONGEST_SAID: usize = 4096;

/// A client of `/predict` or of `/v2/models/NAME/infer`.
#[derive(Debug)]
pub struct Rest {
    route: Arc<Route>,
    connection: Option<Connection>,
}

/// Where requests go, and in which form.
#[derive(Debug)]
struct Route {
    url: Url,
    path: String,
    body: Body,
}

impl Rest {
    /// A client that sends objects of named features.
    pub fn predict(url: Url, served: &Served) -> Self {
        let path = url.path("/predict");
        let body = Body::named(&served.features);
        Self::new(Route { url, path, body })
    }

    /// A client that sends a tensor, as the Open Inference Protocol has it.
    pub fn v2(url: Url, served: &Served) -> Self {
        let path = url.path(&format!("/v2/models/{}/infer", served.model));
        let body = Body::Tensor;
        Self::new(Route { url, path, body })
    }

    fn new(route: Route) -> Self {
        Self {
            route: Arc::new(route),
            connection: None,
        }
    }

    async fn connect(&mut self) -> Result<Connection, Failure> {
        // The server may have closed it since.
        if let Some(mut connection) = self.connection.take()
            && connection.is_open().await
        {
            return Ok(connection);
        }
        Connection::open(&self.route.url).await
    }
}

impl Client for Rest {
    fn another(&self) -> Self {
        Self {
            route: Arc::clone(&self.route),
            connection: None,
        }
    }

    async fn ask(&mut self, request: &Request) -> Result<Answer, Failure> {
        let mut connection = self.connect().await?;
        let body = self.route.body.write(request);
        let reply = connection
            .post(&self.route.path, body, LONGEST_SAID)
            .await?;
        self.connection = Some(connection);
        Ok(answer(&reply))
    }
}

fn answer(reply: &Reply) -> Answer {
    let verdict = match reply.status {
        status if status.is_success() => Verdict::Accepted,
        StatusCode::BAD_REQUEST => Verdict::Refused,
        _ => Verdict::Failed,
    };
    Answer {
        status: reply.status.as_str().to_owned(),
        verdict,
        said: (verdict != Verdict::Accepted).then(|| reply.said()),
    }
}
