//! The port for executions, for all callers except their workers.

use async_trait::async_trait;

use super::error::Result;
use super::listing::Listing;
use crate::actor::Actor;
use crate::execution::failure::Warning;
use crate::execution::filter::{ExecutionFilter, Purgeable};
use crate::execution::job_execution::{Ancestor, JobExecution, Remains};
use crate::execution::lease::{Claim, Lease};
use crate::execution::new::NewJobExecution;
use crate::execution::standing::StopRequest;
use crate::execution::summary::ExecutionSummary;
use crate::name::{JobExecutionId, TenantId};

/// The runs of job instances.
#[async_trait]
pub trait Executions: Send + Sync + 'static {
    /// Accepts an execution as STARTING, and puts it into the queue if `new.queue` is set.
    ///
    /// With a claim, its lease begins in the same transaction. Then the execution is refused if the job limits how
    /// many executions of an instance run at a time, and that many run already.
    async fn create_execution(
        &self,
        new: &NewJobExecution,
        claim: Option<&Claim>,
    ) -> Result<(JobExecution, Option<Lease>)>;

    /// Sends a stop request to the worker of an execution, or stops an execution that no worker has begun.
    async fn request_stop(&self, tenant: &TenantId, id: JobExecutionId, by: &Actor) -> Result<StopRequest>;

    /// Abandons an execution: it will not be restarted.
    async fn abandon(&self, tenant: &TenantId, id: JobExecutionId, by: &Actor) -> Result<()>;

    /// An execution with its steps.
    async fn execution(&self, tenant: &TenantId, id: JobExecutionId) -> Result<Option<JobExecution>>;

    /// Executions as lists show them, newest first.
    ///
    /// A page is in memory as a whole: to see all executions, ask page by page with [`ExecutionFilter::before`].
    async fn executions(
        &self,
        tenant: &TenantId,
        filter: &ExecutionFilter,
    ) -> Result<Listing<ExecutionSummary>>;

    /// The readable rest of a damaged execution; `None` if there is no such execution.
    async fn remains(&self, tenant: &TenantId, id: JobExecutionId) -> Result<Option<Remains>>;

    /// An execution and those that it continues, the latest first, up to the first that is missing.
    ///
    /// Empty if there is no such execution.
    async fn ancestry(&self, tenant: &TenantId, id: JobExecutionId) -> Result<Vec<Ancestor>>;

    /// The stored warnings of an execution, in the order in which they came.
    ///
    /// A step stores at most [`WARNINGS_STORED_MAX`](crate::findings::WARNINGS_STORED_MAX) warnings.
    async fn warnings(&self, tenant: &TenantId, id: JobExecutionId) -> Result<Listing<Warning>>;

    /// The executions that [`purge`](Self::purge) would delete, oldest first.
    async fn purgeable(&self, tenant: &TenantId, filter: &ExecutionFilter) -> Result<Vec<Purgeable>>;

    /// Deletes executions that have ended and match the filter, oldest first, with their parts.
    ///
    /// The latest COMPLETED execution of an instance is never deleted. Returns the ids of the deleted executions.
    /// The call is one transaction, for which others wait: to delete many executions, ask for a few hundred at a
    /// time.
    async fn purge(
        &self,
        tenant: &TenantId,
        filter: &ExecutionFilter,
        by: &Actor,
    ) -> Result<Vec<JobExecutionId>>;
}
