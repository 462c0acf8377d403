//! The parts of steps that were split. Each part is an execution of its own.

use async_trait::async_trait;

use super::error::Result;
use crate::execution::job_execution::JobExecution;
use crate::execution::lease::Lease;
use crate::execution::new::NewJobExecution;
use crate::execution::part::PartitionState;
use crate::name::{JobExecutionId, TenantId};

/// Access to parts by their whole.
#[async_trait]
pub trait Parts: Send + Sync + 'static {
    /// Accepts the parts of a step and puts them into the queue: all of them or none.
    ///
    /// `lease` is the lease of the step's execution. If that execution is ended by another process than its worker,
    /// its parts stop as well.
    async fn create_partitions(&self, lease: &Lease, parts: &[NewJobExecution]) -> Result<()>;

    /// The parts of an execution's steps, by step and number.
    async fn partitions(&self, tenant: &TenantId, of: JobExecutionId) -> Result<Vec<JobExecution>>;

    /// The state of the parts of one step, by number.
    ///
    /// The call is cheap enough to be made twenty times a second.
    async fn partition_states(
        &self,
        tenant: &TenantId,
        of: JobExecutionId,
        position: u32,
    ) -> Result<Vec<PartitionState>>;
}
