//! One run of a step.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use stepbox_batch::execution::{self, SummaryValue};
use stepbox_batch::metering::ResourceUsage;

use crate::status::{ExitStatus, Failure, Status};

/// One run of a step.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepExecution {
    /// The name of the step.
    pub name: String,
    /// Its kind.
    #[serde(default)]
    pub kind: StepExecutionKind,
    /// Its present status.
    pub status: Status,
    /// How it ended, for people.
    pub exit_status: ExitStatus,
    /// When it began.
    pub started_at: String,
    /// When it ended.
    pub ended_at: Option<String>,
    /// When it was last written.
    pub updated_at: String,
    /// The outcomes of the items.
    pub counts: Counts,
    /// Its progress.
    pub tracking: Tracking,
    /// Named numbers and texts.
    pub summary: BTreeMap<String, Value>,
    /// All warnings, stored or not.
    pub warning_count: u64,
    /// Errors that did not end the step.
    pub errors: Vec<String>,
    /// The failures that ended the step.
    pub failures: Vec<Failure>,
    /// The earlier execution that completed this step, if it was not run again.
    pub carried_from: Option<u64>,
    /// How often it was started, over all restarts.
    pub starts: u32,
    /// How many retries it has used, over all restarts.
    pub retries: u32,
    /// The resources that it has used in this execution.
    pub usage: Usage,
}

/// The kind of a step.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepExecutionKind {
    /// Items go from a reader through processors to a writer.
    Item,
    /// One call to a component. It has no items to count.
    Tasklet,
    /// The kind is not known. A reader uses this one for each kind that it does not know.
    #[default]
    #[serde(other)]
    Unknown,
}

impl StepExecution {
    /// Built from a stored step of an execution. `has_items` says of each step of the job whether it is an item step.
    pub(crate) fn of(step: &execution::StepExecution, has_items: &[bool]) -> Self {
        let kind = match has_items.get(step.position as usize) {
            Some(true) => StepExecutionKind::Item,
            Some(false) => StepExecutionKind::Tasklet,
            None => StepExecutionKind::Unknown,
        };
        let execution::Counts { read, written, filtered, skipped } = step.counts;
        let execution::Tracking { processed, total, is_estimate } = step.tracking;
        Self {
            name: step.name.to_string(),
            kind,
            status: step.status.into(),
            exit_status: ExitStatus::of(&step.exit_status),
            started_at: step.started_at.to_string(),
            ended_at: step.ended_at.map(|at| at.to_string()),
            updated_at: step.updated_at.to_string(),
            counts: Counts { read, written, filtered, skipped },
            tracking: Tracking { processed, total, is_estimate },
            summary: step.summary.iter().map(|(name, value)| (name.clone(), summary_value(value))).collect(),
            warning_count: step.warning_count,
            errors: step.errors.clone(),
            failures: step.failures.iter().map(Failure::of).collect(),
            carried_from: step.carried_from.map(|id| id.0),
            starts: step.starts,
            retries: step.retries,
            usage: Usage::of(&step.usage),
        }
    }
}

fn summary_value(value: &SummaryValue) -> Value {
    match value {
        SummaryValue::Count(count) => (*count).into(),
        SummaryValue::Text(text) => text.as_str().into(),
    }
}

/// The outcomes of the items. When a step ends, read = written + filtered + skipped.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Items that the reader found.
    pub read: u64,
    /// Items that the writer took.
    pub written: u64,
    /// Items that a processor dropped on purpose.
    pub filtered: u64,
    /// Items that were skipped with a warning.
    pub skipped: u64,
}

/// The progress of a step.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tracking {
    /// Items done.
    pub processed: u64,
    /// Items to do in all; `null` if the number is not known.
    pub total: Option<u64>,
    /// Whether the total is an estimate from the bytes read so far.
    pub is_estimate: bool,
}

/// The resources that a step has used.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Processor time of its components, in microseconds.
    pub cpu_us: u64,
    /// The most memory that its components had at one time, in bytes.
    pub memory_bytes_peak: u64,
    /// How often its components called the host.
    pub host_calls: u64,
    /// Files opened for reading.
    pub files_read: u64,
    /// Bytes read from files.
    pub file_bytes_read: u64,
    /// Files opened for writing.
    pub files_written: u64,
    /// Bytes written to files.
    pub file_bytes_written: u64,
    /// HTTP requests sent.
    pub http_requests: u64,
    /// Bytes of the requests' heads and bodies.
    pub http_bytes_sent: u64,
    /// Bytes of the answers' heads and bodies.
    pub http_bytes_received: u64,
    /// HTTP requests that were refused.
    pub http_requests_refused: u64,
    /// Accesses to files that were refused.
    pub file_accesses_refused: u64,
    /// Messages that were dropped because the step's log was full.
    pub log_messages_dropped: u64,
}

impl Usage {
    fn of(usage: &ResourceUsage) -> Self {
        let ResourceUsage {
            cpu_us,
            memory_bytes_peak,
            host_calls,
            files_read,
            file_bytes_read,
            files_written,
            file_bytes_written,
            http_requests,
            http_bytes_sent,
            http_bytes_received,
            http_requests_refused,
            file_accesses_refused,
            log_messages_dropped,
        } = *usage;
        Self {
            cpu_us,
            memory_bytes_peak,
            host_calls,
            files_read,
            file_bytes_read,
            files_written,
            file_bytes_written,
            http_requests,
            http_bytes_sent,
            http_bytes_received,
            http_requests_refused,
            file_accesses_refused,
            log_messages_dropped,
        }
    }
}
