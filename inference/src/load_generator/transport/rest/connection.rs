//! One HTTP/1.1 connection.

use super::url::Url;
use crate::load_generator::transport::Failure;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;

/// A connection that is closed when dropped.
#[derive(Debug)]
pub(super) struct Connection {
    host: HeaderValue,
    sender: SendRequest<Full<Bytes>>,
    driver: AbortHandle,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    /// As much of it as was to be kept.
    pub(super) body: Vec<u8>,
}

impl Connection {
    pub(super) async fn open(url: &Url) -> Result<Self, Failure> {
        let stream = TcpStream::connect(&url.address).await;
        let stream = stream.map_err(Failure::connecting)?;
        // Without it a request may wait for the acknowledgement of the one before.
        let _ = stream.set_nodelay(true);
        let shaken = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = shaken.map_err(failure)?;
        // Whatever goes wrong there is told to the request under way, too.
        let driver = tokio::spawn(async move { drop(connection.await) });
        Ok(Self {
            host: url.host.clone(),
            sender,
            driver: driver.abort_handle(),
        })
    }

    /// Whether the server has not closed it.
    pub(super) async fn is_open(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }

    pub(super) async fn get(&mut self, path: &str, keep: usize) -> Result<Reply, Failure> {
        self.exchange(Method::GET, path, String::new(), keep).await
    }

    pub(super) async fn post(
        &mut self,
        path: &str,
        body: String,
        keep: usize,
    ) -> Result<Reply, Failure> {
        self.exchange(Method::POST, path, body, keep).await
    }

    /// Reads the whole answer and keeps the first `keep` bytes of it.
    async fn exchange(
        &mut self,
        method: Method,
        path: &str,
        body: String,
        keep: usize,
    ) -> Result<Reply, Failure> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.host)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::from(body));
        let request = request.map_err(|error| Failure::Unreadable(error.into()))?;
        let response = self.sender.send_request(request).await.map_err(failure)?;
        Ok(Reply {
            status: response.status(),
            body: read(response.into_body(), keep).await?,
        })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Reply {
    /// The `error` of a JSON object, else the text.
    pub(super) fn said(&self) -> String {
        let json = serde_json::from_slice::<Value>(&self.body).ok();
        let error = json.as_ref().and_then(|json| json["error"].as_str());
        let text = || String::from_utf8_lossy(&self.body).trim().to_owned();
        error.map_or_else(text, str::to_owned)
    }
}

async fn read(mut body: Incoming, keep: usize) -> Result<Vec<u8>, Failure> {
    let mut kept = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(failure)?.into_data() {
            let room = keep - kept.len();
            kept.extend_from_slice(&data[..data.len().min(room)]);
        }
    }
    Ok(kept)
}

fn failure(error: hyper::Error) -> Failure {
    match error.is_parse() {
        true => Failure::Unreadable(error.into()),
        false => Failure::Closed(error.into()),
    }
}
