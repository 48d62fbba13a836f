//! Whose turn it is: so many reconciles at once, and not all of them in one namespace.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Reconciles that run at once.
const AT_ONCE: usize = 16;
/// Of them those of one namespace, however many ModelServices it has.
const OF_ONE_NAMESPACE: usize = 12;

/// Hands out turns in the order of asking, namespace by namespace.
#[derive(Debug)]
pub struct Turns {
    all: Arc<Semaphore>,
    namespaces: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// The right to reconcile, until dropped.
#[derive(Debug)]
pub struct Turn {
    _of_namespace: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            all: Arc::new(Semaphore::new(AT_ONCE)),
            namespaces: Mutex::default(),
        }
    }
}

impl Turns {
    /// Waits for a turn of `namespace`; None if there are no turns any more.
    pub async fn take(&self, namespace: &str) -> Option<Turn> {
        // First that of the namespace: whoever waits for it takes no place from others.
        let of_namespace = self.of(namespace).acquire_owned().await.ok()?;
        let of_all = Arc::clone(&self.all).acquire_owned().await.ok()?;
        Some(Turn {
            _of_namespace: of_namespace,
            _of_all: of_all,
        })
    }

    /// From now on there are no turns: whoever waits for one is told so.
    pub fn close(&self) {
        self.all.close();
        self.namespaces()
            .values()
            .for_each(|semaphore| semaphore.close());
    }

    fn of(&self, namespace: &str) -> Arc<Semaphore> {
        let mut namespaces = self.namespaces();
        if let Some(known) = namespaces.get(namespace) {
            return Arc::clone(known);
        }
        // Those that nobody uses are forgotten, now and then.
        if namespaces.len().is_power_of_two() {
            namespaces.retain(|_, semaphore| Arc::strong_count(semaphore) > 1);
        }
        let new = Arc::new(Semaphore::new(OF_ONE_NAMESPACE));
        namespaces.insert(namespace.to_owned(), Arc::clone(&new));
        new
    }

    fn namespaces(&self) -> MutexGuard<'_, HashMap<String, Arc<Semaphore>>> {
        // A panic elsewhere cannot leave the map half-written.
        self.namespaces
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    #[test]
    fn a_namespace_with_very_many_leaves_turns_to_others() {
        let turns = Turns::default();
        let held: Vec<_> = (0..1_000)
            .filter_map(|_| turns.take("crowded").now_or_never())
            .collect();
        assert_eq!(held.len(), OF_ONE_NAMESPACE);
        let others = ["a", "b", "c", "d", "e"].map(|name| turns.take(name).now_or_never());
        let found: Vec<_> = others.iter().map(Option::is_some).collect();
        assert_eq!(found, [true, true, true, true, false]);
        drop(held);
        assert!(turns.take("e").now_or_never().is_some());
    }

    #[tokio::test]
    async fn whoever_waits_at_the_end_is_told() {
        let turns = Arc::new(Turns::default());
        let mut held = Vec::new();
        for _ in 0..OF_ONE_NAMESPACE {
            held.push(turns.take("a").await);
        }
        let waiting = tokio::spawn({
            let turns = Arc::clone(&turns);
            async move { turns.take("a").await.is_none() }
        });
        tokio::task::yield_now().await;
        turns.close();
        assert!(waiting.await.unwrap());
        assert!(turns.take("b").await.is_none());
    }

    #[test]
    fn namespaces_without_turns_are_forgotten() {
        let turns = Turns::default();
        for at in 0..10_000 {
            let _ = turns.take(&format!("namespace-{at}")).now_or_never();
        }
        assert!(turns.namespaces.lock().unwrap().len() < 1_000);
    }
}
