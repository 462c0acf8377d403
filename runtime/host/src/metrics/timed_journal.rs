//! A journal that measures how long its answers take.

use std::sync::Arc;

use async_trait::async_trait;
use stepbox_batch::clock::{Clock, Timestamp};
use stepbox_batch::execution::{Lease, Save, Tracking};
use stepbox_batch::flow::Requests;
use stepbox_batch::ports::{ExecutionJournal, JobRepository, Result};

use super::Metrics;

/// The store's journal, with the metrics that receive the times.
pub(crate) struct TimedJournal {
    pub(crate) store: Arc<dyn JobRepository>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Arc<Metrics>,
}

impl TimedJournal {
    async fn timed<T>(&self, call: &'static str, made: impl Future<Output = T>) -> T {
        let began = self.clock.ticks_us();
        let answer = made.await;
        self.metrics.called_store(call, self.clock.ticks_us().saturating_sub(began));
        answer
    }
}

#[async_trait]
impl ExecutionJournal for TimedJournal {
    async fn heartbeat(&self, lease: &Lease, now: Timestamp, lease_ms: u64) -> Result<Requests> {
        self.timed("heartbeat", self.store.heartbeat(lease, now, lease_ms)).await
    }

    async fn requests(&self, lease: &Lease) -> Result<Requests> {
        self.timed("requests", self.store.requests(lease)).await
    }

    async fn save(&self, lease: &Lease, save: Save<'_>) -> Result<()> {
        self.timed("save", self.store.save(lease, save)).await
    }

    async fn save_tracking(
        &self,
        lease: &Lease,
        position: u32,
        tracking: Tracking,
        now: Timestamp,
    ) -> Result<()> {
        self.timed("save-tracking", self.store.save_tracking(lease, position, tracking, now)).await
    }
}
