//! A server that answers gRPC on a real socket, and clients of it.

use super::Server;
use http_body_util::BodyExt as _;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use inference::serve::grpc;
use std::net::{SocketAddr, TcpListener};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

pub use inference::serve::grpc::proto::grpc_inference_service_client::GrpcInferenceServiceClient as Client;

/// A running server.
#[derive(Debug)]
pub struct Rpc {
    pub address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<grpc::Open>,
}

impl Rpc {
    pub fn start(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let grpc = grpc::Server::new(listener, None, server.0).unwrap();
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(grpc.accept(async {
            let _ = stopped.await;
        }));
        Self {
            address,
            stop,
            serving,
        }
    }

    pub async fn channel(&self) -> Channel {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address));
        endpoint.unwrap().connect().await.unwrap()
    }

    pub async fn client(&self) -> Client<Channel> {
        Client::new(self.channel().await)
    }

    pub async fn call(&self, method: &str, timeout: &str, message: &[u8]) -> Status {
        let headers = [("grpc-timeout", timeout)];
        self.call_with(method, &headers, message).await
    }

    /// The status of a call by a client that has no mind of its own.
    pub async fn call_with(
        &self,
        method: &str,
        headers: &[(&str, &str)],
        message: &[u8],
    ) -> Status {
        let stream = tokio::net::TcpStream::connect(self.address).await.unwrap();
        let client = http2::Builder::new(TokioExecutor::new());
        let (mut client, connection) = client.handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let length = u32::try_from(message.len()).unwrap();
        let frame = [&[0], length.to_be_bytes().as_slice(), message].concat();
        let uri = format!("http://{}/{}/{method}", self.address, grpc::SERVICE);
        let request = http::Request::post(uri).header("content-type", "application/grpc");
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        });
        let request = request.body(axum::body::Body::from(frame)).unwrap();
        let answer = client.send_request(request).await.unwrap();
        let head = Status::from_header_map(answer.headers());
        match head {
            Some(status) => status,
            None => trailing(answer.into_body()).await,
        }
    }

    /// Accepts nothing more; the connections that are open then.
    pub async fn stop(self) -> grpc::Open {
        self.stop.send(()).unwrap();
        self.serving.await.unwrap()
    }
}

/// The status after a message.
async fn trailing(body: hyper::body::Incoming) -> Status {
    let body = body.collect().await.unwrap();
    Status::from_header_map(body.trailers().unwrap()).unwrap()
}
