//! Executions as lists show them.

use std::sync::Arc;

use serde_json::Value;

use super::failure::Failure;
use super::job_execution::JobExecution;
use super::status::{BatchStatus, ExitStatus};
use super::step_execution::StepExecution;
use crate::clock::Timestamp;
use crate::instance_form::Veiled;
use crate::job::{ComponentRef, Job, StepKind};
use crate::name::{ConnectorCode, InstanceCode, JobExecutionId, JobName, TenantId};

/// An execution as lists show it: without its context and its steps' checkpoints, which may be large.
#[derive(Debug, Clone, PartialEq)]
pub struct ExecutionSummary {
    /// The id that the store gave it.
    pub id: JobExecutionId,
    /// The tenant that it belongs to.
    pub tenant: TenantId,
    /// The instance it runs.
    pub instance: InstanceCode,
    /// The part of its job's definition that lists show.
    ///
    /// Executions of the same job share it.
    pub job: Arc<JobSummary>,
    /// Effective parameters.
    ///
    /// A JSON object.
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
    pub stop_requested: bool,
    /// Whether a pause was requested, and the execution was not resumed since.
    pub pause_requested: bool,
    /// Why it was set aside: see [`JobExecution::set_aside`].
    pub set_aside: Option<String>,
    /// The execution that this one continues.
    pub restart_of: Option<JobExecutionId>,
    /// Failures outside of any step.
    pub failures: Vec<Failure>,
    /// One for each step that began, in order, without its checkpoint.
    pub steps: Vec<StepExecution>,
}

/// The part of a job's definition that lists show.
#[derive(Debug, Clone, PartialEq)]
pub struct JobSummary {
    /// The connector that the job belongs to.
    pub connector: ConnectorCode,
    /// Its name.
    pub name: JobName,
    /// `import`, `export`, or any other word.
    pub job_type: String,
    /// The components it uses, in the order of its steps.
    pub components: Vec<ComponentRef>,
    /// The folder of its relative paths: see [`Job::folder`].
    pub folder: Option<String>,
    /// Whether each of its steps is an item step, in the order of the steps.
    pub has_items: Vec<bool>,
    /// Its parameters that not everybody sees.
    pub veiled: Vec<Veiled>,
}

impl JobSummary {
    /// The summary of a job.
    pub fn of(job: &Job) -> Self {
        Self {
            connector: job.connector.clone(),
            name: job.name.clone(),
            job_type: job.job_type.clone(),
            components: job.components().cloned().collect(),
            folder: job.folder.clone(),
            has_items: job.steps.iter().map(|step| matches!(step.kind, StepKind::Item { .. })).collect(),
            veiled: job.veiled(),
        }
    }
}

impl JobExecution {
    /// The execution as lists show it.
    pub fn summary(&self) -> ExecutionSummary {
        let without_checkpoint = |step: &StepExecution| StepExecution { checkpoint: None, ..step.clone() };
        ExecutionSummary {
            id: self.id,
            tenant: self.tenant.clone(),
            instance: self.instance.clone(),
            job: Arc::new(JobSummary::of(&self.job)),
            parameters: self.parameters.clone(),
            user: self.user.clone(),
            status: self.status,
            exit_status: self.exit_status.clone(),
            created_at: self.created_at,
            started_at: self.started_at,
            ended_at: self.ended_at,
            updated_at: self.updated_at,
            worker: self.worker.clone(),
            attempt: self.attempt,
            stop_requested: self.stop_requested,
            pause_requested: self.pause_requested,
            set_aside: self.set_aside.clone(),
            restart_of: self.restart_of,
            failures: self.failures.clone(),
            steps: self.steps.iter().map(without_checkpoint).collect(),
        }
    }
}
