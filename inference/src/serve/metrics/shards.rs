//! Numbers that many threads add to at once. Each thread adds to a shard of its own: were there one
//! number for all, its cache line would travel from core to core with every request.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::available_parallelism;

/// Shards for each core: threads are given theirs in turn, and the few that are busy shall not
/// meet.
const SHARDS_PER_CORE: usize = 4;

/// Bounds the memory that a number takes.
const MOST_SHARDS: usize = 16;

/// A power of two.
static SHARDS: LazyLock<usize> = LazyLock::new(|| {
    let cores = available_parallelism().map_or(1, usize::from);
    let wanted = cores.saturating_mul(SHARDS_PER_CORE);
    wanted.next_power_of_two().min(MOST_SHARDS)
});

thread_local! {
    static THREAD: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed)
    };
}

const CELLS_PER_LINE: usize = 8;

/// One cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Line([AtomicU64; CELLS_PER_LINE]);

/// A list of numbers, each of which is the total of its shards.
#[derive(Debug)]
pub(super) struct Shards {
    lines: Box<[Line]>,
    lines_per_shard: usize,
    /// One less than there are shards, a power of two.
    mask: usize,
}

impl Shards {
    /// `numbers` zeros.
    pub(super) fn new(numbers: usize) -> Self {
        let lines_per_shard = numbers.div_ceil(CELLS_PER_LINE);
        let lines = std::iter::repeat_with(Line::default);
        Self {
            lines: lines.take(*SHARDS * lines_per_shard).collect(),
            lines_per_shard,
            mask: *SHARDS - 1,
        }
    }

    /// Adds `amount` to number `at`; wraps around, so that what is taken away may be added too.
    pub(super) fn add(&self, at: usize, amount: u64) {
        self.own(at).fetch_add(amount, Ordering::Relaxed);
    }

    /// Adds `amount` to number `at`, which holds the bits of a float.
    pub(super) fn add_float(&self, at: usize, amount: f64) {
        let add = |bits| Some((f64::from_bits(bits) + amount).to_bits());
        // It is never given up.
        let _ = self
            .own(at)
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// Number `at`.
    pub(super) fn total(&self, at: usize) -> u64 {
        self.all(at).fold(0, u64::wrapping_add)
    }

    /// Number `at`, which holds the bits of a float.
    pub(super) fn total_float(&self, at: usize) -> f64 {
        self.all(at).map(f64::from_bits).sum()
    }

    fn own(&self, at: usize) -> &AtomicU64 {
        let shard = THREAD.with(|thread| thread & self.mask);
        self.cell(shard, at)
    }

    fn all(&self, at: usize) -> impl Iterator<Item = u64> {
        let cells = (0..=self.mask).map(move |shard| self.cell(shard, at));
        cells.map(|cell| cell.load(Ordering::Relaxed))
    }

    fn cell(&self, shard: usize, at: usize) -> &AtomicU64 {
        let line = shard * self.lines_per_shard + at / CELLS_PER_LINE;
        &self.lines[line].0[at % CELLS_PER_LINE]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_many_threads_add_is_all_there() {
        let shards = Shards::new(CELLS_PER_LINE + 1);
        std::thread::scope(|scope| {
            for _ in 0..3 * MOST_SHARDS {
                scope.spawn(|| {
                    for _ in 0..100 {
                        shards.add(0, 3);
                        shards.add(1, 2_u64.wrapping_neg());
                        shards.add_float(CELLS_PER_LINE, 0.5);
                    }
                });
            }
        });
        let added = 300 * MOST_SHARDS;
        assert_eq!(shards.total(0), 3 * added as u64);
        assert_eq!(shards.total(1) as i64, -2 * added as i64);
        assert_eq!(shards.total_float(CELLS_PER_LINE), 0.5 * added as f64);
        assert_eq!(shards.total(2), 0);
    }
}
