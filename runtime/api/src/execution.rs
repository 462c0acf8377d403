//! Job executions: one run of a job instance, with its warnings and its log.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use stepbox_batch::execution::{self, ExecutionSummary, JobExecution};
use stepbox_batch::log;
use stepbox_batch::name::JobExecutionId;

use crate::queue::QueueEntry;
pub use crate::status::{ExitStatus, Failure, Status};
pub use crate::step_execution::{Counts, StepExecution, StepExecutionKind, Tracking, Usage};

/// A job execution with its steps.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Execution {
    /// Its number, unique in the store.
    pub id: u64,
    /// The code of the instance that it runs.
    pub instance: String,
    /// The code of the connector.
    pub connector: String,
    /// The name of the job.
    pub job: String,
    /// The type of the job.
    pub r#type: String,
    /// Its present status.
    pub status: Status,
    /// How it ended, for people.
    pub exit_status: ExitStatus,
    /// The user who asked for it; `null` if no user was given.
    pub user: Option<String>,
    /// When it was accepted.
    pub created_at: String,
    /// When a worker began it.
    pub started_at: Option<String>,
    /// When it ended.
    pub ended_at: Option<String>,
    /// When it was last written.
    pub updated_at: String,
    /// The worker that runs it or ran it.
    pub worker: Option<String>,
    /// How many workers have started it.
    pub attempt: u32,
    /// Whether a user asked to stop it.
    pub stop_requested: bool,
    /// Whether a pause was requested, and the execution was not resumed since.
    #[serde(default)]
    pub pause_requested: bool,
    /// Why no worker takes it until the store is repaired; `null` for almost all executions.
    pub set_aside: Option<String>,
    /// The execution that this one continues.
    pub restart_of: Option<u64>,
    /// Its place in the queue; `null` if it has none, and in lists.
    pub queue: Option<QueueEntry>,
    /// The folder in which relative paths of its parameters begin.
    pub folder: Option<String>,
    /// The parameters that it runs with. A JSON object.
    pub parameters: Value,
    /// The components that it runs with.
    pub components: Vec<PinnedComponent>,
    /// All warnings of all steps, stored or not.
    pub warning_count: u64,
    /// What failed outside of any step.
    pub failures: Vec<Failure>,
    /// How many steps its job has.
    #[serde(default)]
    pub step_count: u32,
    /// One for each step that began, in order.
    pub steps: Vec<StepExecution>,
}

impl Execution {
    /// Built from a stored execution.
    pub fn of(execution: &JobExecution) -> Self {
        Self::listed(&execution.summary())
    }

    /// Built from a summary, as lists have it.
    pub fn listed(execution: &ExecutionSummary) -> Self {
        let job = &execution.job;
        Self {
            id: execution.id.0,
            instance: execution.instance.to_string(),
            connector: job.connector.to_string(),
            job: job.name.to_string(),
            r#type: job.job_type.clone(),
            status: Status::of(execution.status, execution.worker.is_some()),
            exit_status: ExitStatus::of(&execution.exit_status),
            user: execution.user.clone(),
            created_at: execution.created_at.to_string(),
            started_at: execution.started_at.map(|at| at.to_string()),
            ended_at: execution.ended_at.map(|at| at.to_string()),
            updated_at: execution.updated_at.to_string(),
            worker: execution.worker.clone(),
            attempt: execution.attempt,
            stop_requested: execution.stop_requested,
            pause_requested: execution.pause_requested,
            set_aside: execution.set_aside.clone(),
            restart_of: execution.restart_of.map(|id| id.0),
            queue: None,
            folder: job.folder.clone(),
            parameters: execution.parameters.clone(),
            components: job.components.iter().map(PinnedComponent::of).collect(),
            warning_count: execution.steps.iter().map(|step| step.warning_count).sum(),
            failures: execution.failures.iter().map(Failure::of).collect(),
            step_count: job.has_items.len() as u32,
            steps: execution.steps.iter().map(|step| StepExecution::of(step, &job.has_items)).collect(),
        }
    }

    /// The same with its place in the queue.
    #[must_use]
    pub fn with_queue(self, entry: Option<&execution::queue::QueueEntry>) -> Self {
        Self { queue: entry.map(QueueEntry::of), ..self }
    }
}

/// An execution that was accepted, as it is now.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Launched {
    /// Whether an equal execution was in the queue, or running, before. Then this is that one.
    pub was_there: bool,
    /// The execution.
    #[serde(flatten)]
    pub execution: Execution,
}

/// A file that a step has written.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputFile {
    /// Its number in its execution, from 0.
    pub number: u64,
    /// The name of the step.
    pub step: String,
    /// The last part of its path.
    pub name: String,
    /// Its path, as the job gave it.
    pub path: String,
    /// The storage that has it; `null` for a file in the tenant's folders.
    pub storage: Option<String>,
    /// Its length in bytes; `null` if that is not known.
    pub size_bytes: Option<u64>,
}

#[cfg(feature = "host")]
impl OutputFile {
    /// Built from a file of an execution, and its place among them.
    pub fn of(number: usize, output: &stepbox::ExecutionOutput) -> Self {
        Self {
            number: number as u64,
            step: output.step.to_string(),
            name: output.name().to_owned(),
            path: output.path.clone(),
            storage: output.storage.clone(),
            size_bytes: output.size_bytes,
        }
    }
}

/// The items that a step has rejected.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedItems {
    /// The name of the step.
    pub step: String,
    /// The name of the file.
    pub file: String,
    /// Its length in bytes.
    pub size_bytes: u64,
}

/// A component that an execution runs with.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinnedComponent {
    /// The job's name for it.
    pub name: String,
    /// The SHA-256 of its bytes.
    pub digest: String,
}

impl PinnedComponent {
    fn of(component: &stepbox_batch::job::ComponentRef) -> Self {
        Self { name: component.name.clone(), digest: component.digest.to_string() }
    }
}

/// A skipped item, or a finding of a component.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// The name of the step.
    pub step: String,
    /// Stable, for programs.
    pub code: String,
    /// For people.
    pub reason: String,
    /// The place of the item: `line 41`. Empty if the place is not known.
    pub place: String,
    /// The item: JSON or any other text.
    pub item: String,
}

impl Warning {
    /// Built from a stored warning.
    pub fn of(warning: &execution::Warning) -> Self {
        let execution::Warning { step, code, reason, place, item } = warning.clone();
        Self { step: step.to_string(), code, reason, place, item }
    }
}

/// A message of an execution's log.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When it was logged.
    pub at: String,
    /// `error`, `warning`, `info` or `debug`.
    pub level: String,
    /// The name of the step; `null` if the message is about the job.
    pub step: Option<String>,
    /// The message.
    pub message: String,
}

impl LogLine {
    /// Built from a message of a log.
    pub fn of(line: &log::LogLine) -> Self {
        let log::LogLine { at, level, step, message } = line.clone();
        Self { at: at.to_string(), level: level.to_string(), step, message }
    }
}

/// The readable rest of an execution that is damaged in the store.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remains {
    /// Its number.
    pub id: u64,
    /// What is wrong.
    pub damaged: Vec<String>,
    /// The columns that have a value, by their names.
    pub fields: BTreeMap<String, String>,
}

impl Remains {
    /// Built from what a store could read.
    pub fn of(id: JobExecutionId, remains: &execution::Remains) -> Self {
        let execution::Remains { damage, fields } = remains;
        Self { id: id.0, damaged: damage.clone(), fields: fields.iter().cloned().collect() }
    }
}

/// The result of a purge.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purged {
    /// The numbers of the deleted executions.
    pub purged: Vec<u64>,
    /// Their unfinished outputs that could not be removed; absent if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_removed: Vec<NotRemoved>,
}

impl Purged {
    /// Built from the numbers of the executions.
    pub fn of(ids: &[JobExecutionId]) -> Self {
        Self { purged: ids.iter().map(|id| id.0).collect(), not_removed: Vec::new() }
    }

    /// The same with the outputs that could not be removed.
    #[must_use]
    pub fn leaving(self, not_removed: Vec<NotRemoved>) -> Self {
        Self { not_removed, ..self }
    }
}

/// The result of giving up an execution.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Abandoned {
    /// Its number.
    pub id: u64,
    /// Its unfinished outputs that could not be removed.
    pub not_removed: Vec<NotRemoved>,
}

/// An unfinished output that could not be removed. A person has to remove it.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotRemoved {
    /// The number of the execution that wrote it.
    pub execution: u64,
    /// Its path; empty if it is not known.
    pub path: String,
    /// Why it could not be removed.
    pub reason: String,
}

#[cfg(feature = "host")]
impl NotRemoved {
    /// Built from an output that the host could not remove.
    pub fn of(stepbox::NotRemoved { execution, path, reason }: &stepbox::NotRemoved) -> Self {
        Self { execution: execution.0, path: path.clone(), reason: reason.clone() }
    }
}

/// The result of asking an execution to stop.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopAnswer {
    /// The number of the execution.
    pub id: u64,
    /// Whether it is STOPPED already: no worker had it.
    pub is_stopped: bool,
}

impl StopAnswer {
    /// Built from the answer of the store.
    pub fn of(id: JobExecutionId, request: execution::StopRequest) -> Self {
        Self { id: id.0, is_stopped: request == execution::StopRequest::StoppedAtOnce }
    }
}

/// The result of asking an execution to pause.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseAnswer {
    /// The number of the execution.
    pub id: u64,
    /// Whether it is PAUSED already: no worker had it.
    pub is_paused: bool,
}

impl PauseAnswer {
    /// Built from the answer of the store.
    pub fn of(id: JobExecutionId, request: execution::PauseRequest) -> Self {
        Self { id: id.0, is_paused: request == execution::PauseRequest::PausedAtOnce }
    }
}

#[cfg(test)]
mod tests;
