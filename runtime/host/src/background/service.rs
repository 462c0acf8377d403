//! The trait of a background service.

use async_trait::async_trait;
use stepbox_batch::ports::RepositoryError;

use crate::worker::event::WorkerEvent;

/// Work that a worker does about once a second. A tick that fails is tried again with the next tick.
#[async_trait]
pub(crate) trait Background: Send + Sync + 'static {
    /// Called once, before the first tick.
    async fn begin(&self) {}

    /// Whether there is work to do. A service that is not due is not ticked: a tick counts as an answer of the
    /// store, and so must ask it.
    fn is_due(&self) -> bool {
        true
    }

    /// Does the work that is due now. Returns the events for the worker's listener.
    async fn tick(&self) -> Result<Vec<WorkerEvent>, RepositoryError>;
}
