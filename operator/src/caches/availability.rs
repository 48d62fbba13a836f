//! Whether the API server knows a kind, as the newest answer to its watch says.

use kube::runtime::watcher::{self, Event};
use std::sync::atomic::{AtomicU8, Ordering};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Availability(AtomicU8);

impl Availability {
    const ABSENT: u8 = 1;
    const PRESENT: u8 = 2;

    /// Notes an answer; true if it differs from what was known before.
    pub(super) fn note<K>(&self, answer: &watcher::Result<Event<K>>) -> bool {
        let now = match answer {
            Ok(Event::Init | Event::InitApply(_)) => return false,
            Ok(Event::InitDone | Event::Apply(_) | Event::Delete(_)) => Self::PRESENT,
            Err(error) if is_unknown_kind(error) => Self::ABSENT,
            // Any other fault says nothing about the kind; but nothing waits for it at the start.
            Err(_) if self.is_known() => return false,
            Err(_) => Self::ABSENT,
        };
        self.0.swap(now, Ordering::AcqRel) != now
    }

    pub(super) fn is_known(&self) -> bool {
        self.0.load(Ordering::Acquire) != 0
    }

    pub(super) fn is_present(&self) -> bool {
        self.0.load(Ordering::Acquire) == Self::PRESENT
    }
}

/// Whether a watch failed as there is no such kind.
pub(super) fn is_unknown_kind(error: &watcher::Error) -> bool {
    status_code(error) == Some(404)
}

/// Whether a watch failed as there is no such kind, or none that the operator may see.
pub(super) fn is_refusal(error: &watcher::Error) -> bool {
    matches!(status_code(error), Some(403 | 404))
}

fn status_code(error: &watcher::Error) -> Option<u16> {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status)) => Some(status.code),
        watcher::Error::WatchError(status) => Some(status.code),
        watcher::Error::InitialListFailed(_)
        | watcher::Error::WatchStartFailed(_)
        | watcher::Error::WatchFailed(_)
        | watcher::Error::NoResourceVersion => None,
    }
}
