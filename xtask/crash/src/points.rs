//! The points at which a process ends itself: before and after each thing that lasts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use rustix::process::{Signal, getpid, kill_process};
use stepbox::batch::element::{ItemWriter, More, Opening, SkippedRow};
use stepbox::batch::error::ElementError;
use stepbox::batch::repository;
use stepbox::batch::rows::Rows;
use stepbox_store::interposed::{Call, Interposer};

/// Every point that each variant is killed at; `:3` is the third time that a process comes there.
pub(crate) const POINTS: [&str; 20] = [
    "before-create-execution",
    "after-create-execution",
    "before-save",
    "after-save",
    "before-write",
    "after-write",
    "before-checkpoint",
    "after-checkpoint",
    "before-save:2",
    "after-save:2",
    "before-checkpoint:2",
    "after-checkpoint:2",
    "before-write:3",
    "after-write:3",
    "before-save:3",
    "after-save:3",
    "before-complete",
    "after-complete",
    "before-expire-leases",
    "after-fail-lost",
];

/// Ends the process at its point.
#[derive(Debug, Clone)]
pub(crate) struct Killer {
    point: String,
    left: Arc<AtomicU32>,
}

impl Killer {
    /// From `before-save:3`; no text is no point.
    pub(crate) fn at(point: &str) -> Self {
        let (point, number) = point.split_once(':').unwrap_or((point, "1"));
        let left = Arc::new(AtomicU32::new(number.parse().unwrap_or(1)));
        Self { point: point.to_owned(), left }
    }

    fn comes_to(&self, when: &str, what: &str) {
        let is_here = self.point.strip_prefix(when).and_then(|rest| rest.strip_prefix('-')) == Some(what);
        if is_here && self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            kill_process(getpid(), Signal::KILL).expect("a process may end itself");
        }
    }
}

#[async_trait]
impl Interposer for Killer {
    async fn before(&self, call: Call<'_>) -> repository::Result<()> {
        self.comes_to("before", &call.name().replace('_', "-"));
        Ok(())
    }

    async fn after(&self, call: Call<'_>) -> repository::Result<()> {
        self.comes_to("after", &call.name().replace('_', "-"));
        Ok(())
    }
}

/// A writer in whose calls the process may end.
pub(crate) struct KillingWriter {
    pub(crate) writer: Box<dyn ItemWriter>,
    pub(crate) killer: Killer,
}

#[async_trait]
impl ItemWriter for KillingWriter {
    async fn open(&mut self, opening: Opening<'_>) -> Result<(), ElementError> {
        self.writer.open(opening).await
    }

    async fn write(&mut self, rows: &Rows) -> Result<Vec<SkippedRow>, ElementError> {
        self.killer.comes_to("before", "write");
        let skipped = self.writer.write(rows).await;
        self.killer.comes_to("after", "write");
        skipped
    }

    async fn checkpoint(&mut self) -> Result<Vec<u8>, ElementError> {
        self.killer.comes_to("before", "checkpoint");
        let state = self.writer.checkpoint().await;
        self.killer.comes_to("after", "checkpoint");
        state
    }

    fn can_absorb(&self) -> bool {
        self.writer.can_absorb()
    }

    async fn absorb(&mut self, state: &[u8]) -> Result<More, ElementError> {
        self.killer.comes_to("before", "absorb");
        let more = self.writer.absorb(state).await;
        self.killer.comes_to("after", "absorb");
        more
    }

    async fn complete(&mut self) -> Result<(), ElementError> {
        self.killer.comes_to("before", "complete");
        let completed = self.writer.complete().await;
        self.killer.comes_to("after", "complete");
        completed
    }
}
