//! How much of what clients send is kept in memory at once.

use super::error::Error;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What the server needs besides, however many clients there are.
const RESERVE: u64 = 24 << 20;
/// What is kept where nothing limits the memory.
const UNLIMITED: u64 = 256 << 20;

/// Bytes that bodies may take together.
#[derive(Debug, Clone)]
pub struct Budget {
    free: Arc<Semaphore>,
    bytes: u64,
}

/// A part of the budget, given back when dropped.
#[derive(Debug)]
pub struct Share {
    budget: Budget,
    held: Option<OwnedSemaphorePermit>,
}

impl Budget {
    /// Half of what `memory` leaves, since what is read of a body takes memory too; at least one
    /// body of `largest` bytes.
    pub fn new(memory: Option<u64>, largest: u64) -> Self {
        let bytes = memory.map_or(UNLIMITED, |memory| memory.saturating_sub(RESERVE) / 2);
        let bytes = bytes.max(largest);
        let permits = usize::try_from(bytes).unwrap_or(usize::MAX);
        Self {
            free: Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS))),
            bytes,
        }
    }

    /// A part of nothing, to be grown.
    pub fn share(&self) -> Share {
        Share {
            budget: self.clone(),
            held: None,
        }
    }
}

impl Share {
    /// Takes what it lacks of `bytes`.
    ///
    /// # Errors
    /// `Crowded` if there are not as many.
    pub fn grow_to(&mut self, bytes: usize) -> Result<(), Error> {
        let held = self.held.as_ref();
        let held = held.map_or(0, OwnedSemaphorePermit::num_permits);
        self.grow(bytes.saturating_sub(held))
    }

    /// Takes `bytes` more.
    ///
    /// # Errors
    /// `Crowded` if there are not as many.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Error> {
        let crowded = Error::Crowded(self.budget.bytes);
        let Ok(permits) = u32::try_from(bytes) else {
            return Err(crowded);
        };
        let free = Arc::clone(&self.budget.free);
        let more = free.try_acquire_many_owned(permits).map_err(|_| crowded)?;
        match &mut self.held {
            Some(held) => held.merge(more),
            None => self.held = Some(more),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const MIB: u64 = 1 << 20;

    #[rstest]
    #[case(None, 256 * MIB)]
    #[case(Some(64 * MIB), 20 * MIB)]
    #[case(Some(16 * MIB), 8 * MIB)]
    fn the_budget_follows_the_memory(#[case] memory: Option<u64>, #[case] expected: u64) {
        assert_eq!(Budget::new(memory, 8 * MIB).bytes, expected);
    }

    #[test]
    fn shares_never_exceed_the_budget_and_are_given_back() {
        let budget = Budget::new(Some(0), 100);
        let (mut one, mut other) = (budget.share(), budget.share());
        one.grow(40).unwrap();
        one.grow(20).unwrap();
        assert_eq!(other.grow(41), Err(Error::Crowded(100)));
        other.grow(40).unwrap();
        drop(one);
        other.grow(60).unwrap();
        assert_eq!(budget.share().grow(1), Err(Error::Crowded(100)));
        drop(other);
        let mut growing = budget.share();
        growing.grow_to(60).unwrap();
        growing.grow_to(100).unwrap();
        assert_eq!(growing.grow_to(101), Err(Error::Crowded(100)));
    }
}
