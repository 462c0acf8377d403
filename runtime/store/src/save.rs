//! What is written, as records that own their data: they wait in a queue until the writer takes them.

use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::{ExecutionContext, JobExecution};
use stepbox_batch::name::JobExecutionId;
use stepbox_batch::repository::{Claim, Lease, NewJobExecution, Save};
use stepbox_batch::status::{BatchStatus, ExitStatus};

use crate::record::execution::{AcceptedRecord, StateRecord};
use crate::record::step::{StepRecord, WarningRecord};
use crate::record::{json, stored, stored_id};

/// An execution to be accepted.
#[derive(Debug)]
pub(crate) struct NewRecord {
    pub accepted: AcceptedRecord,
    pub state: StateRecord,
    pub context: String,
    pub steps: Vec<StepRecord>,
}

impl From<&JobExecution> for NewRecord {
    fn from(execution: &JobExecution) -> Self {
        let step = |step| StepRecord::new(step, step.checkpoint.as_ref());
        Self {
            accepted: execution.into(),
            state: execution.into(),
            context: context(&execution.context),
            steps: execution.steps.iter().map(step).collect(),
        }
    }
}

/// The execution that will be accepted, but for its id.
pub(crate) fn accepted(new: &NewJobExecution, claim: Option<&Claim>) -> JobExecution {
    let NewJobExecution {
        tenant, instance, job, parameters, by, restart_of, context, steps, partition, ..
    } = new.clone();
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
        set_aside: None,
        restart_of,
        partition,
        failures: Vec::new(),
        context,
        steps,
    }
}

/// What a worker got.
#[derive(Debug)]
pub(crate) struct ClaimedExecution {
    pub execution: JobExecution,
    pub token: u64,
}

impl ClaimedExecution {
    pub(crate) fn with_lease(self) -> (JobExecution, Lease) {
        let Self { execution, token } = self;
        let lease = Lease { tenant: execution.tenant.clone(), id: execution.id, token };
        (execution, lease)
    }
}

/// A worker's wish.
#[derive(Debug)]
pub(crate) struct ClaimRecord {
    pub worker: String,
    pub now: i64,
    pub lease_expires_at: i64,
}

impl From<&Claim> for ClaimRecord {
    fn from(claim: &Claim) -> Self {
        Self {
            worker: claim.worker.clone(),
            now: claim.now.0,
            lease_expires_at: claim.now.plus_ms(claim.lease_ms).0,
        }
    }
}

/// A worker's right to write, as columns hold it.
#[derive(Debug)]
pub(crate) struct LeaseRecord {
    pub tenant: String,
    pub id: i64,
    pub token: i64,
}

impl From<&Lease> for LeaseRecord {
    fn from(lease: &Lease) -> Self {
        Self { tenant: lease.tenant.to_string(), id: stored_id(lease.id), token: stored(lease.token) }
    }
}

/// What a worker saves.
#[derive(Debug)]
pub(crate) struct SaveRecord {
    pub execution: Option<(BatchStatus, StateRecord)>,
    pub context: Option<String>,
    pub step: Option<StepRecord>,
    pub warnings: Vec<WarningRecord>,
    pub is_last: bool,
}

impl From<Save<'_>> for SaveRecord {
    fn from(save: Save<'_>) -> Self {
        let Save { execution, context: values, step, checkpoint, warnings, is_last } = save;
        Self {
            execution: execution.map(|execution| (execution.status, execution.into())),
            context: values.map(context),
            step: step.map(|step| StepRecord::new(step, checkpoint)),
            warnings: warnings.iter().map(WarningRecord::from).collect(),
            is_last,
        }
    }
}

/// How an execution and its unended steps end, if it is not by their worker.
#[derive(Debug)]
pub(crate) struct Ending {
    pub status: BatchStatus,
    pub exit_status: ExitStatus,
    /// Appended to the failures of both, in its stored form.
    pub failure: Option<String>,
    pub now: Timestamp,
}

/// The execution context is stored as the JSON object it is.
fn context(context: &ExecutionContext) -> String {
    json(&context.0)
}
