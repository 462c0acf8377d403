//! What a service in the background is.

use async_trait::async_trait;
use stepbox_batch::ports::RepositoryError;

use crate::worker::event::WorkerEvent;

/// Work that a worker does on its beat. A tick that fails is tried again with the next one.
#[async_trait]
pub(crate) trait Background: Send + Sync + 'static {
    /// Called once, before the first tick.
    async fn begin(&self) {}

    /// Does what is to be done now. Returns the events that the listener of the worker hears.
    async fn tick(&self) -> Result<Vec<WorkerEvent>, RepositoryError>;
}
