//! `bare-hyper PORT`: hyper answers every request the same and reads none of them: what the stack
//! costs before it does anything.

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use peers::Outcome;
use std::convert::Infallible;

const ANSWER: &[u8] = br#"{"predictions":[{"outcome":1}]}"#;

async fn answer(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(ANSWER))))
}

#[tokio::main]
async fn main() -> Outcome {
    let [port] = peers::arguments("bare-hyper PORT")?;
    let listener = peers::listen(&port).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let connection =
            http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
        tokio::spawn(connection);
    }
}
