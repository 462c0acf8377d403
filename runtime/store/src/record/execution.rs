//! A row of `job_executions`, in the parts that are written by different people at different times.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::status::ExitStatus;
use stepbox_batch::execution::{
    ExecutionSummary, Failure, JobExecution, JobSummary, Partition, PartitionState, StepExecution, Tracking,
};
use stepbox_batch::name::Digest;
use stepbox_batch::ports::Result;

use super::step::TrackingRecord;
use super::{Row, ended_at, job, json, stored_id};

/// What never changes: written when the execution is accepted.
#[derive(Debug)]
pub(crate) struct AcceptedRecord {
    pub tenant: String,
    pub instance: String,
    pub stoppable: bool,
    pub created_at: i64,
    pub restart_of: Option<i64>,
    pub user_name: Option<String>,
    pub parameters: String,
    /// Equal for equal parameters, whatever the order of their keys.
    pub parameters_key: String,
    pub job: String,
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
        }
    }
}

/// What its worker saves.
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

/// The whole row, but for its lease.
#[derive(Debug)]
pub(crate) struct ExecutionRecord {
    pub id: i64,
    pub accepted: AcceptedRecord,
    pub state: StateRecord,
    pub context: String,
    pub worker: Option<String>,
    pub attempt: i64,
    pub stop_requested_at: Option<i64>,
    pub set_aside: Option<String>,
}

impl ExecutionRecord {
    pub(crate) fn into_execution(self, steps: Vec<StepExecution>) -> Result<JobExecution> {
        let Self { id, accepted, state, context, worker, attempt, stop_requested_at, set_aside } = self;
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
    /// The row as lists show it. Its context was not read.
    pub(crate) fn into_summary(self, steps: Vec<StepExecution>, jobs: &mut Jobs) -> Result<ExecutionSummary> {
        let Self { id, accepted, state, context: _, worker, attempt, stop_requested_at, set_aside } = self;
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
            set_aside,
            restart_of: accepted.restart_of.map(|id| row.id("restart_of", id)).transpose()?,
            failures: failures_from(&row, &state.failures)?,
            steps,
        })
    }
}

/// How many different jobs a list keeps in mind.
const JOBS_KEPT: usize = 16;

/// The jobs of a list. Most executions have the same few, whose texts are read once.
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

/// What the step that was split has to know of a part: columns of the part's row and of its step's.
#[derive(Debug)]
pub(crate) struct PartitionStateRecord {
    pub id: i64,
    pub partition: PartitionRecord,
    pub status: i64,
    pub has_ended: bool,
    pub set_aside: Option<String>,
    pub worker: Option<String>,
    pub failures: String,
    /// None if the part has no step.
    pub step: Option<PartitionStepRecord>,
}

/// The step's columns.
#[derive(Debug)]
pub(crate) struct PartitionStepRecord {
    pub tracking: TrackingRecord,
    pub skipped: i64,
    pub failures: String,
}

impl PartitionStateRecord {
    pub(crate) fn into_state(self) -> Result<PartitionState> {
        let Self { id, partition, status, has_ended, set_aside, worker, failures, step } = self;
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
            worker,
            tracking,
            skipped,
            failure,
        })
    }
}

/// The SHA-256 of parameters with their keys in order, and of where their relative paths begin.
fn parameters_key(parameters: &Value, folder: Option<&str>) -> String {
    let mut sorted = parameters.clone();
    sorted.sort_all_objects();
    if let Some(folder) = folder {
        sorted = Value::from([sorted, Value::from(folder)]);
    }
    Digest::from_bytes(Sha256::digest(json(&sorted)).into()).to_string()
}

/// One of the JSON array in `failures`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FailureForm {
    code: String,
    culprit: String,
    place: String,
    message: String,
    help: String,
    /// Each is a JSON object. A reader leaves out those that it does not know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    remedies: Vec<Value>,
}

impl From<&Failure> for FailureForm {
    fn from(failure: &Failure) -> Self {
        let Failure { code, culprit, place, message, help, remedies } = failure.clone();
        let remedies = remedies.iter().filter_map(|remedy| serde_json::to_value(remedy).ok()).collect();
        Self { code, culprit, place, message, help, remedies }
    }
}

impl FailureForm {
    fn into_failure(self) -> Failure {
        let Self { code, culprit, place, message, help, remedies } = self;
        let remedies =
            remedies.into_iter().filter_map(|remedy| serde_json::from_value(remedy).ok()).collect();
        Failure { code, culprit, place, message, help, remedies }
    }
}

/// One failure, to be appended to a stored array.
pub(crate) fn failure(failure: &Failure) -> String {
    json(&FailureForm::from(failure))
}

pub(super) fn failures(failures: &[Failure]) -> String {
    json(&failures.iter().map(FailureForm::from).collect::<Vec<_>>())
}

pub(super) fn failures_from(row: &Row, text: &str) -> Result<Vec<Failure>> {
    let forms: Vec<FailureForm> = row.json("failures", text)?;
    Ok(forms.into_iter().map(FailureForm::into_failure).collect())
}

#[cfg(test)]
mod tests {
    use stepbox_batch::name::JobExecutionId;
    use stepbox_batch::remedy::Remedy;

    use super::*;

    /// Failures of earlier versions have no remedies, and those of later ones may have others.
    #[test]
    fn a_failure_of_another_version_is_read() {
        let read = |remedies: &str| {
            let text =
                format!(r#"[{{"code":"a","culprit":"","place":"","message":"m","help":"h"{remedies}}}]"#);
            failures_from(&Row("row".to_owned()), &text).unwrap().remove(0).remedies
        };
        assert!(read("").is_empty());
        let known = Remedy::RestartExecution { execution: JobExecutionId(7) };
        let stored =
            r#","remedies":[{"kind":"of-a-newer-version"},{"kind":"restart-execution","execution":7}]"#;
        assert_eq!(read(stored), [known]);
    }
}
