//! What a worker writes while it runs an execution.

use async_trait::async_trait;

use super::error::Result;
use crate::clock::Timestamp;
use crate::execution::lease::Lease;
use crate::execution::save::Save;
use crate::execution::step_execution::Tracking;

/// What a worker may do with an execution whose lease it holds. Every write is fenced: a write under a lease that was
/// lost changes nothing and is answered with [`RepositoryError::LeaseLost`](super::RepositoryError::LeaseLost).
#[async_trait]
pub trait ExecutionJournal: Send + Sync + 'static {
    /// Prolongs a lease, and returns whether a stop was requested.
    async fn heartbeat(&self, lease: &Lease, now: Timestamp, lease_ms: u64) -> Result<bool>;

    /// Whether a stop was requested, if the lease still holds. The call is cheap enough for every 100 ms.
    async fn is_stop_requested(&self, lease: &Lease) -> Result<bool>;

    /// Saves the state of an execution and its step in one transaction, if the lease still holds.
    async fn save(&self, lease: &Lease, save: Save<'_>) -> Result<()>;

    /// Saves only a step's progress, if the lease still holds. The progress need not survive a power loss.
    async fn save_tracking(
        &self,
        lease: &Lease,
        position: u32,
        tracking: Tracking,
        now: Timestamp,
    ) -> Result<()>;
}
