//! The data of writes, as records that own their data: they wait in a queue until the writer takes them.

use stepbox_batch::execution::status::BatchStatus;
use stepbox_batch::execution::{Claim, Claimed, ExecutionContext, JobExecution, Lease, Save};

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

/// The result of a claim.
#[derive(Debug)]
pub(crate) struct ClaimedExecution {
    pub execution: JobExecution,
    pub token: u64,
}

impl ClaimedExecution {
    pub(crate) fn with_lease(self) -> Claimed {
        let Self { execution, token } = self;
        let lease = Lease { tenant: execution.tenant.clone(), id: execution.id, token };
        Claimed { execution, lease }
    }
}

/// A worker's request for a lease.
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

/// The data that a worker saves.
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

/// The execution context as JSON; it is stored as an object.
fn context(context: &ExecutionContext) -> String {
    json(&context.0)
}
