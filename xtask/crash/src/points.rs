//! The points at which a process ends itself: before and after each durable action.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use rustix::process::{Signal, getpid, kill_process};
use stepbox::batch::element::{Chunk, ItemReader, ItemWriter, More, Opening, SkippedRow, Total};
use stepbox::batch::error::Halt;
use stepbox::batch::execution::status::BatchStatus;
use stepbox::batch::execution::{Lease, Save};
use stepbox::batch::job::ChunkLimit;
use stepbox::batch::ports::{self, JobRepository};
use stepbox::batch::rows::Rows;
use stepbox_store_testing::interposed::{Call, Interposer};

/// Every point of a job that a process runs in one piece. `:3` is the third time that a process reaches the point.
pub(crate) const EACH_SAVE: &[&str] = &[
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
    "after-rescue-lost",
];

/// Around the first and the last save.
pub(crate) const AT_THE_END: &[&str] =
    &["after-save:2", "before-whole-save-completed", "after-whole-save-completed"];

/// The further points of a step in parts: the split, each kind of save of whole and parts, the merge.
pub(crate) const OF_PARTS: &[&str] = &[
    "before-split",
    "after-split",
    "before-create-partitions",
    "after-create-partitions",
    "before-claim",
    "after-claim",
    "before-part-save-begun",
    "after-part-save-begun",
    "before-part-save-checkpoint",
    "after-part-save-checkpoint",
    "before-part-save-checkpoint:5",
    "before-part-save-completed",
    "after-part-save-completed",
    "before-part-save-completed:3",
    "after-part-save-completed:4",
    "before-absorb",
    "after-absorb",
    "before-absorb:3",
    "after-whole-save-checkpoint",
    "before-complete",
    "after-complete",
    "before-whole-save-completed",
    "after-whole-save-completed",
    "before-rescue-lost",
    "after-rescue-lost",
];

/// The same for workers that take them from the queue.
pub(crate) const OF_QUEUED_PARTS: &[&str] = &[
    "after-claim-next",
    "after-split",
    "after-create-partitions",
    "before-part-save-begun",
    "after-part-save-checkpoint",
    "before-part-save-completed",
    "after-part-save-completed",
    "before-absorb",
    "after-absorb",
    "before-whole-save-completed",
    "after-whole-save-completed",
    "after-rescue-lost",
];

/// Ends the process at its point.
#[derive(Clone)]
pub(crate) struct Killer {
    point: String,
    left: Arc<AtomicU32>,
    /// Shows which execution a save is of; `None` if no point depends on it.
    store: Option<Arc<dyn JobRepository>>,
}

impl Killer {
    /// Parses `before-save:3`; an empty text is no point.
    pub(crate) fn at(point: &str) -> Self {
        let (point, number) = point.split_once(':').unwrap_or((point, "1"));
        let left = Arc::new(AtomicU32::new(number.parse().unwrap_or(1)));
        Self { point: point.to_owned(), left, store: None }
    }

    /// Uses a store without a killer to see whether an execution is a part.
    pub(crate) fn seeing(self, store: Arc<dyn JobRepository>) -> Self {
        Self { store: Some(store), ..self }
    }

    fn comes_to(&self, when: &str, what: &str) {
        let is_here = self.point.strip_prefix(when).and_then(|rest| rest.strip_prefix('-')) == Some(what);
        if is_here && self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            kill_process(getpid(), Signal::KILL).expect("a process may end itself");
        }
    }

    async fn comes_to_call(&self, when: &str, call: Call<'_>) {
        self.comes_to(when, &call.name().replace('_', "-"));
        if let Call::Save(lease, save) = call
            && let kind = kind(&save)
            && self.point.ends_with(kind)
        {
            let what = if self.is_part(lease).await { "part" } else { "whole" };
            self.comes_to(when, &format!("{what}-save-{kind}"));
        }
    }

    async fn is_part(&self, lease: &Lease) -> bool {
        let Some(store) = &self.store else { return false };
        let found = store.execution(&lease.tenant, lease.id).await;
        found.is_ok_and(|found| found.is_some_and(|execution| execution.partition.is_some()))
    }
}

/// The purpose of a save.
fn kind(save: &Save<'_>) -> &'static str {
    match save.execution.map(|execution| execution.status) {
        Some(BatchStatus::Completed) => "completed",
        Some(BatchStatus::Stopped) => "stopped",
        Some(BatchStatus::Paused) => "paused",
        Some(BatchStatus::Failed) => "failed",
        _ if save.checkpoint.is_some() => "checkpoint",
        _ => "begun",
    }
}

#[async_trait]
impl Interposer for Killer {
    async fn before(&self, call: Call<'_>) -> ports::Result<()> {
        self.comes_to_call("before", call).await;
        Ok(())
    }

    async fn after(&self, call: Call<'_>) -> ports::Result<()> {
        self.comes_to_call("after", call).await;
        Ok(())
    }
}

/// A reader in whose calls the process may end.
pub(crate) struct KillingReader {
    pub(crate) reader: Box<dyn ItemReader>,
    pub(crate) killer: Killer,
}

#[async_trait]
impl ItemReader for KillingReader {
    async fn open(&mut self, opening: Opening<'_>) -> Result<Vec<String>, Halt> {
        self.reader.open(opening).await
    }

    async fn read(&mut self, limit: ChunkLimit, chunk: &mut Chunk) -> Result<More, Halt> {
        self.reader.read(limit, chunk).await
    }

    fn form(&self) -> Option<Vec<u8>> {
        self.reader.form()
    }

    fn total(&self) -> Total {
        self.reader.total()
    }

    async fn split(&mut self, opening: Opening<'_>, parts: u32) -> Result<Option<Vec<Vec<u8>>>, Halt> {
        self.killer.comes_to("before", "split");
        let borders = self.reader.split(opening, parts).await;
        self.killer.comes_to("after", "split");
        borders
    }

    async fn state(&mut self) -> Result<Vec<u8>, Halt> {
        self.reader.state().await
    }

    async fn close(&mut self) -> Result<(), Halt> {
        self.reader.close().await
    }
}

/// A writer in whose calls the process may end.
pub(crate) struct KillingWriter {
    pub(crate) writer: Box<dyn ItemWriter>,
    pub(crate) killer: Killer,
}

#[async_trait]
impl ItemWriter for KillingWriter {
    async fn open(&mut self, opening: Opening<'_>) -> Result<(), Halt> {
        self.writer.open(opening).await
    }

    async fn write(&mut self, rows: &Rows) -> Result<Vec<SkippedRow>, Halt> {
        self.killer.comes_to("before", "write");
        let skipped = self.writer.write(rows).await;
        self.killer.comes_to("after", "write");
        skipped
    }

    async fn checkpoint(&mut self) -> Result<Vec<u8>, Halt> {
        self.killer.comes_to("before", "checkpoint");
        let state = self.writer.checkpoint().await;
        self.killer.comes_to("after", "checkpoint");
        state
    }

    fn can_absorb(&self) -> bool {
        self.writer.can_absorb()
    }

    async fn absorb(&mut self, state: &[u8]) -> Result<More, Halt> {
        self.killer.comes_to("before", "absorb");
        let more = self.writer.absorb(state).await;
        self.killer.comes_to("after", "absorb");
        more
    }

    async fn complete(&mut self) -> Result<(), Halt> {
        self.killer.comes_to("before", "complete");
        let completed = self.writer.complete().await;
        self.killer.comes_to("after", "complete");
        completed
    }
}
