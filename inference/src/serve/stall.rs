//! Cuts connections on which nothing happens for too long.
//!
//! hyper's own limit on heads also counts the pause between two requests. That pause must be
//! longer than a head may take: a client that finds its idle connection closed just as it sends
//! the next request sees a failure.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Time between two looks at a connection.
pub const TICK: Duration = Duration::from_secs(1);
/// Ticks for which a connection may stay open without a request.
pub const IDLE: u32 = 75;
/// Ticks that a head may take.
pub const HEAD: u32 = 5;
/// Ticks for which a client may take nothing of an answer.
pub const BLOCKED: u32 = 10;

/// What a connection is waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// For the first byte of the next request.
    Idle = 0,
    /// For the rest of a request's head.
    Head = 1,
    /// For the answer: limited by the handlers.
    Busy = 2,
    /// For the client to read an answer that is larger than the kernel's buffers.
    Blocked = 3,
}

impl Stage {
    /// Ticks for which a connection may stay in this stage.
    const fn patience(self) -> u32 {
        match self {
            Self::Idle => IDLE,
            Self::Head => HEAD,
            Self::Busy => u32::MAX,
            Self::Blocked => BLOCKED,
        }
    }
}

/// The stage of one connection, and how often it has changed.
#[derive(Debug, Clone)]
pub struct Progress(Arc<AtomicU32>);

impl Progress {
    /// Of a connection whose first head is to come.
    pub fn new() -> Self {
        Self(Arc::new(AtomicU32::new(Stage::Head as u32)))
    }

    /// A head is complete.
    pub fn busy(&self) {
        self.enter(Stage::Busy);
    }

    /// An answer is complete.
    pub fn idle(&self) {
        self.enter(Stage::Idle);
    }

    /// The stage is in the lowest two bits, the number of changes above.
    fn enter(&self, stage: Stage) {
        let changes = self.0.load(Ordering::Relaxed) >> 2;
        let next = changes.wrapping_add(1) << 2 | stage as u32;
        self.0.store(next, Ordering::Relaxed);
    }

    fn stage(&self) -> Stage {
        match self.0.load(Ordering::Relaxed) & 3 {
            0 => Stage::Idle,
            1 => Stage::Head,
            2 => Stage::Busy,
            _ => Stage::Blocked,
        }
    }

    /// Done once one stage lasts too long.
    async fn stalled(&self) {
        let mut seen = self.0.load(Ordering::Relaxed);
        let mut ticks = 0;
        while ticks < self.stage().patience() {
            tokio::time::sleep(TICK).await;
            let now = self.0.load(Ordering::Relaxed);
            ticks = if now == seen { ticks + 1 } else { 0 };
            seen = now;
        }
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

/// Hears of what passes through a connection.
pub trait Observer: Unpin {
    /// `bytes` have come.
    fn received(&mut self, bytes: &[u8]);

    /// An attempt to write ended; it is `blocked` if the client does not read.
    fn wrote(&mut self, blocked: bool);
}

impl Observer for Progress {
    fn received(&mut self, _: &[u8]) {
        if self.stage() == Stage::Idle {
            self.enter(Stage::Head);
        }
    }

    fn wrote(&mut self, blocked: bool) {
        match (self.stage(), blocked) {
            (Stage::Idle, true) => self.enter(Stage::Blocked),
            (Stage::Blocked, false) => self.enter(Stage::Idle),
            _ => {}
        }
    }
}

/// Runs `connection` to its end, or until it stalls: then None.
pub async fn watch<F: Future>(connection: F, progress: Progress) -> Option<F::Output> {
    let connection = pin!(connection);
    tokio::select! {
        end = connection => Some(end),
        () = progress.stalled() => None,
    }
}

/// A connection that tells an observer what passes.
#[derive(Debug)]
pub struct Watched<S, O> {
    stream: S,
    observer: O,
}

impl<S, O> Watched<S, O> {
    /// `stream`, of which `observer` is told.
    pub const fn new(stream: S, observer: O) -> Self {
        Self { stream, observer }
    }
}

impl<S: AsyncRead + Unpin, O: Observer> AsyncRead for Watched<S, O> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let received = &buffer.filled()[before..];
        if !received.is_empty() {
            self.observer.received(received);
        }
        outcome
    }
}

impl<S: AsyncWrite + Unpin, O: Observer> AsyncWrite for Watched<S, O> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.observer.wrote(outcome.is_pending());
        outcome
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.observer.wrote(outcome.is_pending());
        outcome
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::{Instant, timeout};

    async fn patience(progress: Progress) -> u64 {
        let begin = Instant::now();
        let watched = watch(std::future::pending::<()>(), progress);
        match timeout(Duration::from_secs(1000), watched).await {
            Ok(_) => begin.elapsed().as_secs(),
            Err(_) => 1000,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_stage_has_its_patience() {
        let mut progress = Progress::new();
        assert_eq!(patience(progress.clone()).await, 5);
        progress.busy();
        assert_eq!(patience(progress.clone()).await, 1000);
        progress.idle();
        assert_eq!(patience(progress.clone()).await, 75);
        progress.wrote(true);
        assert_eq!(patience(progress.clone()).await, 10);
        progress.wrote(false);
        assert_eq!(patience(progress.clone()).await, 75);
        progress.received(b"x");
        assert_eq!(patience(progress.clone()).await, 5);
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_of_a_head_buy_no_time_but_requests_do() {
        let progress = Progress::new();
        let mut feeder = progress.clone();
        tokio::spawn(async move {
            for second in 0..20 {
                tokio::time::sleep(TICK).await;
                feeder.received(b"x");
                if second < 10 {
                    feeder.busy();
                    feeder.idle();
                    feeder.received(b"x");
                }
            }
        });
        let lasted = patience(progress).await;
        assert!((14..=16).contains(&lasted), "{lasted}");
    }
}
