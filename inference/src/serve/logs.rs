//! Where the log goes and how it looks.

use std::io::{self, IsTerminal as _};
use tracing_subscriber::EnvFilter;

/// Logs, panics included, to standard error: text for a person on a terminal, else JSON lines. `RUST_LOG` filters.
pub fn start() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_target(false);
    // A second start, as in tests, keeps the first.
    let _ = match io::stderr().is_terminal() {
        true => log.try_init(),
        false => log.json().flatten_event(true).try_init(),
    };
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let message = panic.payload_as_str().unwrap_or_default();
        tracing::error!(place, "panic: {message}");
    }));
}
