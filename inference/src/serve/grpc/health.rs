//! `grpc.health.v1`: as ready as the HTTP server says it is.

use super::SERVICE;
use crate::serve::app::App;
use crate::serve::health::check_ready;
use std::time::Duration;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

/// Those that clients may ask about: the whole server has no name.
const SERVICES: [&str; 2] = ["", SERVICE];

/// Time between two looks at the model; what is known to have changed is looked at at once.
const LOOK: Duration = Duration::from_secs(5);

/// Reports whether the server is ready, for ever.
pub(super) async fn follow(app: &'static App, reporter: HealthReporter) {
    let mut changes = app.health.changes();
    loop {
        let status = match check_ready(app, &app.served()) {
            Ok(()) => ServingStatus::Serving,
            Err(_) => ServingStatus::NotServing,
        };
        for service in SERVICES {
            reporter.set_service_status(service, status).await;
        }
        // The sender lives as long as the server.
        let _ = tokio::time::timeout(LOOK, changes.changed()).await;
    }
}

/// Ends the streams of those who watch after a last word, so that their connections can close.
pub(super) async fn end(mut reporter: HealthReporter) {
    for service in SERVICES {
        let status = ServingStatus::NotServing;
        reporter.set_service_status(service, status).await;
        reporter.clear_service_status(service).await;
    }
}
