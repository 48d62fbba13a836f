//! Requests that stand for all that were counted with them, so that one gets from a slow bucket to a
//! trace.

use opentelemetry::TraceId;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

/// A recorded request that was counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Exemplar {
    pub(super) trace_id: TraceId,
    pub(super) value: f64,
    pub(super) at: SystemTime,
}

/// The last one of each bucket. There is nothing before the first, so that whoever is not recorded
/// pays nothing.
#[derive(Debug, Default)]
pub(super) struct Exemplars(OnceLock<Box<[Slot]>>);

type Slot = Mutex<Option<Exemplar>>;

impl Exemplars {
    /// Remembers that of `bucket`, one of `buckets`.
    pub(super) fn keep(&self, bucket: usize, buckets: usize, exemplar: Exemplar) {
        let slots = std::iter::repeat_with(Slot::default).take(buckets);
        let slots = self.0.get_or_init(|| slots.collect());
        *slots[bucket].lock().unwrap_or_else(PoisonError::into_inner) = Some(exemplar);
    }

    /// By bucket; empty if there are none.
    pub(super) fn by_bucket(&self) -> Vec<Option<Exemplar>> {
        let slots = self.0.get().into_iter().flatten();
        slots
            .map(|slot| *slot.lock().unwrap_or_else(PoisonError::into_inner))
            .collect()
    }
}
