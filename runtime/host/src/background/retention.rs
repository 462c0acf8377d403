//! Retention: what is kept for a time alone, the events of executions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::event::{EVENTS_KEPT_MAX, EVENTS_KEPT_MS};
use stepbox_batch::ports::RepositoryError;

use super::service::Background;
use crate::installation::Installation;
use crate::worker::event::WorkerEvent;

/// How often a worker drops old events, in milliseconds: an hour.
const RETENTION_MS: u64 = 3_600_000;

/// Drops old events on a worker's beat.
pub(crate) struct Retention {
    installation: Arc<Installation>,
    /// When old events were dropped last, in ticks.
    dropped_us: AtomicU64,
}

impl Retention {
    /// The builder has dropped old events just now.
    pub(crate) fn new(installation: Arc<Installation>) -> Self {
        let dropped_us = AtomicU64::new(installation.clock.ticks_us());
        Self { installation, dropped_us }
    }
}

#[async_trait]
impl Background for Retention {
    async fn tick(&self) -> Result<Vec<WorkerEvent>, RepositoryError> {
        let now_us = self.installation.clock.ticks_us();
        if now_us.saturating_sub(self.dropped_us.load(Ordering::Relaxed)) / 1000 >= RETENTION_MS {
            self.dropped_us.store(now_us, Ordering::Relaxed);
            drop_old_events(&self.installation).await;
        }
        Ok(Vec::new())
    }
}

/// Drops events that are older than a week, and all but the newest million. If the store fails, the next look drops
/// them.
pub(crate) async fn drop_old_events(installation: &Installation) {
    let before = Timestamp(installation.clock.now().0.saturating_sub_unsigned(EVENTS_KEPT_MS));
    let _ = installation.repository.drop_events(before, EVENTS_KEPT_MAX).await;
}
