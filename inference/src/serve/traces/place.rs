//! Where in a trace the running thread is: what is logged, and what is done for the request, belongs
//! there.

use super::Traces;
use opentelemetry::{SpanId, TraceId};
use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;

thread_local! {
    static HERE: Cell<Option<Place>> = const { Cell::new(None) };
}

/// A span of a trace that a request belongs to.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    pub(super) traces: &'static Traces,
    /// The trace.
    pub trace_id: TraceId,
    /// The request's own span if the trace is recorded, else that of the client.
    pub span_id: SpanId,
    /// Whether the trace is recorded.
    pub recorded: bool,
}

/// Goes back to where the thread was before, even if it panics.
struct Back(Option<Place>);

impl Drop for Back {
    fn drop(&mut self) {
        HERE.set(self.0);
    }
}

/// Where the running thread is, if the request that it works on belongs to a trace.
pub fn here() -> Option<Place> {
    HERE.get()
}

/// Does `work` at `place`.
pub fn at<T>(place: Option<Place>, work: impl FnOnce() -> T) -> T {
    match place {
        None => work(),
        Some(_) => {
            let _back = Back(HERE.replace(place));
            work()
        }
    }
}

/// Waits at `place` for `work`.
pub async fn wait_at<F: Future>(place: Option<Place>, mut work: Pin<&mut F>) -> F::Output {
    poll_fn(|cx| at(place, || work.as_mut().poll(cx))).await
}

/// `work` for another thread, to be done at the place of this one.
pub fn carried<T>(work: impl FnOnce() -> T) -> impl FnOnce() -> T {
    let place = here();
    move || at(place, work)
}
