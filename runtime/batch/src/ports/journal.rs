//! The writes of a worker while it runs an execution.

use async_trait::async_trait;

use super::error::Result;
use crate::clock::Timestamp;
use crate::execution::lease::Lease;
use crate::execution::save::Save;
use crate::execution::step_execution::Tracking;
use crate::flow::Requests;

/// The calls of a worker for an execution whose lease it holds.
///
/// Every write is fenced: a write under a lost lease changes nothing and fails with
/// [`RepositoryError::LeaseLost`](super::RepositoryError::LeaseLost).
#[async_trait]
pub trait ExecutionJournal: Send + Sync + 'static {
    /// Prolongs a lease, and returns what was requested.
    async fn heartbeat(&self, lease: &Lease, now: Timestamp, lease_ms: u64) -> Result<Requests>;

    /// What was requested; fails if the lease was lost.
    ///
    /// The call is cheap enough to be made every 100 ms.
    async fn requests(&self, lease: &Lease) -> Result<Requests>;

    /// Saves the state of an execution and its step in one transaction; fails if the lease was lost.
    async fn save(&self, lease: &Lease, save: Save<'_>) -> Result<()>;

    /// Saves only a step's progress; fails if the lease was lost.
    ///
    /// The progress need not survive a power loss.
    async fn save_tracking(
        &self,
        lease: &Lease,
        position: u32,
        tracking: Tracking,
        now: Timestamp,
    ) -> Result<()>;
}
