//! Cuts connections on which nothing happens for too long.
//!
//! hyper's own limit on heads also counts the pause between two requests. That pause must be
//! longer than a head may take: a client that finds its idle connection closed just as it sends
//! the next request sees a failure.

use hyper_util::rt::TokioIo;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Time between two looks at a connection.
const TICK: Duration = Duration::from_secs(1);

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
            Self::Idle => 75,
            Self::Head => 5,
            Self::Busy => u32::MAX,
            Self::Blocked => 10,
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

    /// Bytes have come.
    fn received(&self) {
        if self.stage() == Stage::Idle {
            self.enter(Stage::Head);
        }
    }

    /// An attempt to write ended: pending if the client does not read.
    fn wrote(&self, outcome: &Poll<io::Result<usize>>) {
        match (self.stage(), outcome.is_pending()) {
            (Stage::Idle, true) => self.enter(Stage::Blocked),
            (Stage::Blocked, false) => self.enter(Stage::Idle),
            _ => {}
        }
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

/// Runs `connection` to its end, or until it stalls.
pub async fn watch(connection: impl Future, progress: Progress) {
    let connection = pin!(connection);
    tokio::select! {
        _ = connection => {}
        () = progress.stalled() => {}
    }
}

/// A connection that tells when bytes come.
#[derive(Debug)]
pub struct Watched<S> {
    stream: S,
    progress: Progress,
}

impl<S> Watched<S> {
    /// `stream`, in the form that hyper takes.
    pub fn new(stream: S, progress: Progress) -> TokioIo<Self> {
        TokioIo::new(Self { stream, progress })
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.progress.received();
        }
        outcome
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.progress.wrote(&outcome);
        outcome
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.progress.wrote(&outcome);
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
            Ok(()) => begin.elapsed().as_secs(),
            Err(_) => 1000,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_stage_has_its_patience() {
        let progress = Progress::new();
        assert_eq!(patience(progress.clone()).await, 5);
        progress.busy();
        assert_eq!(patience(progress.clone()).await, 1000);
        progress.idle();
        assert_eq!(patience(progress.clone()).await, 75);
        progress.wrote(&Poll::Pending);
        assert_eq!(patience(progress.clone()).await, 10);
        progress.wrote(&Poll::Ready(Ok(1)));
        assert_eq!(patience(progress.clone()).await, 75);
        progress.received();
        assert_eq!(patience(progress.clone()).await, 5);
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_of_a_head_buy_no_time_but_requests_do() {
        let progress = Progress::new();
        let feeder = progress.clone();
        tokio::spawn(async move {
            for second in 0..20 {
                tokio::time::sleep(TICK).await;
                feeder.received();
                if second < 10 {
                    feeder.busy();
                    feeder.idle();
                    feeder.received();
                }
            }
        });
        let lasted = patience(progress).await;
        assert!((14..=16).contains(&lasted), "{lasted}");
    }
}
