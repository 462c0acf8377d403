//! One run of a job instance and of each of its steps: what is stored of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::Timestamp;
use crate::job::{ComponentRef, Job};
use crate::metering::ResourceUsage;
use crate::name::{ConnectorCode, InstanceCode, JobExecutionId, JobName, StepName, TenantId};
use crate::remedy::Remedy;
use crate::status::{BatchStatus, ExitStatus};

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
    /// Who asked for it, if somebody said so.
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
    /// Whether somebody asked to stop it; written by others than its worker.
    pub stop_requested: bool,
    /// Why it was set aside: no worker takes it, and nobody rescues it, until the store was repaired. `None` for
    /// almost all.
    pub set_aside: Option<String>,
    /// The execution that this one goes on from.
    pub restart_of: Option<JobExecutionId>,
    /// The part of another execution's step that this one is; none for most.
    pub partition: Option<Partition>,
    /// What failed outside of any step.
    pub failures: Vec<Failure>,
    /// Values shared by its steps.
    pub context: ExecutionContext,
    /// One for each step that began, in order.
    pub steps: Vec<StepExecution>,
}

/// An execution as lists show it: without its context and its steps' checkpoints, which may be large and which
/// nobody looks at there.
#[derive(Debug, Clone, PartialEq)]
pub struct ExecutionSummary {
    /// Given by the store.
    pub id: JobExecutionId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The instance it runs.
    pub instance: InstanceCode,
    /// What is shown of its job. Executions of the same job share it.
    pub job: Arc<JobSummary>,
    /// Effective parameters. A JSON object.
    pub parameters: Value,
    /// Who asked for it, if somebody said so.
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
    /// Whether somebody asked to stop it.
    pub stop_requested: bool,
    /// Why it was set aside: see [`JobExecution::set_aside`].
    pub set_aside: Option<String>,
    /// The execution that this one goes on from.
    pub restart_of: Option<JobExecutionId>,
    /// What failed outside of any step.
    pub failures: Vec<Failure>,
    /// One for each step that began, in order; none of them has its checkpoint here.
    pub steps: Vec<StepExecution>,
}

/// What lists show of a job's definition.
#[derive(Debug, Clone, PartialEq)]
pub struct JobSummary {
    /// The connector that brought it.
    pub connector: ConnectorCode,
    /// Its name.
    pub name: JobName,
    /// `import`, `export`, or any other word.
    pub job_type: String,
    /// The components it uses, in the order of its steps.
    pub components: Vec<ComponentRef>,
    /// Where its relative paths begin: see [`Job::folder`].
    pub folder: Option<String>,
}

impl JobSummary {
    /// Of a job.
    pub fn of(job: &Job) -> Self {
        Self {
            connector: job.connector.clone(),
            name: job.name.clone(),
            job_type: job.job_type.clone(),
            components: job.components().cloned().collect(),
            folder: job.folder.clone(),
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
            set_aside: self.set_aside.clone(),
            restart_of: self.restart_of,
            failures: self.failures.clone(),
            steps: self.steps.iter().map(without_checkpoint).collect(),
        }
    }
}

/// How a part stands: as much as the step that was split has to know while it waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionState {
    /// The part's execution.
    pub id: JobExecutionId,
    /// Which part of which step it is.
    pub partition: Partition,
    /// Where it stands.
    pub status: BatchStatus,
    /// Whether it has ended.
    pub has_ended: bool,
    /// Why it could be neither run nor rescued; `None` for most.
    pub set_aside: Option<String>,
    /// Which worker runs or ran it.
    pub worker: Option<String>,
    /// How far it is.
    pub tracking: Tracking,
    /// How many items it has set aside.
    pub skipped: u64,
    /// What ended it last: what failed outside of its step, or else in it.
    pub failure: Option<Failure>,
}

/// An execution, or one that it goes on from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ancestor {
    /// Which one.
    pub id: JobExecutionId,
    /// When a worker began it.
    pub started_at: Option<Timestamp>,
    /// The one that it goes on from in turn.
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

/// Which part of which step an execution is. It has that one step, with a lease of its own, so that any worker
/// may run it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition {
    /// The execution whose step was split.
    pub of: JobExecutionId,
    /// The step's place in the job, from 0.
    pub position: u32,
    /// Which part, from 0, in the order of the items.
    pub number: u32,
    /// How many parts there are.
    pub count: u32,
}

/// One run of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct StepExecution {
    /// The step's place in the job, from 0.
    pub position: u32,
    /// The step.
    pub name: StepName,
    /// Where it stands.
    pub status: BatchStatus,
    /// How it ended, for people.
    pub exit_status: ExitStatus,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; always set once it has.
    pub ended_at: Option<Timestamp>,
    /// When its row was last written.
    pub updated_at: Timestamp,
    /// The items so far, including those of the executions it goes on from.
    pub counts: Counts,
    /// Progress.
    pub tracking: Tracking,
    /// Named counters and texts.
    pub summary: Summary,
    /// All warnings, stored or not.
    pub warning_count: u64,
    /// Findings that did not end it.
    pub errors: Vec<String>,
    /// What ended it.
    pub failures: Vec<Failure>,
    /// Where each element resumes; none before the first checkpoint and for tasklets.
    pub checkpoint: Option<Checkpoint>,
    /// How often it was begun, over all restarts.
    pub starts: u32,
    /// How many of its retries are used up, over all restarts.
    pub retries: u32,
    /// The earlier execution that completed this step, if it was not run again.
    pub carried_from: Option<JobExecutionId>,
    /// What it has used in this execution; nothing if an earlier one completed it.
    pub usage: ResourceUsage,
}

impl StepExecution {
    /// A step that begins now.
    pub fn new(position: u32, name: StepName, now: Timestamp) -> Self {
        Self {
            position,
            name,
            status: BatchStatus::Starting,
            exit_status: ExitStatus::new(ExitStatus::EXECUTING),
            started_at: now,
            ended_at: None,
            updated_at: now,
            counts: Counts::default(),
            tracking: Tracking::default(),
            summary: Summary::new(),
            warning_count: 0,
            errors: Vec::new(),
            failures: Vec::new(),
            checkpoint: None,
            starts: 0,
            retries: 0,
            carried_from: None,
            usage: ResourceUsage::default(),
        }
    }
}

/// What became of the items. At a step's end, read = written + filtered + skipped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Items that the reader found, readable or not.
    pub read: u64,
    /// Items that the writer took.
    pub written: u64,
    /// Items that a processor dropped on purpose.
    pub filtered: u64,
    /// Items set aside with a warning.
    pub skipped: u64,
}

impl Counts {
    /// Whether every item read is accounted for.
    pub fn add_up(&self) -> bool {
        self.read == self.written + self.filtered + self.skipped
    }

    /// These items and others.
    #[must_use]
    pub fn and(self, others: Self) -> Self {
        Self {
            read: self.read + others.read,
            written: self.written + others.written,
            filtered: self.filtered + others.filtered,
            skipped: self.skipped + others.skipped,
        }
    }

    /// The items that came after `earlier`.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            read: self.read.saturating_sub(earlier.read),
            written: self.written.saturating_sub(earlier.written),
            filtered: self.filtered.saturating_sub(earlier.filtered),
            skipped: self.skipped.saturating_sub(earlier.skipped),
        }
    }
}

/// How far a step is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tracking {
    /// Items done.
    pub processed: u64,
    /// Items to do in all, if anybody knows.
    pub total: Option<u64>,
    /// Whether the total is an estimate from the bytes read so far.
    pub is_estimate: bool,
}

/// Named counters and texts, by name.
pub type Summary = BTreeMap<String, SummaryValue>;

/// A value of the summary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SummaryValue {
    /// A counter.
    Count(u64),
    /// A text.
    Text(String),
}

impl std::fmt::Display for SummaryValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

/// An item set aside, or something that a component wants people to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// The step.
    pub step: StepName,
    /// Stable, for machines; `warning` for one that a component added without a code.
    pub code: String,
    /// For people.
    pub reason: String,
    /// Where the item stands, as a person would say it: `line 41`. Empty if nobody knows.
    pub place: String,
    /// What there is of the item: JSON or any other text.
    pub item: String,
}

/// What ended a step or a job: culprit, place, cause, next action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Stable, for machines and for `docs/errors.md`.
    pub code: String,
    /// Who: ``processor `normalise` ``. Empty for the job itself.
    pub culprit: String,
    /// Where: `item 41 (line 42)`. Empty if it is nowhere in particular.
    pub place: String,
    /// What happened.
    pub message: String,
    /// What to do about it. Empty if there is nothing to say, or if the remedies say it.
    pub help: String,
    /// What else to do about it, for a front end to put in words.
    #[serde(default)]
    pub remedies: Vec<Remedy>,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.culprit.is_empty() {
            write!(f, "{}", self.culprit)?;
            if !self.place.is_empty() {
                write!(f, ", {}", self.place)?;
            }
            write!(f, ": ")?;
        }
        f.write_str(&self.message)
    }
}

/// How many bytes the values of an execution context may take together.
pub const CONTEXT_BYTES_MAX: usize = 64 << 10;

/// Key/values shared by the steps of a run, stored with each checkpoint. Values are JSON.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExecutionContext(pub BTreeMap<String, Value>);

impl ExecutionContext {
    /// Bytes of all keys and values as JSON.
    pub fn bytes(&self) -> usize {
        self.0.iter().map(|(key, value)| entry_bytes(key, value)).sum()
    }
}

/// Bytes of a key and its value as JSON, which is written nowhere.
pub(crate) fn entry_bytes(key: &str, value: &Value) -> usize {
    let mut text = Length(0);
    // Only keys that are no text could fail, and there are none.
    let _ = serde_json::to_writer(&mut text, value);
    key.len() + text.0
}

/// Counts what is written.
struct Length(usize);

impl std::io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Where each element of an item step resumes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// The reader's state, opaque.
    pub reader: Vec<u8>,
    /// The processors' states, opaque, in order.
    pub processors: Vec<Vec<u8>>,
    /// The writer's state, opaque. What it names is durable.
    pub writer: Vec<u8>,
    /// The state of the rejected items file, opaque. What it names is durable.
    pub rejected: Vec<u8>,
}
