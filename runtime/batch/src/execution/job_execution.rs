//! One run of a job instance, as it is stored.

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
    /// The id that the store gave it.
    pub id: JobExecutionId,
    /// The tenant that it belongs to.
    pub tenant: TenantId,
    /// The instance it runs.
    pub instance: InstanceCode,
    /// The job as it was at creation, with the digests of its components.
    pub job: Job,
    /// Effective parameters: defaults ← instance ← override.
    ///
    /// A JSON object, never changed.
    pub parameters: Value,
    /// The user who asked for it; `None` if the user is unknown.
    pub user: Option<String>,
    /// Its status.
    pub status: BatchStatus,
    /// How it ended, for people.
    pub exit_status: ExitStatus,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When a worker began it.
    pub started_at: Option<Timestamp>,
    /// When it ended; always set after its end.
    pub ended_at: Option<Timestamp>,
    /// When its row was last written.
    pub updated_at: Timestamp,
    /// The worker that runs it or ran it last.
    pub worker: Option<String>,
    /// How many workers have begun it.
    pub attempt: u32,
    /// Whether a stop was requested.
    ///
    /// Its worker never writes this.
    pub stop_requested: bool,
    /// Whether a pause was requested, and the execution was not resumed since.
    pub pause_requested: bool,
    /// Why it was set aside.
    ///
    /// An execution that is set aside is not claimed by a worker or rescued by the watchdog, until the store is
    /// repaired. `None` for almost all executions.
    pub set_aside: Option<String>,
    /// The execution that this one continues.
    pub restart_of: Option<JobExecutionId>,
    /// The part of another execution's step that this one is; `None` for most.
    pub partition: Option<Partition>,
    /// Failures outside of any step.
    pub failures: Vec<Failure>,
    /// Values shared by its steps.
    pub context: ExecutionContext,
    /// One for each step that began, in order.
    pub steps: Vec<StepExecution>,
}

/// An execution, or an earlier one that it continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ancestor {
    /// The id of the execution.
    pub id: JobExecutionId,
    /// When a worker began it.
    pub started_at: Option<Timestamp>,
    /// The execution that this one continues in turn.
    pub restart_of: Option<JobExecutionId>,
}

/// The readable rest of an execution whose row, or a step's row, is damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remains {
    /// The damage, row by row.
    pub damage: Vec<String>,
    /// The columns that have a value, by name.
    ///
    /// A column of a step has the step's position before its name: `step 0 status`. The values are texts, as they
    /// are stored.
    pub fields: Vec<(String, String)>,
}
