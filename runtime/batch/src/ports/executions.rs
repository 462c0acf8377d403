//! The port for executions, for all callers except their workers.

use async_trait::async_trait;

use super::error::Result;
use super::listing::Listing;
use crate::actor::Actor;
use crate::clock::Timestamp;
use crate::execution::failure::Warning;
use crate::execution::filter::{ExecutionFilter, Purgeable};
use crate::execution::idempotency::Idempotency;
use crate::execution::job_execution::{Ancestor, JobExecution, Remains};
use crate::execution::lease::{Claim, Lease};
use crate::execution::new::NewJobExecution;
use crate::execution::standing::{PauseRequest, StopRequest};
use crate::execution::summary::ExecutionSummary;
use crate::name::{JobExecutionId, TenantId};

/// The runs of job instances.
#[async_trait]
pub trait Executions: Send + Sync + 'static {
    /// Accepts an execution as STARTING, and puts it into the queue if `new.queue` is set.
    ///
    /// If it has a key that was used within the last day, nothing is accepted: the call fails with
    /// [`AlreadyPublished`](super::RepositoryError::AlreadyPublished) if the request was the same one, and else with
    /// [`IdempotencyConflict`](super::RepositoryError::IdempotencyConflict). A key is remembered in the transaction that
    /// accepts its execution.
    ///
    /// With a claim, its lease begins in the same transaction. Then the execution is refused if the job limits how
    /// many executions of an instance run at a time, and that many run already.
    async fn create_execution(
        &self,
        new: &NewJobExecution,
        claim: Option<&Claim>,
    ) -> Result<(JobExecution, Option<Lease>)>;

    /// Accepts several executions in one transaction, in this order, as [`create_execution`](Self::create_execution)
    /// accepts each without a claim.
    ///
    /// Each has an answer of its own: one that is refused changes nothing, and the others are accepted. If the store
    /// fails, none is.
    async fn create_executions(&self, new: &[NewJobExecution]) -> Result<Vec<Result<JobExecutionId>>>;

    /// The execution that the same request under the same key became within the last day; `None` for a new key.
    ///
    /// Fails if the request was another one.
    async fn published_before(
        &self,
        tenant: &TenantId,
        idempotency: &Idempotency,
        now: Timestamp,
    ) -> Result<Option<JobExecutionId>>;

    /// Forgets the keys from before a moment, of all tenants; returns how many.
    async fn drop_keys(&self, before: Timestamp) -> Result<u64>;

    /// Sends a stop request to the worker of an execution, or stops an execution that no worker has begun.
    async fn request_stop(&self, tenant: &TenantId, id: JobExecutionId, by: &Actor) -> Result<StopRequest>;

    /// Sends a pause request to the worker of an execution, or pauses an execution that no worker has.
    ///
    /// The parts of its steps pause with it. It is PAUSED until it is resumed: no worker takes it from the queue.
    async fn request_pause(&self, tenant: &TenantId, id: JobExecutionId, by: &Actor) -> Result<PauseRequest>;

    /// Makes an execution that is PAUSED wait in the queue, for any worker, and the parts of its steps with it.
    ///
    /// An execution that was in no queue gets a place there, as it was published without wishes.
    async fn enqueue_paused(&self, tenant: &TenantId, id: JobExecutionId, by: &Actor) -> Result<()>;

    /// Abandons an execution: it will not be restarted.
    async fn abandon(&self, tenant: &TenantId, id: JobExecutionId, by: &Actor) -> Result<()>;

    /// An execution with its steps.
    async fn execution(&self, tenant: &TenantId, id: JobExecutionId) -> Result<Option<JobExecution>>;

    /// Executions as lists show them, newest first unless the filter says otherwise.
    ///
    /// A page is in memory as a whole: to see all executions, ask page by page with [`ExecutionFilter::before`].
    async fn executions(
        &self,
        tenant: &TenantId,
        filter: &ExecutionFilter,
    ) -> Result<Listing<ExecutionSummary>>;

    /// How many executions match a filter, counted up to `max`. The limit of the filter does not count.
    async fn count_executions(&self, tenant: &TenantId, filter: &ExecutionFilter, max: u32) -> Result<u64>;

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

    /// Up to `limit` of them, after the first `skip` ones.
    ///
    /// Warnings are only ever added behind the last one, so a page stays the same, and few are ever skipped.
    async fn some_warnings(
        &self,
        tenant: &TenantId,
        id: JobExecutionId,
        skip: u64,
        limit: u32,
    ) -> Result<Listing<Warning>>;

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
