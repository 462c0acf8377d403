//! When a worker last worked, and when the store last answered it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use stepbox_batch::clock::Clock;
use stepbox_batch::ports::RepositoryError;

use crate::timing::LEASE_MS;

/// How often a worker's loop turns at least, in milliseconds, however long it waits for other things.
pub(super) const TURN_MS: u64 = 500;

/// How many errors in a row show that the store returns only errors. The worker asks about three times a
/// second.
const FAILURES_MIN: u64 = 10;

/// The maximum time without a turn of the loop, or without an answer of the store, in milliseconds.
pub(super) fn silent_ms_max(lease_ms: u64) -> u64 {
    lease_ms.max(LEASE_MS)
}

/// What a worker asks the store. At most one question of each kind is open at a time.
#[derive(Debug, Clone, Copy)]
pub(super) enum Question {
    /// Asks for executions to run.
    Claim,
    /// Reports that the worker is alive.
    Beat,
    /// The questions of the services in the background.
    Background,
}

/// When a worker last worked, in ticks of its clock.
pub(super) struct Pulse {
    clock: Arc<dyn Clock>,
    /// When the loop last turned.
    turned: AtomicU64,
    /// Since when each question is open; 0 if it is not open.
    asked: [AtomicU64; 3],
    /// When the store last gave an answer that was no error.
    heard: AtomicU64,
    /// How many of its answers since then were errors.
    failed: AtomicU64,
}

impl Pulse {
    pub(super) fn begin(clock: Arc<dyn Clock>) -> Self {
        let now = clock.ticks_us();
        Self {
            clock,
            turned: AtomicU64::new(now),
            asked: Default::default(),
            heard: AtomicU64::new(now),
            failed: AtomicU64::new(0),
        }
    }

    /// Records that the loop has turned.
    pub(super) fn turn(&self) {
        self.turned.store(self.clock.ticks_us(), Ordering::Relaxed);
    }

    /// Waits for an answer of the store, and records how long that takes. Only an answer that is no error
    /// shows that the store can be used.
    pub(super) async fn asking<T>(
        &self,
        question: Question,
        answer: impl Future<Output = Result<T, RepositoryError>>,
    ) -> Result<T, RepositoryError> {
        let asked = &self.asked[question as usize];
        asked.store(self.clock.ticks_us().max(1), Ordering::Relaxed);
        let answer = answer.await;
        asked.store(0, Ordering::Relaxed);
        if answer.is_ok() {
            self.heard.store(self.clock.ticks_us(), Ordering::Relaxed);
            self.failed.store(0, Ordering::Relaxed);
        } else {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }

    /// How long ago the loop turned, in milliseconds.
    pub(super) fn ms_since_turn(&self) -> u64 {
        self.ms_since(self.turned.load(Ordering::Relaxed))
    }

    /// Whether the store has returned only errors for this time. The number of errors counts too, because a
    /// worker that was suspended has also had no good answer for a long time.
    pub(super) fn has_failed_for(&self, ms: u64) -> bool {
        self.failed.load(Ordering::Relaxed) >= FAILURES_MIN && self.ms_since_heard() >= ms
    }

    /// Whether a question has been open for this time.
    pub(super) fn has_waited_for(&self, ms: u64) -> bool {
        self.ms_open().is_some_and(|open| open >= ms)
    }

    /// How long ago the store gave an answer that was no error, in milliseconds. If a question has been open
    /// for longer, that time counts.
    pub(super) fn ms_since_store(&self) -> u64 {
        self.ms_open().unwrap_or(0).max(self.ms_since_heard())
    }

    fn ms_since_heard(&self) -> u64 {
        self.ms_since(self.heard.load(Ordering::Relaxed))
    }

    /// How long the oldest open question has been open, in milliseconds.
    fn ms_open(&self) -> Option<u64> {
        let asked = self.asked.iter().map(|asked| asked.load(Ordering::Relaxed));
        asked.filter(|asked| *asked > 0).map(|asked| self.ms_since(asked)).max()
    }

    fn ms_since(&self, tick: u64) -> u64 {
        self.clock.ticks_us().saturating_sub(tick) / 1000
    }
}
