//! The time of day, which is virtual too: so that what holds it is the same each time.

use k8s_openapi::jiff::Timestamp;
use std::cell::Cell;
use tokio::time::Instant;

thread_local! {
    static BEGIN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Has the time of day begin, in the runtime of this thread.
pub(crate) fn begin() {
    BEGIN.set(Some(Instant::now()));
}

/// As far after the beginning of the year as it is after [`begin`].
pub(crate) fn now() -> Timestamp {
    let midnight: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    midnight + BEGIN.get().unwrap().elapsed()
}
