//! Where an execution or a step stands, how it ended, and what ended it.

use std::fmt;

use serde::{Deserialize, Serialize};
use stepbox_batch::execution;
use stepbox_batch::execution::status::{self, BatchStatus};

use crate::remedy::Remedy;

/// The status of an execution or a step.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// Accepted; no worker has taken it.
    Queued,
    /// A worker has taken it but has not begun it.
    Starting,
    /// A worker runs it.
    Started,
    /// A stop was requested, and its worker has seen that.
    Stopping,
    /// Ended by a stop. It can be restarted.
    Stopped,
    /// Ended by a failure. It can be restarted.
    Failed,
    /// Given up by a person. It cannot be restarted.
    Abandoned,
    /// Every step ended well.
    Completed,
    /// Its worker is about to end and brings the steps to a checkpoint.
    Pausing,
    /// It waits at a checkpoint. It can be resumed.
    Paused,
    /// The status is not known. A reader uses this one for each status that it does not know.
    #[serde(other)]
    Unknown,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Status {
    /// The status as people see it: STARTING is called QUEUED as long as no worker has the execution.
    pub fn of(status: BatchStatus, has_worker: bool) -> Self {
        match status {
            BatchStatus::Starting if !has_worker => Self::Queued,
            other => other.into(),
        }
    }

    /// The status in capitals, as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => BatchStatus::QUEUED,
            Self::Starting => BatchStatus::Starting.as_str(),
            Self::Started => BatchStatus::Started.as_str(),
            Self::Stopping => BatchStatus::Stopping.as_str(),
            Self::Stopped => BatchStatus::Stopped.as_str(),
            Self::Failed => BatchStatus::Failed.as_str(),
            Self::Abandoned => BatchStatus::Abandoned.as_str(),
            Self::Completed => BatchStatus::Completed.as_str(),
            Self::Pausing => BatchStatus::Pausing.as_str(),
            Self::Paused => BatchStatus::Paused.as_str(),
            Self::Unknown => BatchStatus::Unknown.as_str(),
        }
    }

    /// Whether it is the status of an execution that does not run any more and waits for nobody.
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Stopped | Self::Failed | Self::Abandoned | Self::Completed | Self::Unknown)
    }
}

impl From<BatchStatus> for Status {
    fn from(status: BatchStatus) -> Self {
        match status {
            BatchStatus::Completed => Self::Completed,
            BatchStatus::Starting => Self::Starting,
            BatchStatus::Started => Self::Started,
            BatchStatus::Stopping => Self::Stopping,
            BatchStatus::Stopped => Self::Stopped,
            BatchStatus::Failed => Self::Failed,
            BatchStatus::Abandoned => Self::Abandoned,
            BatchStatus::Unknown => Self::Unknown,
            BatchStatus::Pausing => Self::Pausing,
            BatchStatus::Paused => Self::Paused,
        }
    }
}

/// The result of an execution or a step, for people.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitStatus {
    /// In capitals by custom: `COMPLETED`. A step may have one of its own.
    pub code: String,
    /// A description; may be empty.
    pub description: String,
}

impl ExitStatus {
    pub(crate) fn of(exit_status: &status::ExitStatus) -> Self {
        Self { code: exit_status.code.clone(), description: exit_status.description.clone() }
    }
}

/// Why a step or an execution failed.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Stable: a heading in docs/errors.md, or a code of the component's own.
    pub code: String,
    /// The part that failed: ``processor `normalise` ``. Empty for the job itself.
    pub culprit: String,
    /// The place: `item 41 (line 42)`. Empty if there is no particular place.
    pub place: String,
    /// What happened.
    pub message: String,
    /// The next action, for people. Empty if there is none, or if the remedies contain it.
    pub help: String,
    /// Further next actions, for programs.
    #[serde(default)]
    pub remedies: Vec<Remedy>,
}

/// Who, where and what: ``processor `normalise`, item 41 (line 42): the price is no number``.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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

impl Failure {
    pub(crate) fn of(failure: &execution::Failure) -> Self {
        let execution::Failure { code, culprit, place, message, help, remedies } = failure.clone();
        Self { code, culprit, place, message, help, remedies: remedies.iter().map(Remedy::of).collect() }
    }
}
