//! An execution that is about to be accepted.

use serde_json::Value;

use super::context::ExecutionContext;
use super::idempotency::Idempotency;
use super::job_execution::JobExecution;
use super::lease::Claim;
use super::part::Partition;
use super::queue::Enqueue;
use super::status::{BatchStatus, ExitStatus};
use super::step_execution::StepExecution;
use crate::actor::Actor;
use crate::job::Job;
use crate::name::{InstanceCode, JobExecutionId, TenantId};

/// An execution about to be accepted.
#[derive(Debug, Clone)]
pub struct NewJobExecution {
    /// The tenant that it belongs to.
    pub tenant: TenantId,
    /// The instance it runs.
    pub instance: InstanceCode,
    /// The job, frozen.
    pub job: Job,
    /// Effective parameters, frozen.
    pub parameters: Value,
    /// The user who asked for it, and when.
    pub by: Actor,
    /// The execution that it continues, if any.
    ///
    /// The context and the steps come from that execution: completed steps are carried over, the interrupted step
    /// brings its checkpoint.
    pub restart_of: Option<JobExecutionId>,
    /// The execution context to begin with.
    pub context: ExecutionContext,
    /// The steps to begin with; empty for a first run.
    pub steps: Vec<StepExecution>,
    /// The part of another execution's step that it is.
    pub partition: Option<Partition>,
    /// How it waits for a worker; `None` for an execution that is not in the queue.
    pub queue: Option<Enqueue>,
    /// The caller's name for the request; `None` accepts every request.
    pub idempotency: Option<Idempotency>,
    /// The differences from the execution that it continues, for the audit trail; empty for most.
    pub changes: Vec<String>,
}

impl NewJobExecution {
    /// The execution as a store accepts it.
    ///
    /// It has a worker if it is claimed in the same transaction. The store sets its id.
    pub fn accepted(&self, claim: Option<&Claim>) -> JobExecution {
        let Self { tenant, instance, job, parameters, by, restart_of, context, steps, partition, .. } =
            self.clone();
        JobExecution {
            id: JobExecutionId(0),
            tenant,
            instance,
            job,
            parameters,
            user: by.user,
            status: BatchStatus::Starting,
            exit_status: ExitStatus::new(ExitStatus::EXECUTING),
            created_at: by.at,
            started_at: None,
            ended_at: None,
            updated_at: by.at,
            worker: claim.map(|claim| claim.worker.clone()),
            attempt: u32::from(claim.is_some()),
            stop_requested: false,
            pause_requested: false,
            set_aside: None,
            restart_of,
            partition,
            failures: Vec::new(),
            context,
            steps,
        }
    }
}
