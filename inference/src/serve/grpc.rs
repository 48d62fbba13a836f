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
use super::track::TrackLayer;
use anyhow::Context as _;
use axum::response::Response;
use axum::routing::{MethodRouter, any, any_service};
use axum::{Router, middleware};
use contract::labels::Endpoint;
use http::{Method, Uri};
use std::sync::Arc;
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
    app: Arc<App>,
}

impl Server {
    /// Of `app`, on `listener`, which does not block; inside `tls` if there is any.
    ///
    /// # Errors
    /// If the listener cannot be used, or the description of the service is wrong.
    pub fn new(
        listener: std::net::TcpListener,
        tls: Option<Acceptor>,
        app: &Arc<App>,
    ) -> anyhow::Result<Self> {
        let (reporter, health) = tonic_health::server::health_reporter();
        let health = health.max_decoding_message_size(LARGEST_QUESTION);
        let whole = middleware::from_fn_with_state(Arc::clone(app), unary::whole);
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
            app: Arc::clone(app),
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

fn router(app: &Arc<App>) -> anyhow::Result<Router> {
    let methods = methods()
        .into_iter()
        .fold(Router::new(), |router, (name, endpoint, method)| {
            let method = method.fallback(wrong_method);
            router.route(&format!("/{SERVICE}/{name}"), track(app, endpoint, method))
        });
    let unknown = track(app, Endpoint::Other, any(unknown));
    let router = methods
        .fallback_service(unknown.with_state(Arc::clone(app)))
        .with_state(Arc::clone(app));
    reflection::routes(app).map(|reflection| router.merge(reflection))
}

/// Every method of [`SERVICE`].
#[rustfmt::skip]
fn methods() -> Vec<(&'static str, Endpoint, MethodRouter<Arc<App>>)> {
    use Endpoint::{GrpcHealth, GrpcInfer, GrpcMetadata, GrpcRepository};
    vec![
        ("ServerLive", GrpcHealth, quick(GrpcHealth, calls::server_live)),
        ("ServerReady", GrpcHealth, quick(GrpcHealth, calls::server_ready)),
        ("ModelReady", GrpcHealth, quick(GrpcHealth, calls::model_ready)),
        ("ServerMetadata", GrpcMetadata, quick(GrpcMetadata, calls::server_metadata)),
        ("ModelMetadata", GrpcMetadata, quick(GrpcMetadata, calls::model_metadata)),
        ("ModelStatistics", GrpcMetadata, quick(GrpcMetadata, calls::model_statistics)),
        ("ModelInfer", GrpcInfer, unary(GrpcInfer, infer::model_infer)),
        ("RepositoryIndex", GrpcRepository, quick(GrpcRepository, calls::repository_index)),
        ("RepositoryModelLoad", GrpcRepository, unary(GrpcRepository, calls::load)),
        ("RepositoryModelUnload", GrpcRepository, quick(GrpcRepository, calls::unload)),
    ]
}

fn track<S: Clone + Send + Sync + 'static>(
    app: &Arc<App>,
    endpoint: Endpoint,
    methods: MethodRouter<S>,
) -> MethodRouter<S> {
    methods.layer(TrackLayer::new(Arc::clone(app), endpoint))
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
