//! The port for the known workers.

use async_trait::async_trait;

use super::error::Result;
use super::listing::Listing;
use crate::clock::Timestamp;
use crate::worker::{Held, Worker};

/// The processes that take executions from the queue, of all tenants.
#[async_trait]
pub trait Workers: Send + Sync + 'static {
    /// Records that a worker is alive, and which entries it takes.
    ///
    /// Forgets workers that were silent for a day.
    async fn worker_beat(&self, worker: &Worker) -> Result<()>;

    /// Forgets a worker that has ended.
    async fn forget_worker(&self, name: &str) -> Result<()>;

    /// The workers, by name.
    ///
    /// Dead workers are listed for a day.
    async fn workers(&self) -> Result<Listing<Worker>>;

    /// The executions that are leased at this moment, by worker and id.
    async fn held(&self, now: Timestamp) -> Result<Listing<Held>>;
}
