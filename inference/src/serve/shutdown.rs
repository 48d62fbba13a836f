//! When the server stops, and how.

use super::app::App;
use std::io;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that the server listens to.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From now on SIGTERM and SIGINT no longer end the process by themselves.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// From now on SIGHUP no longer ends the process by itself.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub fn hangup() -> io::Result<Signal> {
        signal(SignalKind::hangup())
    }

    /// Name of the next signal to stop.
    pub async fn stop(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Done once the server is to accept nothing more: readiness is off first, and stays so for
/// `delay` while requests still come, since load balancers learn of it late. A second signal ends
/// that wait.
pub async fn begin(signals: &mut Signals, app: &App, delay: Duration) {
    let name = signals.stop().await;
    app.health.drain();
    tracing::info!(signal = name, delay_seconds = delay.as_secs(), "stopping");
    let _ = tokio::time::timeout(delay, signals.stop()).await;
}

/// Waits until the requests of `open` connections are answered, but neither longer than `longest` nor
/// after another signal.
pub async fn finish(open: impl Future<Output = ()>, signals: &mut Signals, longest: Duration) {
    let reason = tokio::select! {
        () = open => return tracing::info!("stopped"),
        () = tokio::time::sleep(longest) => "they took too long",
        name = signals.stop() => name,
    };
    tracing::warn!(reason, "stopped with requests unanswered");
}
