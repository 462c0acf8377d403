//! A row of `job_executions`, in parts that are written by different processes at different times.

use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::standing::Standing;
use stepbox_batch::execution::status::ExitStatus;
use stepbox_batch::execution::{
    Ancestor, ExecutionSummary, JobExecution, JobSummary, Partition, PartitionState, StepExecution, Tracking,
};
use stepbox_batch::flow::Requests;
use stepbox_batch::job::Job;
use stepbox_batch::name::Digest;
use stepbox_batch::ports::{RepositoryError, Result};

use super::columns::Columns;
use super::failure::{failures, failures_from};
use super::step::TrackingRecord;
use super::{Row, ended_at, job, json, stored_id};

/// The part that never changes: written when the execution is accepted.
#[derive(Debug)]
pub(crate) struct AcceptedRecord {
    pub tenant: String,
    pub instance: String,
    pub stoppable: bool,
    pub created_at: i64,
    pub restart_of: Option<i64>,
    pub user_name: Option<String>,
    pub parameters: String,
    /// The same text for the same parameters, in any order of their keys.
    pub parameters_key: String,
    pub job: String,
    /// The name of the job, by which lists are narrowed.
    pub job_name: String,
    /// The same of its type, its connector and its steps.
    pub job_type: String,
    pub connector: String,
    pub step_names: String,
    pub partition: Option<PartitionRecord>,
}

/// Which part of which step an execution is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PartitionRecord {
    pub of: i64,
    pub position: i64,
    pub number: i64,
    pub count: i64,
}

impl From<Partition> for PartitionRecord {
    fn from(partition: Partition) -> Self {
        let Partition { of, position, number, count } = partition;
        Self { of: stored_id(of), position: position.into(), number: number.into(), count: count.into() }
    }
}

impl PartitionRecord {
    /// `None` for an execution that is not a part of another.
    fn read<C: Columns>(row: &C) -> std::result::Result<Option<Self>, C::Error> {
        let Some(of) = row.maybe_number("partition_of")? else { return Ok(None) };
        Ok(Some(Self {
            of,
            position: row.number("partition_step")?,
            number: row.number("partition_number")?,
            count: row.number("partition_count")?,
        }))
    }

    fn into_partition(self, row: &Row) -> Result<Partition> {
        Ok(Partition {
            of: row.id("partition_of", self.of)?,
            position: row.count("partition_step", self.position)?,
            number: row.count("partition_number", self.number)?,
            count: row.count("partition_count", self.count)?,
        })
    }
}

impl From<&JobExecution> for AcceptedRecord {
    fn from(execution: &JobExecution) -> Self {
        Self {
            tenant: execution.tenant.to_string(),
            instance: execution.instance.to_string(),
            stoppable: execution.job.stoppable,
            created_at: execution.created_at.0,
            restart_of: execution.restart_of.map(stored_id),
            user_name: execution.user.clone(),
            parameters: json(&execution.parameters),
            parameters_key: parameters_key(&execution.parameters, execution.job.folder.as_deref()),
            partition: execution.partition.map(PartitionRecord::from),
            job: job::encode(&execution.job),
            job_name: execution.job.name.to_string(),
            job_type: execution.job.job_type.clone(),
            connector: execution.job.connector.to_string(),
            step_names: step_names(&execution.job),
        }
    }
}

/// The part that its worker saves.
#[derive(Debug)]
pub(crate) struct StateRecord {
    pub status: i64,
    pub exit_code: String,
    pub exit_description: String,
    pub started_at: Option<i64>,
    pub ended_at: Option<i64>,
    pub updated_at: i64,
    pub failures: String,
}

impl From<&JobExecution> for StateRecord {
    fn from(execution: &JobExecution) -> Self {
        let ExitStatus { code, description } = &execution.exit_status;
        Self {
            status: execution.status.number().into(),
            exit_code: code.clone(),
            exit_description: description.clone(),
            started_at: execution.started_at.map(|at| at.0),
            ended_at: ended_at(execution.status, execution.ended_at, execution.updated_at),
            updated_at: execution.updated_at.0,
            failures: failures(&execution.failures),
        }
    }
}

/// The whole row, without its lease.
#[derive(Debug)]
pub(crate) struct ExecutionRecord {
    pub id: i64,
    pub accepted: AcceptedRecord,
    pub state: StateRecord,
    pub context: String,
    pub worker: Option<String>,
    pub attempt: i64,
    pub stop_requested_at: Option<i64>,
    pub pause_requested_at: Option<i64>,
    pub set_aside: Option<String>,
}

/// Every column of [`ExecutionRecord`]. `job_executions` is called `e`.
pub(crate) const COLUMNS: &str = "e.id, e.tenant, e.instance, e.stoppable, e.created_at, e.restart_of,
    e.user_name, e.parameters, e.parameters_key, e.job, e.job_name, e.job_type, e.connector, e.step_names, e.partition_of, e.partition_step, e.partition_number,
    e.partition_count, e.status, e.exit_code, e.exit_description, e.started_at, e.ended_at, e.updated_at,
    e.failures, e.context, e.worker, e.attempt, e.stop_requested_at, e.pause_requested_at, e.set_aside";

/// The same columns for lists: without the context.
pub(crate) fn columns_of_lists() -> String {
    COLUMNS.replace("e.context", "'' AS context")
}

impl ExecutionRecord {
    pub(crate) fn read<C: Columns>(row: &C) -> std::result::Result<Self, C::Error> {
        Ok(Self {
            id: row.number("id")?,
            accepted: AcceptedRecord {
                tenant: row.text("tenant")?,
                instance: row.text("instance")?,
                stoppable: row.flag("stoppable")?,
                created_at: row.number("created_at")?,
                restart_of: row.maybe_number("restart_of")?,
                user_name: row.maybe_text("user_name")?,
                parameters: row.text("parameters")?,
                parameters_key: row.text("parameters_key")?,
                job: row.text("job")?,
                job_name: row.text("job_name")?,
                job_type: row.text("job_type")?,
                connector: row.text("connector")?,
                step_names: row.text("step_names")?,
                partition: PartitionRecord::read(row)?,
            },
            state: StateRecord {
                status: row.number("status")?,
                exit_code: row.text("exit_code")?,
                exit_description: row.text("exit_description")?,
                started_at: row.maybe_number("started_at")?,
                ended_at: row.maybe_number("ended_at")?,
                updated_at: row.number("updated_at")?,
                failures: row.text("failures")?,
            },
            context: row.text("context")?,
            worker: row.maybe_text("worker")?,
            attempt: row.number("attempt")?,
            stop_requested_at: row.maybe_number("stop_requested_at")?,
            pause_requested_at: row.maybe_number("pause_requested_at")?,
            set_aside: row.maybe_text("set_aside")?,
        })
    }

    pub(crate) fn into_execution(self, steps: Vec<StepExecution>) -> Result<JobExecution> {
        let Self {
            id,
            accepted,
            state,
            context,
            worker,
            attempt,
            stop_requested_at,
            pause_requested_at,
            set_aside,
        } = self;
        let row = Row(format!("execution {id}"));
        Ok(JobExecution {
            id: row.id("id", id)?,
            tenant: row.name("tenant", accepted.tenant)?,
            instance: row.name("instance", accepted.instance)?,
            job: job::decode(&row, "job", &accepted.job)?,
            parameters: row.json("parameters", &accepted.parameters)?,
            user: accepted.user_name,
            status: row.status(state.status)?,
            exit_status: ExitStatus { code: state.exit_code, description: state.exit_description },
            created_at: Timestamp(accepted.created_at),
            started_at: state.started_at.map(Timestamp),
            ended_at: state.ended_at.map(Timestamp),
            updated_at: Timestamp(state.updated_at),
            worker,
            attempt: row.count("attempt", attempt)?,
            stop_requested: stop_requested_at.is_some(),
            pause_requested: pause_requested_at.is_some(),
            set_aside,
            restart_of: accepted.restart_of.map(|id| row.id("restart_of", id)).transpose()?,
            partition: accepted.partition.map(|partition| partition.into_partition(&row)).transpose()?,
            failures: failures_from(&row, &state.failures)?,
            context: row.json("context", &context)?,
            steps,
        })
    }
}

impl ExecutionRecord {
    /// The summary of the row. Its context was not read.
    pub(crate) fn into_summary(self, steps: Vec<StepExecution>, jobs: &mut Jobs) -> Result<ExecutionSummary> {
        let Self { id, accepted, state, worker, attempt, stop_requested_at, set_aside, .. } = self;
        let pause_requested = self.pause_requested_at.is_some();
        let row = Row(format!("execution {id}"));
        Ok(ExecutionSummary {
            id: row.id("id", id)?,
            tenant: row.name("tenant", accepted.tenant)?,
            instance: row.name("instance", accepted.instance)?,
            job: jobs.summary(&row, accepted.job)?,
            parameters: row.json("parameters", &accepted.parameters)?,
            user: accepted.user_name,
            status: row.status(state.status)?,
            exit_status: ExitStatus { code: state.exit_code, description: state.exit_description },
            created_at: Timestamp(accepted.created_at),
            started_at: state.started_at.map(Timestamp),
            ended_at: state.ended_at.map(Timestamp),
            updated_at: Timestamp(state.updated_at),
            worker,
            attempt: row.count("attempt", attempt)?,
            stop_requested: stop_requested_at.is_some(),
            pause_requested,
            set_aside,
            restart_of: accepted.restart_of.map(|id| row.id("restart_of", id)).transpose()?,
            failures: failures_from(&row, &state.failures)?,
            steps,
        })
    }
}

/// How many different jobs a list remembers.
const JOBS_KEPT: usize = 16;

/// The jobs of a list. Most executions share a few jobs, whose texts are parsed once.
#[derive(Default)]
pub(crate) struct Jobs(Vec<(String, Arc<JobSummary>)>);

impl Jobs {
    fn summary(&mut self, row: &Row, text: String) -> Result<Arc<JobSummary>> {
        if let Some((_, known)) = self.0.iter().rev().find(|(known, _)| *known == text) {
            return Ok(known.clone());
        }
        let summary = Arc::new(JobSummary::of(&job::decode(row, "job", &text)?));
        if self.0.len() == JOBS_KEPT {
            self.0.remove(0);
        }
        self.0.push((text, summary.clone()));
        Ok(summary)
    }
}

/// The values of a part that the step that was split needs: columns of the part's row and of its step's row.
#[derive(Debug)]
pub(crate) struct PartitionStateRecord {
    pub id: i64,
    pub partition: PartitionRecord,
    pub status: i64,
    pub has_ended: bool,
    pub set_aside: Option<String>,
    pub is_pausing: bool,
    pub worker: Option<String>,
    pub failures: String,
    /// `None` if the part has no step.
    pub step: Option<PartitionStepRecord>,
}

/// The step's columns.
#[derive(Debug)]
pub(crate) struct PartitionStepRecord {
    pub tracking: TrackingRecord,
    pub skipped: i64,
    pub failures: String,
}

/// Every column of [`PartitionStateRecord`]: `e` is the part, `s` its step.
pub(crate) const PART_COLUMNS: &str =
    "e.id, e.partition_of, e.partition_step, e.partition_number, e.partition_count,
    e.status, e.ended_at IS NOT NULL AS has_ended, e.set_aside, e.pause_requested_at IS NOT NULL AS is_pausing, e.worker, e.failures, s.tracking_processed,
    s.tracking_total, s.tracking_is_estimate, s.skipped_count, s.failures AS step_failures";

impl PartitionStateRecord {
    pub(crate) fn read<C: Columns>(row: &C) -> std::result::Result<Self, C::Error> {
        let step = match row.maybe_number("tracking_processed")? {
            None => None,
            Some(_) => Some(PartitionStepRecord {
                tracking: TrackingRecord::read(row)?,
                skipped: row.number("skipped_count")?,
                failures: row.text("step_failures")?,
            }),
        };
        Ok(Self {
            id: row.number("id")?,
            partition: PartitionRecord {
                of: row.number("partition_of")?,
                position: row.number("partition_step")?,
                number: row.number("partition_number")?,
                count: row.number("partition_count")?,
            },
            status: row.number("status")?,
            has_ended: row.flag("has_ended")?,
            set_aside: row.maybe_text("set_aside")?,
            is_pausing: row.flag("is_pausing")?,
            worker: row.maybe_text("worker")?,
            failures: row.text("failures")?,
            step,
        })
    }

    pub(crate) fn into_state(self) -> Result<PartitionState> {
        let Self { id, partition, status, has_ended, set_aside, is_pausing, worker, failures, step } = self;
        let row = Row(format!("execution {id}"));
        let mut failure = failures_from(&row, &failures)?.pop();
        let (mut tracking, mut skipped) = (Tracking::default(), 0);
        if let Some(step) = step {
            tracking = step.tracking.into_tracking(&row)?;
            skipped = row.count("skipped_count", step.skipped)?;
            failure = match failure {
                None => failures_from(&row, &step.failures)?.pop(),
                its_own => its_own,
            };
        }
        Ok(PartitionState {
            id: row.id("id", id)?,
            partition: partition.into_partition(&row)?,
            status: row.status(status)?,
            has_ended,
            set_aside,
            pause_requested: is_pausing,
            worker,
            tracking,
            skipped,
            failure,
        })
    }
}

/// An execution, or an earlier one that it continues.
pub(crate) fn ancestor<C: Columns>(row: &C) -> std::result::Result<Ancestor, C::Error> {
    let id = row.number("id")?;
    let name = Row(format!("execution {id}"));
    Ok(Ancestor {
        id: name.id("id", id)?,
        started_at: row.maybe_number("started_at")?.map(Timestamp),
        restart_of: row.maybe_number("restart_of")?.map(|id| name.id("restart_of", id)).transpose()?,
    })
}

/// The values that decide which requests are allowed: `status`, `stoppable`, `lease_expires_at` and `is_set_aside`.
pub(crate) fn standing<C: Columns>(id: i64, row: &C) -> std::result::Result<Standing, C::Error> {
    let name = Row(format!("execution {id}"));
    Ok(Standing {
        id: name.id("id", id)?,
        status: name.status(row.number("status")?)?,
        stoppable: row.flag("stoppable")?,
        lease_expires_at: row.maybe_number("lease_expires_at")?.map(Timestamp),
        is_set_aside: row.flag("is_set_aside")?,
        is_part: row.flag("is_part")?,
        requests: requests(row)?,
    })
}

/// What was requested: `is_stopping` and `is_pausing`.
pub(crate) fn requests<C: Columns>(row: &C) -> std::result::Result<Requests, C::Error> {
    Ok(Requests { stop: row.flag("is_stopping")?, pause: row.flag("is_pausing")? })
}

/// There is no such execution.
pub(crate) fn not_found(id: i64) -> RepositoryError {
    RepositoryError::NotFound { kind: "execution", name: id.to_string() }
}

/// The names of a job's steps, as a JSON array without spaces.
fn step_names(job: &Job) -> String {
    json(&job.steps.iter().map(|step| step.name.as_str()).collect::<Vec<_>>())
}

/// The SHA-256 of parameters with sorted keys, and of the folder of their relative paths.
fn parameters_key(parameters: &Value, folder: Option<&str>) -> String {
    let mut sorted = parameters.clone();
    sorted.sort_all_objects();
    if let Some(folder) = folder {
        sorted = Value::from([sorted, Value::from(folder)]);
    }
    Digest::from_bytes(Sha256::digest(json(&sorted)).into()).to_string()
}
