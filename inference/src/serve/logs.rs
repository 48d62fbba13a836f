//! Where the log goes and how it looks.

use super::traces;
use std::fmt;
use std::io::{self, IsTerminal as _};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

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
        false => log
            .json()
            .flatten_event(true)
            .map_event_format(Placed)
            .try_init(),
    };
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let message = panic.payload_as_str().unwrap_or_default();
        tracing::error!(place, "panic: {message}");
    }));
}

/// JSON lines that say where in a trace they were written, if they were in one.
struct Placed<F>(F);

impl<S, N, F> FormatEvent<S, N> for Placed<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let Some(place) = traces::here() else {
            return self.0.format_event(context, writer, event);
        };
        let mut line = String::new();
        self.0
            .format_event(context, Writer::new(&mut line), event)?;
        // An object that has a time at least.
        let open = line.strip_suffix("}\n").unwrap_or(&line);
        let (trace, span) = (place.trace_id, place.span_id);
        writeln!(
            writer,
            r#"{open},"trace_id":"{trace}","span_id":"{span}"}}"#
        )
    }
}
