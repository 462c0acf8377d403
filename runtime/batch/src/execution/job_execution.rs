//! One run of a job instance: what is stored of it.

use serde_json::Value;

use super::context::ExecutionContext;
use super::failure::Failure;
use super::part::Partition;
use super::status::{BatchStatus, ExitStatus};
use super::step_execution::StepExecution;
use crate::clock::Timestamp;
use crate::job::Job;
use crate::name::{InstanceCode, JobExecutionId, TenantId};

/// One run of a job instance.
#[derive(Debug, Clone, PartialEq)]
pub struct JobExecution {
    /// Given by the store.
    pub id: JobExecutionId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The instance it runs.
    pub instance: InstanceCode,
    /// The job as it was at creation, with the digests of its components.
    pub job: Job,
    /// Effective parameters: defaults ← instance ← override. A JSON object, never changed.
    pub parameters: Value,
    /// Who asked for it; `None` if that is unknown.
    pub user: Option<String>,
    /// Where it stands.
    pub status: BatchStatus,
    /// How it ended, for people.
    pub exit_status: ExitStatus,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When a worker began it.
    pub started_at: Option<Timestamp>,
    /// When it ended; always set once it has.
    pub ended_at: Option<Timestamp>,
    /// When its row was last written.
    pub updated_at: Timestamp,
    /// Which worker runs or ran it.
    pub worker: Option<String>,
    /// How many workers have begun it.
    pub attempt: u32,
    /// Whether a stop was requested. Its worker never writes this.
    pub stop_requested: bool,
    /// Why it was set aside: no worker takes it, and no watchdog rescues it, until the store is repaired. `None` for
    /// almost all.
    pub set_aside: Option<String>,
    /// The execution that this one continues.
    pub restart_of: Option<JobExecutionId>,
    /// The part of another execution's step that this one is; `None` for most.
    pub partition: Option<Partition>,
    /// What failed outside of any step.
    pub failures: Vec<Failure>,
    /// Values shared by its steps.
    pub context: ExecutionContext,
    /// One for each step that began, in order.
    pub steps: Vec<StepExecution>,
}

/// An execution, or an earlier one that it continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ancestor {
    /// Which one.
    pub id: JobExecutionId,
    /// When a worker began it.
    pub started_at: Option<Timestamp>,
    /// The execution that this one continues in turn.
    pub restart_of: Option<JobExecutionId>,
}

/// What is left of an execution whose row, or that of one of its steps, is damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remains {
    /// What is damaged, row by row.
    pub damage: Vec<String>,
    /// The columns that hold something, by the name of the column; those of a step after the step's position:
    /// `step 0 status`. Texts as they are stored.
    pub fields: Vec<(String, String)>,
}
