//! The parts of steps that were split. Each part is an execution of its own.

use async_trait::async_trait;

use super::error::Result;
use crate::execution::job_execution::JobExecution;
use crate::execution::lease::Lease;
use crate::execution::new::NewJobExecution;
use crate::execution::part::PartitionState;
use crate::name::{JobExecutionId, TenantId};

/// Parts, asked for by their whole.
#[async_trait]
pub trait Parts: Send + Sync + 'static {
    /// Accepts the parts of a step of the execution whose lease it is, and puts them into the queue: all of them or
    /// none. When that execution is ended by another than its worker, its parts stop as well.
    async fn create_partitions(&self, lease: &Lease, parts: &[NewJobExecution]) -> Result<()>;

    /// The parts of an execution's steps, by step and number.
    async fn partitions(&self, tenant: &TenantId, of: JobExecutionId) -> Result<Vec<JobExecution>>;

    /// How the parts of one step stand, by number. The call is cheap enough for twenty times a second.
    async fn partition_states(
        &self,
        tenant: &TenantId,
        of: JobExecutionId,
        position: u32,
    ) -> Result<Vec<PartitionState>>;
}
