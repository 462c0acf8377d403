//! One run of a job instance and of each of its steps: what is stored of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::Timestamp;
use crate::job::Job;
use crate::metering::ResourceUsage;
use crate::name::{InstanceCode, JobExecutionId, StepName, TenantId};
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
    /// What to do about it. Empty if there is nothing to say.
    pub help: String,
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
        self.0.iter().map(|(key, value)| key.len() + value.to_string().len()).sum()
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
