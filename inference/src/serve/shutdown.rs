//! When the server stops.

use super::app::App;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Longest wait for the requests being worked on.
pub const DRAIN: Duration = Duration::from_secs(20);

/// SIGTERM and SIGINT.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From now on the signals no longer end the process by themselves.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Done once the server is to accept nothing more: readiness is off first, and stays so for
    /// `delay` while requests still come, since load balancers learn of it late.
    pub async fn stop(mut self, app: Arc<App>, delay: Duration) {
        let name = tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        };
        app.health.drain();
        tracing::info!(signal = name, delay_seconds = delay.as_secs(), "stopping");
        tokio::time::sleep(delay).await;
    }
}
