//! Work on threads of its own, and since when it is at it: what spins never ends.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// All that is being worked on.
#[derive(Debug, Clone, Default)]
pub struct Busy(Arc<Mutex<Vec<Instant>>>);

/// A piece of work, until dropped.
#[derive(Debug)]
pub struct Task {
    busy: Busy,
    begin: Instant,
}

impl Busy {
    /// Begins a piece of work.
    pub fn begin(&self) -> Task {
        let begin = Instant::now();
        self.tasks().push(begin);
        Task {
            busy: self.clone(),
            begin,
        }
    }

    /// For how long the oldest piece has been worked on.
    pub fn longest(&self) -> Duration {
        let oldest = self.tasks().iter().min().copied();
        oldest.map_or(Duration::ZERO, |begin| begin.elapsed())
    }

    fn tasks(&self) -> MutexGuard<'_, Vec<Instant>> {
        // A panic elsewhere cannot leave the list half-written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        let mut tasks = self.busy.tasks();
        if let Some(at) = tasks.iter().position(|begin| *begin == self.begin) {
            tasks.swap_remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_piece_of_work_counts_until_it_ends() {
        let busy = Busy::default();
        assert_eq!(busy.longest(), Duration::ZERO);
        let old = busy.begin();
        std::thread::sleep(Duration::from_millis(20));
        let new = busy.begin();
        assert!(busy.longest() >= Duration::from_millis(20));
        drop(old);
        assert!(busy.longest() < Duration::from_millis(20));
        drop(new);
        assert_eq!(busy.longest(), Duration::ZERO);
    }
}
