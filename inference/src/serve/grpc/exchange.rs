//! A request and its answer, until the last byte of it is sent or given up.
//!
//! hyper drops an answer's body once HTTP/2 has taken over its last piece, however little of that
//! the client lets it send. So the pieces themselves tell when they move, and when they are gone.

use super::progress::Progress;
use axum::body::Body;
use bytes::{Buf, Bytes};
use http_body_util::BodyExt as _;
use std::sync::Arc;

/// Counted as open in its connection until it is dropped.
#[derive(Debug)]
pub(super) struct Exchange(Arc<Progress>);

impl Exchange {
    /// In the connection of `progress`.
    pub(super) fn begin(progress: &Arc<Progress>) -> Self {
        progress.open();
        Self(Arc::clone(progress))
    }

    /// `body`, whose pieces tell how they are sent.
    pub(super) fn answer(
        self,
        body: Body,
    ) -> impl hyper::body::Body<Data = Piece, Error = axum::Error> {
        body.map_frame(move |frame| frame.map_data(|bytes| Piece::new(bytes, &self.0)))
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Bytes of an answer that are still to be sent.
#[derive(Debug)]
pub(super) struct Piece {
    bytes: Bytes,
    /// Tick at which some of them were sent last.
    moved: u32,
    exchange: Exchange,
}

impl Piece {
    fn new(bytes: Bytes, progress: &Arc<Progress>) -> Self {
        let moved = progress.now();
        progress.unsent().add(moved);
        Self {
            bytes,
            moved,
            exchange: Exchange::begin(progress),
        }
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        let Exchange(progress) = &self.exchange;
        let now = progress.now();
        if now != self.moved {
            progress.unsent().add(now);
            progress.unsent().remove(self.moved);
            self.moved = now;
        }
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.exchange.0.unsent().remove(self.moved);
    }
}

#[cfg(test)]
mod tests {
    use super::super::progress::Overdue;
    use super::*;
    use std::time::Duration;
    use tokio::time::{Instant, sleep};

    const NEVER: u32 = u32::MAX;

    #[tokio::test(start_paused = true)]
    async fn a_piece_may_rest_for_10_seconds_however_the_others_move() {
        let progress = Arc::new(Progress::settled());
        let piece = || Piece::new(Bytes::from_static(&[0; 100]), &progress);
        let (_resting, gone, mut moving) = (piece(), piece(), piece());
        drop(gone);
        tokio::spawn(async move {
            loop {
                sleep(Duration::from_secs(1)).await;
                moving.advance(1);
            }
        });
        let begin = Instant::now();
        assert_eq!(progress.overdue(NEVER).await, Overdue::Stalled);
        assert_eq!(begin.elapsed().as_secs(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_piece_that_moves_may_take_as_long_as_it_likes() {
        let progress = Arc::new(Progress::settled());
        let mut piece = Piece::new(Bytes::from_static(&[0; 100]), &progress);
        let moving = async {
            for _ in 0..100 {
                sleep(Duration::from_secs(8)).await;
                piece.advance(1);
            }
        };
        tokio::select! {
            overdue = progress.overdue(NEVER) => panic!("{overdue:?}"),
            () = moving => {}
        }
    }
}
