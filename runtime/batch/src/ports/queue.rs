//! The queue of executions that wait for workers.

use async_trait::async_trait;

use super::error::Result;
use crate::execution::claimed::Claimed;
use crate::execution::queue::{QueueClaim, QueueDepth, QueueEntry};
use crate::name::{JobExecutionId, TenantId};

/// The queue.
///
/// [`Executions::create_execution`](super::Executions::create_execution) and
/// [`Parts::create_partitions`](super::Parts::create_partitions) put entries in.
#[async_trait]
pub trait JobQueue: Send + Sync + 'static {
    /// Takes the leases of entries that may begin, fairly between tenants.
    ///
    /// The tenant with the fewest running executions goes first; among equals, the tenant that was served longest
    /// ago. Within a tenant the priority decides, then the age. If a job limits how many executions of an instance
    /// run at a time, an instance at its limit is skipped. An execution that cannot be read is set aside, and the
    /// next one is taken.
    async fn claim_next(&self, wanted: &QueueClaim) -> Result<Vec<Claimed>>;

    /// Returns when an entry may have come into the queue; after `timeout_ms` milliseconds at the latest.
    async fn wait_for_work(&self, timeout_ms: u64);

    /// An execution's place in the queue; `None` if it was never there or has ended.
    async fn queue_entry(&self, tenant: &TenantId, id: JobExecutionId) -> Result<Option<QueueEntry>>;

    /// How many entries are in the queue, for all tenants, by tenant and state.
    ///
    /// Entries whose state is unknown are not counted.
    async fn queue_depths(&self) -> Result<Vec<QueueDepth>>;
}
