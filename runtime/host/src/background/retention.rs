//! Retention: deletes data that is kept for a limited time: the events of executions, and the keys under which
//! executions were asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::Idempotency;
use stepbox_batch::execution::event::{EVENTS_KEPT_MAX, EVENTS_KEPT_MS};
use stepbox_batch::ports::RepositoryError;

use super::service::Background;
use crate::installation::Installation;
use crate::worker::event::WorkerEvent;

/// How often a worker deletes old data, in milliseconds: every hour.
const RETENTION_MS: u64 = 3_600_000;

/// Deletes old data, as a service of the worker.
pub(crate) struct Retention {
    installation: Arc<Installation>,
    /// When old data was last deleted, in ticks.
    dropped_us: AtomicU64,
}

impl Retention {
    /// The first deletion is due after an hour, because the builder has just deleted old data.
    pub(crate) fn new(installation: Arc<Installation>) -> Self {
        let dropped_us = AtomicU64::new(installation.clock.ticks_us());
        Self { installation, dropped_us }
    }
}

#[async_trait]
impl Background for Retention {
    fn is_due(&self) -> bool {
        let since_us = self.dropped_us.load(Ordering::Relaxed);
        self.installation.clock.ticks_us().saturating_sub(since_us) / 1000 >= RETENTION_MS
    }

    async fn tick(&self) -> Result<Vec<WorkerEvent>, RepositoryError> {
        drop_old_data(&self.installation).await?;
        self.dropped_us.store(self.installation.clock.ticks_us(), Ordering::Relaxed);
        Ok(Vec::new())
    }
}

/// Deletes events that are older than a week, all events except the newest million, and keys of yesterday.
pub(crate) async fn drop_old_data(installation: &Installation) -> Result<(), RepositoryError> {
    let (now, repository) = (installation.clock.now(), &installation.repository);
    let before = Timestamp(now.0.saturating_sub_unsigned(EVENTS_KEPT_MS));
    repository.drop_events(before, EVENTS_KEPT_MAX).await?;
    repository.drop_keys(Idempotency::forgotten_at(now)).await.map(drop)
}
