//! How many rows a chunk takes, so that it takes about as long as the step's settings require, however slow its
//! elements are. A call then ends long before its limit, a checkpoint comes when it is due, and a stop is quick.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::clock::Clock;
use crate::job::{ChunkLimit, ItemSettings};

/// How many rows the first chunk takes at most. It is small, because it is not known yet how long a row takes.
const FIRST_ROWS: u32 = 16;
/// How many times larger a chunk may be than the one before it.
const GROWTH: u32 = 4;
/// The factor by which chunks become smaller after a call reached its time limit.
const SHRINKAGE: u64 = 16;

/// Measures chunks, and limits the size of the next one. Threads share it.
pub(super) struct Pace {
    clock: Arc<dyn Clock>,
    limit: ChunkLimit,
    us: u64,
    rows: AtomicU32,
}

impl Pace {
    pub(super) fn new(settings: &ItemSettings, clock: Arc<dyn Clock>) -> Arc<Self> {
        let rows = AtomicU32::new(settings.chunk.rows.min(FIRST_ROWS));
        let us = settings.chunk_ms.saturating_mul(1000);
        Arc::new(Self { clock, limit: settings.chunk, us, rows })
    }

    /// How large the next chunk may be.
    pub(super) fn limit(&self) -> ChunkLimit {
        ChunkLimit { rows: self.rows.load(Ordering::Relaxed), ..self.limit }
    }

    /// The moment at which something begins, for `us_since`.
    pub(super) fn ticks_us(&self) -> u64 {
        self.clock.ticks_us()
    }

    pub(super) fn us_since(&self, began: u64) -> u64 {
        self.clock.ticks_us().saturating_sub(began)
    }

    /// Notes how long a chunk of `items` items took, from its reading to its writing.
    pub(super) fn took(&self, items: u64, us: u64) {
        let rows = self.rows.load(Ordering::Relaxed);
        // The usual case: the chunk was as large as allowed, and quick.
        if items == 0 || (rows == self.limit.rows && us <= self.us) {
            return;
        }
        let fits = self.us.saturating_mul(items) / us.max(1);
        let fits = u32::try_from(fits).unwrap_or(u32::MAX).min(rows.saturating_mul(GROWTH));
        self.rows.store(fits.clamp(1, self.limit.rows), Ordering::Relaxed);
    }

    /// Notes that a call with `items` items reached its time limit.
    pub(super) fn was_too_slow(&self, items: u64) {
        let fits = u32::try_from(items / SHRINKAGE).unwrap_or(u32::MAX);
        self.rows.store(fits.clamp(1, self.limit.rows), Ordering::Relaxed);
    }
}

impl fmt::Debug for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pace").field("rows", &self.rows).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeClock;

    /// The sizes of successive chunks in rows, if an item takes so many microseconds.
    fn chunks(rows: u32, chunk_ms: u64, us_of_item: impl Fn(usize) -> u64) -> Vec<u32> {
        let limit = ChunkLimit { rows, bytes: u32::MAX };
        let first = AtomicU32::new(rows.min(FIRST_ROWS));
        let pace = Pace { clock: Arc::new(FakeClock::default()), limit, us: chunk_ms * 1000, rows: first };
        let next = |chunk| {
            let rows = pace.limit().rows;
            pace.took(u64::from(rows), u64::from(rows) * us_of_item(chunk));
            rows
        };
        (0..6).map(next).collect()
    }

    #[test]
    fn a_chunk_takes_as_many_rows_as_its_time_allows() {
        // Too fast to be measured, fast, one request for each item, slower than the time of a chunk.
        assert_eq!(chunks(1000, 1000, |_| 0), [16, 64, 256, 1000, 1000, 1000]);
        assert_eq!(chunks(1000, 1000, |_| 10), [16, 64, 256, 1000, 1000, 1000]);
        assert_eq!(chunks(1000, 1000, |_| 75_000), [16, 13, 13, 13, 13, 13]);
        assert_eq!(chunks(1000, 1000, |_| 5_000_000), [16, 1, 1, 1, 1, 1]);
        assert_eq!(chunks(1000, 100, |_| 1000), [16, 64, 100, 100, 100, 100]);
        assert_eq!(chunks(5, 1000, |_| 10), [5; 6]);
        // After one slow chunk, the size soon grows back to its former value.
        let slow_once = |chunk| if chunk == 3 { 100_000 } else { 10 };
        assert_eq!(chunks(1000, 1000, slow_once), [16, 64, 256, 1000, 10, 40]);
    }

    #[test]
    fn what_ran_into_the_limit_of_a_call_becomes_much_smaller() {
        let limit = ChunkLimit { rows: 1000, bytes: u32::MAX };
        let clock = Arc::new(FakeClock::default());
        let pace = Pace { clock, limit, us: 1_000_000, rows: AtomicU32::new(1000) };
        for (items, rows) in [(1000, 62), (62, 3), (3, 1), (1, 1)] {
            pace.was_too_slow(items);
            assert_eq!(pace.limit().rows, rows);
        }
    }
}
