//! Open Inference Protocol v2 over gRPC, with health checks and reflection.
//!
//! ```text
//! connection → track → unary → calls, infer ─→ open_inference (shared with REST)
//!                        └──── status ←── Error
//! ```
//! tonic frames and unpacks messages; admission, deadlines and metrics are those of HTTP.

mod calls;
mod connection;
mod deadline;
mod exchange;
mod frames;
mod health;
mod infer;
mod messages;
mod progress;
mod reflection;
mod status;
mod unary;

pub use connection::Open;
pub use infer::answer;
pub(super) use status::respond;

use super::app::App;
use super::error::Error;
use super::tls::Acceptor;
use super::track::{TrackLayer, Tracked};
use anyhow::Context as _;
use axum::response::Response;
use axum::routing::{MethodRouter, any_service};
use axum::{Router, middleware};
use contract::labels::Endpoint;
use http::{Method, Uri};
use tokio::net::TcpListener;
use tonic_health::server::HealthReporter;
use unary::{quick, unary};

/// Messages of `proto/open_inference.proto`.
#[allow(missing_docs, clippy::all)]
pub mod proto {
    tonic::include_proto!("inference");
}

/// The service of `proto/open_inference.proto`.
pub const SERVICE: &str = "inference.GRPCInferenceService";

/// Largest message of a health check or a question about the service, in bytes.
const LARGEST_QUESTION: usize = 16 * 1024;

/// Everything that is answered over gRPC, about to be.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    tls: Option<Acceptor>,
    router: Router,
    reporter: HealthReporter,
    app: &'static App,
}

impl Server {
    /// Of `app`, on `listener`, which does not block; inside `tls` if there is any.
    ///
    /// # Errors
    /// If the listener cannot be used, or the description of the service is wrong.
    pub fn new(
        listener: std::net::TcpListener,
        tls: Option<Acceptor>,
        app: &'static App,
    ) -> anyhow::Result<Self> {
        let (reporter, health) = tonic_health::server::health_reporter();
        let health = health.max_decoding_message_size(LARGEST_QUESTION);
        let whole = middleware::from_fn_with_state(app, unary::whole);
        let listener = TcpListener::from_std(listener).context("cannot listen to gRPC")?;
        let router = router(app)?.route(
            "/grpc.health.v1.Health/{method}",
            track(app, Endpoint::GrpcHealth, any_service(health).layer(whole)),
        );
        Ok(Self {
            listener,
            tls,
            router,
            reporter,
            app,
        })
    }

    /// Serves until `stop` is done. Gives back the connections that are open then, each of which
    /// may still answer the requests that it is at.
    pub async fn accept(self, stop: impl Future<Output = ()>) -> Open {
        let following = tokio::spawn(health::follow(self.app, self.reporter.clone()));
        let open = connection::accept(self.listener, self.tls, self.router, stop).await;
        following.abort();
        health::end(self.reporter).await;
        open
    }
}

fn router(app: &'static App) -> anyhow::Result<Router> {
    let methods = methods().into_iter();
    let router = methods.fold(Router::new(), |router, (name, endpoint, method)| {
        let handler = wrong_method;
        let method = method.fallback(Tracked { endpoint, handler });
        router.route(&format!("/{SERVICE}/{name}"), method)
    });
    let unknown = Tracked {
        endpoint: Endpoint::Other,
        handler: unknown,
    };
    let router = router.fallback(unknown).with_state(app);
    reflection::routes(app).map(|reflection| router.merge(reflection))
}

/// Every method of [`SERVICE`].
#[rustfmt::skip]
fn methods() -> Vec<unary::Method> {
    use Endpoint::{GrpcHealth, GrpcInfer, GrpcMetadata, GrpcRepository};
    vec![
        quick("ServerLive", GrpcHealth, calls::server_live),
        quick("ServerReady", GrpcHealth, calls::server_ready),
        quick("ModelReady", GrpcHealth, calls::model_ready),
        quick("ServerMetadata", GrpcMetadata, calls::server_metadata),
        quick("ModelMetadata", GrpcMetadata, calls::model_metadata),
        quick("ModelStatistics", GrpcMetadata, calls::model_statistics),
        unary("ModelInfer", GrpcInfer, infer::model_infer),
        quick("RepositoryIndex", GrpcRepository, calls::repository_index),
        unary("RepositoryModelLoad", GrpcRepository, calls::load),
        quick("RepositoryModelUnload", GrpcRepository, calls::unload),
    ]
}

fn track(app: &'static App, endpoint: Endpoint, service: MethodRouter) -> MethodRouter {
    service.layer(TrackLayer { app, endpoint })
}

async fn unknown(uri: Uri) -> Response {
    status::respond(Error::NoRoute(uri.path().to_owned()))
}

async fn wrong_method(method: Method) -> Response {
    status::respond(Error::Method(method.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message as _;
    use prost_types::FileDescriptorSet;

    #[test]
    fn the_table_has_every_method_of_the_service() {
        let files = FileDescriptorSet::decode(reflection::FILES).unwrap();
        let service = &files.file[0].service[0];
        assert_eq!(
            format!("{}.{}", files.file[0].package(), service.name()),
            SERVICE
        );
        let mut declared = service
            .method
            .iter()
            .map(|method| method.name())
            .collect::<Vec<_>>();
        let mut found = methods().iter().map(|method| method.0).collect::<Vec<_>>();
        declared.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, declared);
    }
}
