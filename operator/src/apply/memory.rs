//! What is known of children, so that the same need not be written, or looked for, again.

use crate::seen::hash_of;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is known of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// It was written: the hash of what was sent, and the fingerprint of what the API server made of it.
    Written { sent: u64, live: u64 },
    /// It is not there, even without the label by which the caches find it.
    Absent,
    /// It may be there.
    Doubtful,
}

/// Children by the UID of their ModelService, and then by hash of kind and name.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<HashMap<Box<str>, HashMap<u64, Known>>>);

impl Memory {
    /// What is known of the child of this kind and name.
    pub(super) fn of(&self, uid: &str, kind: &str, name: &str) -> Option<Known> {
        self.children()
            .get(uid)?
            .get(&hash_of(&(kind, name)))
            .copied()
    }

    pub(super) fn note(&self, uid: &str, kind: &str, name: &str, known: Known) {
        let mut children = self.children();
        let children = children.entry(uid.into()).or_default();
        children.insert(hash_of(&(kind, name)), known);
    }

    /// Forgets a child.
    pub(super) fn forget(&self, uid: &str, kind: &str, name: &str) {
        if let Some(children) = self.children().get_mut(uid) {
            children.remove(&hash_of(&(kind, name)));
        }
    }

    /// Forgets the ModelServices whose UID does not pass.
    pub(super) fn retain(&self, living: impl Fn(&str) -> bool) {
        self.children().retain(|uid, _| living(uid));
    }

    fn children(&self) -> MutexGuard<'_, HashMap<Box<str>, HashMap<u64, Known>>> {
        // A panic elsewhere cannot leave the map half-written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
