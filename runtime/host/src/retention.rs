//! What is kept for a time alone: the events of executions.

use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::event::{EVENTS_KEPT_MAX, EVENTS_KEPT_MS};

use crate::stepbox::Installation;

/// How often a worker drops events, in milliseconds: an hour.
pub(crate) const RETENTION_MS: u64 = 3_600_000;

impl Installation {
    /// Drops events that are older than a week, and all but the newest million. If the store fails, the next look drops
    /// them.
    pub(crate) async fn drop_old_events(&self) {
        let before = Timestamp(self.clock.now().0.saturating_sub_unsigned(EVENTS_KEPT_MS));
        let _ = self.repository.drop_events(before, EVENTS_KEPT_MAX).await;
    }
}
