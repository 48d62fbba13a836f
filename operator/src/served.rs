//! The model that pods say they serve, where the spec leaves it to them which one that is.

use crate::api::ModelStatus;
use crate::world::SeenPod;
use bytes::Bytes;
use contract::endpoints::HTTP;
use http::{Request, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower::BoxError;

/// For the whole question: a pod that is ready answers at once.
const PATIENCE: Duration = Duration::from_secs(2);
const LARGEST_ANSWER: usize = 64 * 1024;

/// What the newest ready pod that stays says; None if there is none, or it does not say.
pub async fn served(pods: &[Arc<SeenPod>]) -> Option<ModelStatus> {
    let ready = pods.iter();
    let ready = ready.filter(|pod| pod.details.ready && !pod.details.over);
    let newest = ready.max_by_key(|pod| (pod.details.created, &pod.name))?;
    let address = (newest.details.address?, HTTP.number);
    let answer = timeout(PATIENCE, ask(address.into())).await;
    match answer.map_err(BoxError::from).flatten() {
        Ok(model) => Some(model),
        Err(error) => {
            tracing::debug!(pod = %newest.name, %error, "the pod does not say what it serves");
            None
        }
    }
}

async fn ask(address: SocketAddr) -> Result<ModelStatus, BoxError> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    let request = Request::get("/health")
        .header(header::HOST, address.to_string())
        .body(Empty::<Bytes>::new())?;
    // It ends with `sender`.
    tokio::spawn(connection);
    let answer = sender.send_request(request).await?;
    let body = Limited::new(answer.into_body(), LARGEST_ANSWER);
    Ok(serde_json::from_slice(&body.collect().await?.to_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seen::ReadPod;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    /// Answers one request with `body`.
    async fn pod_that_says(body: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 1024];
            let length = stream.read(&mut head).await.unwrap();
            assert!(head[..length].starts_with(b"GET /health HTTP/1.1\r\n"));
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(body.as_bytes()).await.unwrap();
        });
        address
    }

    #[tokio::test]
    async fn a_pod_says_version_and_checksum() {
        let address = pod_that_says(r#"{"status":"ok","version":"7","sha256":"ab"}"#).await;
        let expected = ModelStatus {
            version: Some("7".to_owned()),
            sha256: Some("ab".to_owned()),
        };
        assert_eq!(ask(address).await.unwrap(), expected);
    }

    #[tokio::test]
    async fn nonsense_is_no_answer() {
        for body in ["", "no", r#"{"version":7}"#] {
            assert!(ask(pod_that_says(body).await).await.is_err());
        }
    }

    #[tokio::test]
    async fn nobody_is_asked_where_no_pod_is_ready_and_stays() {
        let goes = "deletionTimestamp: '2026-01-01T00:00:00Z'";
        for (about, is_ready) in [("", "False"), (goes, "True")] {
            let text = format!(
                "metadata: {{name: a, {about}}}\n\
                 status: {{podIP: 127.0.0.1, conditions: [{{type: Ready, status: '{is_ready}'}}]}}\n"
            );
            let pod: ReadPod = crate::yaml::parse(&text).unwrap();
            assert_eq!(served(&[Arc::new(SeenPod::new(&pod))]).await, None);
        }
    }
}
