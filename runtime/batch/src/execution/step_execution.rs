//! One run of a step, as it is stored.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::checkpoint::Checkpoint;
use super::failure::Failure;
use super::status::{BatchStatus, ExitStatus};
use crate::clock::Timestamp;
use crate::metering::ResourceUsage;
use crate::name::{JobExecutionId, StepName};

/// One run of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct StepExecution {
    /// The step's place in the job, from 0.
    pub position: u32,
    /// The step.
    pub name: StepName,
    /// The status of the step.
    pub status: BatchStatus,
    /// How it ended, for people.
    pub exit_status: ExitStatus,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; always set after its end.
    pub ended_at: Option<Timestamp>,
    /// When its row was last written.
    pub updated_at: Timestamp,
    /// The items so far, including those of the executions that it continues.
    pub counts: Counts,
    /// Progress.
    pub tracking: Tracking,
    /// Named counters and texts.
    pub summary: Summary,
    /// The number of all warnings, stored or not.
    pub warning_count: u64,
    /// Findings that did not end it.
    pub errors: Vec<String>,
    /// What ended it.
    pub failures: Vec<Failure>,
    /// Where each element resumes; `None` before the first checkpoint and for most tasklets.
    pub checkpoint: Option<Checkpoint>,
    /// How often the step was begun, over all restarts.
    pub starts: u32,
    /// How many of its retries are used up, over all restarts.
    pub retries: u32,
    /// The earlier execution that completed this step, if it was not run again.
    pub carried_from: Option<JobExecutionId>,
    /// The resources it has used in this execution; nothing if an earlier execution completed it.
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

/// How many items were read, written, filtered and skipped.
///
/// At a step's end, read = written + filtered + skipped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Items that the reader found, readable or not.
    pub read: u64,
    /// Items that the writer accepted.
    pub written: u64,
    /// Items that a processor left out on purpose.
    pub filtered: u64,
    /// Items set aside with a warning.
    pub skipped: u64,
}

impl Counts {
    /// Whether every item read is accounted for.
    pub fn add_up(&self) -> bool {
        self.read == self.written + self.filtered + self.skipped
    }

    /// The sum of these items and others.
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

/// How much of its work a step has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tracking {
    /// Items done.
    pub processed: u64,
    /// Items to do in all; `None` if the total is unknown.
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
