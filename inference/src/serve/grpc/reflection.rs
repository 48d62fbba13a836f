//! Reflection: clients may ask for the messages and methods instead of having the `.proto`.

use super::{LARGEST_QUESTION, track};
use crate::serve::app::App;
use anyhow::Context as _;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::any_service;
use contract::labels::Endpoint;
use futures::{FutureExt as _, StreamExt as _};
use tonic_reflection::server::Builder;
use tower::util::MapRequestLayer;

/// `proto/open_inference.proto`, compiled.
pub(super) const FILES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/open_inference.bin"));

/// Both versions of the service.
///
/// # Errors
/// If the compiled files are damaged.
pub(super) fn routes(app: &'static App) -> anyhow::Result<Router> {
    let files = || {
        Builder::configure()
            .register_encoded_file_descriptor_set(FILES)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let (v1, old) = (files().build_v1(), files().build_v1alpha());
    let v1 = v1
        .context("reflection")?
        .max_decoding_message_size(LARGEST_QUESTION);
    let old = old
        .context("reflection")?
        .max_decoding_message_size(LARGEST_QUESTION);
    let routes = [
        (
            "/grpc.reflection.v1.ServerReflection/{method}",
            any_service(v1),
        ),
        (
            "/grpc.reflection.v1alpha.ServerReflection/{method}",
            any_service(old),
        ),
    ];
    Ok(routes
        .into_iter()
        .fold(Router::new(), |router, (path, service)| {
            let service = track(app, Endpoint::GrpcMetadata, service);
            router.route(
                path,
                service.layer(MapRequestLayer::new(move |request| {
                    until_drained(app, request)
                })),
            )
        }))
}

/// Clients keep their stream of questions open: it ends when the server drains.
fn until_drained(app: &'static App, request: Request) -> Request {
    let drained = async move { app.health.drained().await }.boxed();
    request.map(|body| Body::from_stream(body.into_data_stream().take_until(drained)))
}
