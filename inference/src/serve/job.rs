//! One request, as those see it who answer it: the model, until when an answer is of use, and
//! whether anybody still waits for it.

use super::error::Error;
use super::served::Served;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Until when an answer is of use.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    begin: Instant,
    length: Duration,
}

impl Deadline {
    /// `length` from now on.
    pub fn after(length: Duration) -> Self {
        let begin = Instant::now();
        Self { begin, length }
    }

    /// The whole time.
    pub const fn length(self) -> Duration {
        self.length
    }

    /// What is left of it.
    pub fn left(self) -> Duration {
        self.length.saturating_sub(self.begin.elapsed())
    }

    /// # Errors
    /// `Deadline` if nothing is left.
    pub fn check(self) -> Result<(), Error> {
        match self.left() {
            Duration::ZERO => Err(Error::Deadline(self.length)),
            _ => Ok(()),
        }
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub struct Job {
    served: Arc<Served>,
    deadline: Deadline,
    /// None as long as it cannot be abandoned.
    abandoned: Option<Arc<AtomicBool>>,
}

/// Abandons a job when dropped, which is when nobody waits for its answer any more.
#[derive(Debug)]
pub struct Waiting(Arc<AtomicBool>);

impl Job {
    /// A request to `served`.
    pub fn new(served: Arc<Served>, deadline: Deadline) -> Self {
        Self {
            served,
            deadline,
            abandoned: None,
        }
    }

    /// Somebody who waits for the answer.
    pub fn waiting(&mut self) -> Waiting {
        Waiting(Arc::clone(self.abandoned.get_or_insert_default()))
    }

    /// Whether an answer is of use: looked at before work that takes long, and before a prediction
    /// is counted.
    ///
    /// # Errors
    /// `Cancelled` or `Deadline`.
    pub fn check(&self) -> Result<(), Error> {
        let abandoned = self.abandoned.as_ref();
        match abandoned.is_some_and(|abandoned| abandoned.load(Ordering::Relaxed)) {
            true => Err(Error::Cancelled),
            false => self.deadline.check(),
        }
    }
}

impl Deref for Job {
    type Target = Served;

    fn deref(&self) -> &Served {
        &self.served
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
