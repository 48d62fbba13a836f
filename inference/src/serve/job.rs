//! One request, as those see it who answer it: the model, until when an answer is of use, and
//! whether anybody still waits for it.

use super::business::Visit;
use super::error::Error;
use super::served::{Current, Served};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Until when an answer is of use.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    begin: Instant,
    length: Duration,
    /// Whether the client set it.
    of_client: bool,
}

impl Deadline {
    /// `length` from now on.
    pub fn after(length: Duration) -> Self {
        let begin = Instant::now();
        Self {
            begin,
            length,
            of_client: false,
        }
    }

    /// `length` from now on if the client waits no longer, but never later than this.
    #[must_use]
    pub fn sooner(self, length: Duration) -> Self {
        match length < self.length {
            true => Self {
                length,
                of_client: true,
                ..self
            },
            false => self,
        }
    }

    /// The whole time.
    pub const fn length(self) -> Duration {
        self.length
    }

    /// The error that it was missed.
    pub const fn missed(self) -> Error {
        match self.of_client {
            true => Error::Impatient(self.length),
            false => Error::Deadline(self.length),
        }
    }

    /// What is left of it.
    pub fn left(self) -> Duration {
        self.length.saturating_sub(self.begin.elapsed())
    }

    /// # Errors
    /// `Deadline` or `Impatient` if nothing is left of it at `now`.
    fn check(self, now: Instant) -> Result<(), Error> {
        match now.saturating_duration_since(self.begin) < self.length {
            true => Ok(()),
            false => Err(self.missed()),
        }
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub struct Job {
    served: Current,
    deadline: Deadline,
    /// None as long as it cannot be abandoned.
    abandoned: Option<Arc<AtomicBool>>,
    visit: Option<Arc<Visit>>,
}

/// Abandons a job when dropped, which is when nobody waits for its answer any more.
#[derive(Debug)]
pub struct Waiting(Arc<AtomicBool>);

impl Job {
    /// A request to `served`.
    pub fn new(served: Current, deadline: Deadline) -> Self {
        Self {
            served,
            deadline,
            abandoned: None,
            visit: None,
        }
    }

    /// The same, noted in `visit`.
    #[must_use]
    pub fn noted(self, visit: Option<Arc<Visit>>) -> Self {
        Self { visit, ..self }
    }

    /// What metrics of the user's own note about the request, if there are any.
    pub fn visit(&self) -> Option<&Visit> {
        self.visit.as_deref()
    }

    /// Somebody who waits for the answer.
    pub fn waiting(&mut self) -> Waiting {
        Waiting(Arc::clone(self.abandoned.get_or_insert_default()))
    }

    /// Whether an answer is of use at `now`: looked at before work that takes long, and before a
    /// prediction is counted.
    ///
    /// # Errors
    /// `Cancelled` or `Deadline`.
    pub fn check(&self, now: Instant) -> Result<(), Error> {
        let abandoned = self.abandoned.as_ref();
        match abandoned.is_some_and(|abandoned| abandoned.load(Ordering::Relaxed)) {
            true => Err(Error::Cancelled),
            false => self.deadline.check(now),
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
