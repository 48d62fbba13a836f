//! Whether this operator may write, and until when.

use tokio::sync::watch;
use tokio::time::Instant;

/// The right to write, as its holder sees it. It ends by itself unless the lease is renewed.
#[derive(Debug, Clone)]
pub struct Leadership(watch::Receiver<Option<Instant>>);

/// Grants and ends the right.
#[derive(Debug)]
pub struct Term(watch::Sender<Option<Instant>>);

/// A write that was not made: another operator may be at work by now.
#[derive(Debug, thiserror::Error)]
#[error("this operator does not lead")]
pub struct NotLeading;

/// A right that nobody has yet.
pub fn leadership() -> (Term, Leadership) {
    let (term, leadership) = watch::channel(None);
    (Term(term), Leadership(leadership))
}

impl Leadership {
    /// Whether there is the right at this moment.
    pub fn holds(&self) -> bool {
        self.0.borrow().is_some_and(|end| Instant::now() < end)
    }

    /// Waits until there is; for ever if there never is.
    pub async fn begin(&self) {
        let mut term = self.0.clone();
        if term.wait_for(Option::is_some).await.is_err() {
            // Whoever could have granted it is gone.
            std::future::pending::<()>().await;
        }
    }
}

impl Term {
    /// There is the right until `end`.
    pub(crate) fn extend(&self, end: Instant) {
        self.0.send_replace(Some(end));
    }

    /// There is none any more.
    pub(crate) fn end(&self) {
        self.0.send_replace(None);
    }

    /// When it ends; None if there is none.
    pub(crate) fn until(&self) -> Option<Instant> {
        self.0.borrow().filter(|end| Instant::now() < *end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn the_right_ends_by_itself() {
        let (term, leadership) = leadership();
        assert!(!leadership.holds());
        term.extend(Instant::now() + Duration::from_secs(10));
        leadership.begin().await;
        tokio::time::advance(Duration::from_millis(9_999)).await;
        assert!(leadership.holds());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!leadership.holds());
        assert_eq!(term.until(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn it_can_be_ended_before() {
        let (term, leadership) = leadership();
        term.extend(Instant::now() + Duration::from_secs(10));
        term.end();
        assert!(!leadership.holds());
    }
}
