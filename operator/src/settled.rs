//! ModelServices of which nothing was left to do: nothing is, as long as they and all that was seen of
//! them are the same.

use crate::api::ModelService;
use crate::seen::hash_of;
use crate::world::World;
use kube::ResourceExt as _;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A hash of everything that a reconcile is decided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scene(u64);

impl Scene {
    /// Of a ModelService and what was seen of it.
    pub fn new(ms: &ModelService, world: &World) -> Self {
        Self(hash_of(&(ms.uid(), ms.resource_version(), world)))
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Settled(Mutex<HashMap<Box<str>, Scene>>);

impl Settled {
    /// Whether nothing was left to do of the ModelService of this UID in the same scene.
    pub fn holds(&self, uid: &str, scene: Scene) -> bool {
        self.scenes().get(uid) == Some(&scene)
    }

    /// Notes that nothing is left to do in this scene.
    pub fn note(&self, uid: &str, scene: Scene) {
        self.scenes().insert(uid.into(), scene);
    }

    /// Forgets the ModelServices whose UID does not pass.
    pub fn retain(&self, living: impl Fn(&str) -> bool) {
        self.scenes().retain(|uid, _| living(uid));
    }

    fn scenes(&self) -> MutexGuard<'_, HashMap<Box<str>, Scene>> {
        // A panic elsewhere cannot leave the map half-written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
