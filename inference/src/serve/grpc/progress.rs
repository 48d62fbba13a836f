//! What a connection waits for its client to do, and since when. All times are in ticks.

use super::frames::Frames;
use crate::serve::stall::{BLOCKED, HEAD, Observer, TICK};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Why a connection is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overdue {
    /// It has had no request for long.
    Idle,
    /// The client neither ends what it has begun nor takes what it has asked for.
    Stalled,
}

/// What is open in one connection.
#[derive(Debug)]
pub(super) struct Progress {
    now: AtomicU32,
    /// The client's greeting, or a head.
    unfinished: Since,
    /// The socket, full of what the client does not read.
    blocked: Since,
    /// Requests, and pieces of answers.
    open: AtomicU32,
    /// Nothing open.
    idle: Since,
    unsent: Unsent,
}

impl Progress {
    /// Of a connection that begins.
    pub(super) fn new() -> Self {
        let progress = Self {
            now: AtomicU32::new(1),
            unfinished: Since::default(),
            blocked: Since::default(),
            open: AtomicU32::new(0),
            idle: Since::default(),
            unsent: Unsent::default(),
        };
        progress.unfinished.set(true, 1);
        progress.idle.set(true, 1);
        progress
    }

    /// Done once the client is late, or has been idle for so many ticks of this wait.
    pub(super) async fn overdue(&self, idle: u32) -> Overdue {
        let begin = self.now();
        loop {
            tokio::time::sleep(TICK).await;
            let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
            if self.is_stalled(now) {
                return Overdue::Stalled;
            }
            if self.idle_ticks(now).min(now - begin) >= idle {
                return Overdue::Idle;
            }
        }
    }

    fn is_stalled(&self, now: u32) -> bool {
        // While nothing can be written, hyper does not read either.
        let late = match self.blocked.ticks(now) {
            Some(blocked) => blocked >= BLOCKED,
            None => self.unfinished.ticks(now) >= Some(HEAD),
        };
        late || self.unsent.is_stuck(now)
    }

    fn idle_ticks(&self, now: u32) -> u32 {
        match self.open.load(Ordering::Relaxed) {
            0 => self.idle.ticks(now).unwrap_or(0),
            _ => 0,
        }
    }

    /// A request or a piece of an answer is there.
    pub(super) fn open(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    /// A request or a piece of an answer is gone.
    pub(super) fn close(&self) {
        self.idle.set(true, self.now());
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// Bytes to be sent, and when some of them last were.
    pub(super) const fn unsent(&self) -> &Unsent {
        &self.unsent
    }

    /// The current tick.
    pub(super) fn now(&self) -> u32 {
        self.now.load(Ordering::Relaxed)
    }
}

/// The tick at which something began, 0 if it is over.
#[derive(Debug, Default)]
struct Since(AtomicU32);

impl Since {
    fn set(&self, begun: bool, now: u32) {
        self.0.store(if begun { now } else { 0 }, Ordering::Relaxed);
    }

    fn ticks(&self, now: u32) -> Option<u32> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            begin => Some(now.saturating_sub(begin)),
        }
    }
}

/// Pieces of answers, counted by the tick at which the client last took something of them.
#[derive(Debug, Default)]
pub(super) struct Unsent([AtomicU32; BLOCKED as usize + 1]);

impl Unsent {
    /// One more.
    pub(super) fn add(&self, tick: u32) {
        self.count(tick).fetch_add(1, Ordering::Relaxed);
    }

    /// One less.
    pub(super) fn remove(&self, tick: u32) {
        self.count(tick).fetch_sub(1, Ordering::Relaxed);
    }

    fn is_stuck(&self, now: u32) -> bool {
        // The oldest count is the one that comes round next.
        self.count(now + 1).load(Ordering::Relaxed) > 0
    }

    const fn count(&self, tick: u32) -> &AtomicU32 {
        &self.0[tick as usize % self.0.len()]
    }
}

/// Follows the frames that a client sends.
#[derive(Debug)]
pub(super) struct FrameObserver {
    frames: Frames,
    progress: Arc<Progress>,
}

impl FrameObserver {
    /// Of a connection that begins.
    pub(super) const fn new(progress: Arc<Progress>) -> Self {
        let frames = Frames::new();
        Self { frames, progress }
    }
}

impl Observer for FrameObserver {
    fn received(&mut self, bytes: &[u8]) {
        // What was begun before and goes on is as late as it was.
        if self.frames.receive(bytes) {
            let unfinished = self.frames.is_unfinished();
            self.progress
                .unfinished
                .set(unfinished, self.progress.now());
        }
    }

    fn wrote(&mut self, blocked: bool) {
        let Progress { blocked: since, .. } = &*self.progress;
        if !blocked || since.ticks(self.progress.now()).is_none() {
            since.set(blocked, self.progress.now());
        }
    }
}

#[cfg(test)]
impl Progress {
    /// Of a connection whose client has said hello.
    pub(super) fn settled() -> Self {
        let progress = Self::new();
        progress.unfinished.set(false, 1);
        progress
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::grpc::frames::PREFACE;
    use std::time::Duration;
    use tokio::time::{Instant, sleep};

    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    const IDLE: u32 = 75;

    fn observed() -> (Arc<Progress>, FrameObserver) {
        let progress = Arc::new(Progress::new());
        (Arc::clone(&progress), FrameObserver::new(progress))
    }

    fn greeted() -> (Arc<Progress>, FrameObserver) {
        let (progress, mut observer) = observed();
        observer.received(&PREFACE);
        observer.received(&SETTINGS);
        (progress, observer)
    }

    async fn ends(progress: &Progress) -> (u64, Overdue) {
        let begin = Instant::now();
        let overdue = progress.overdue(IDLE).await;
        (begin.elapsed().as_secs(), overdue)
    }

    #[tokio::test(start_paused = true)]
    async fn a_greeting_may_take_5_seconds_and_an_idle_connection_75() {
        let (progress, mut observer) = observed();
        observer.received(&PREFACE);
        assert_eq!(ends(&progress).await, (5, Overdue::Stalled));
        let (progress, _) = greeted();
        assert_eq!(ends(&progress).await, (75, Overdue::Idle));
        assert_eq!(progress.overdue(5).await, Overdue::Idle);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_end_the_idle_time_and_begin_it_anew() {
        let (progress, _) = greeted();
        let other = Arc::clone(&progress);
        tokio::spawn(async move {
            sleep(Duration::from_secs(70)).await;
            other.open();
            sleep(Duration::from_secs(100)).await;
            other.close();
        });
        let (seconds, overdue) = ends(&progress).await;
        assert_eq!(overdue, Overdue::Idle);
        assert!((244..=246).contains(&seconds), "{seconds}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_blocked_socket_has_10_seconds_and_excuses_a_head() {
        let (progress, mut observer) = greeted();
        observer.received(&SETTINGS[..3]);
        observer.wrote(true);
        assert_eq!(ends(&progress).await, (10, Overdue::Stalled));
        observer.wrote(false);
        assert_eq!(ends(&progress).await, (1, Overdue::Stalled));
    }
}
