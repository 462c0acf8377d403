//! When a worker was last seen to work, and when the store last answered it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use stepbox_batch::clock::Clock;
use stepbox_batch::ports::RepositoryError;

use crate::timing::LEASE_MS;

/// How often a worker's loop turns at least, in milliseconds, however long it has to wait for anything.
pub(super) const TURN_MS: u64 = 500;

/// How many errors in a row it takes to believe that the store answers with nothing else. The worker asks some three
/// times in a second.
const FAILURES_MIN: u64 = 10;

/// How long the loop may not have turned, or the store not have answered, in milliseconds.
pub(super) fn silent_ms_max(lease_ms: u64) -> u64 {
    lease_ms.max(LEASE_MS)
}

/// What a worker asks the store. One question of each kind may be open at a time.
#[derive(Debug, Clone, Copy)]
pub(super) enum Question {
    /// For executions to run.
    Claim,
    /// To say that the worker lives.
    Beat,
    /// What the services in the background ask.
    Background,
}

/// When a worker was last seen to work, in ticks of its clock.
pub(super) struct Pulse {
    clock: Arc<dyn Clock>,
    /// When the loop turned.
    turned: AtomicU64,
    /// Since when each question is open; 0 while it is not.
    asked: [AtomicU64; 3],
    /// When the store gave an answer that was no error.
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

    /// Notes that the loop has turned.
    pub(super) fn turn(&self) {
        self.turned.store(self.clock.ticks_us(), Ordering::Relaxed);
    }

    /// Waits for an answer of the store, and notes how long that takes. Only an answer that is no error shows that the
    /// store can be worked with.
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

    /// Whether the store has answered with nothing but errors for so long. The store must have been asked, too: a worker
    /// that was suspended has not heard of it either.
    pub(super) fn has_failed_for(&self, ms: u64) -> bool {
        self.failed.load(Ordering::Relaxed) >= FAILURES_MIN && self.ms_since_heard() >= ms
    }

    /// Whether a question has been open for so long.
    pub(super) fn has_waited_for(&self, ms: u64) -> bool {
        self.ms_open().is_some_and(|open| open >= ms)
    }

    /// How long ago the store gave an answer that was no error, or for how long it has left a question open if that is
    /// longer, in milliseconds.
    pub(super) fn ms_since_store(&self) -> u64 {
        self.ms_open().unwrap_or(0).max(self.ms_since_heard())
    }

    fn ms_since_heard(&self) -> u64 {
        self.ms_since(self.heard.load(Ordering::Relaxed))
    }

    /// For how long the oldest open question has been open, in milliseconds.
    fn ms_open(&self) -> Option<u64> {
        let asked = self.asked.iter().map(|asked| asked.load(Ordering::Relaxed));
        asked.filter(|asked| *asked > 0).map(|asked| self.ms_since(asked)).max()
    }

    fn ms_since(&self, tick: u64) -> u64 {
        self.clock.ticks_us().saturating_sub(tick) / 1000
    }
}
