//! The status of an execution (batch status) and how it ended, for people (exit status).

use std::fmt;

use serde::{Deserialize, Serialize};

/// The status of an execution.
///
/// The numbers are stored and are Akeneo's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BatchStatus {
    /// Every step completed.
    Completed = 1,
    /// Accepted, not begun.
    Starting = 2,
    /// A worker runs it.
    Started = 3,
    /// A stop was requested, and the worker has seen the request.
    Stopping = 4,
    /// Ended by a stop; can be restarted.
    Stopped = 5,
    /// Ended by a failure; can be restarted.
    Failed = 6,
    /// Abandoned by a person; cannot be restarted.
    Abandoned = 7,
    /// Its end is unknown; it cannot be restarted.
    Unknown = 8,
    /// The worker is about to end and brings its steps to a checkpoint.
    Pausing = 9,
    /// Waits at a checkpoint, or before its first step; can be resumed.
    Paused = 10,
}

impl BatchStatus {
    /// All statuses, in the order of their numbers.
    pub const ALL: [Self; 10] = {
        use BatchStatus::*;
        [Completed, Starting, Started, Stopping, Stopped, Failed, Abandoned, Unknown, Pausing, Paused]
    };

    /// The whole state machine: which status may follow which.
    pub fn may_become(self, next: Self) -> bool {
        use BatchStatus::*;
        match self {
            Starting => matches!(next, Started | Stopping | Stopped | Pausing | Paused | Failed | Abandoned),
            Started => matches!(next, Completed | Stopping | Stopped | Pausing | Paused | Failed | Unknown),
            Stopping => matches!(next, Completed | Stopped | Failed | Unknown),
            Pausing => matches!(next, Completed | Paused | Stopping | Stopped | Failed | Unknown),
            Paused => matches!(next, Started | Stopped | Failed | Abandoned),
            Stopped | Failed | Unknown => matches!(next, Abandoned),
            Completed | Abandoned => false,
        }
    }

    /// Whether a worker holds the execution, or should hold it.
    pub fn is_running(self) -> bool {
        matches!(self, Self::Started | Self::Stopping | Self::Pausing)
    }

    /// Whether it has ended, with success or not.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Completed | Self::Stopped | Self::Failed | Self::Abandoned | Self::Unknown)
    }

    /// The name of the status for people: an execution that was accepted and that no worker has taken is QUEUED.
    pub fn shown(self, has_worker: bool) -> &'static str {
        if self == Self::Starting && !has_worker { Self::QUEUED } else { self.as_str() }
    }

    /// The name that people see for STARTING while no worker has the execution.
    pub const QUEUED: &str = "QUEUED";

    /// The stored number.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The status of a stored number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.number() == number)
    }

    /// The name in capitals, as everywhere people see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "COMPLETED",
            Self::Starting => "STARTING",
            Self::Started => "STARTED",
            Self::Stopping => "STOPPING",
            Self::Stopped => "STOPPED",
            Self::Failed => "FAILED",
            Self::Abandoned => "ABANDONED",
            Self::Unknown => "UNKNOWN",
            Self::Pausing => "PAUSING",
            Self::Paused => "PAUSED",
        }
    }
}

impl fmt::Display for BatchStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How an execution ended, for people: a code and a description.
///
/// Codes other than the six known ones are allowed; a step sets such a code to give more detail than COMPLETED.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitStatus {
    /// In capitals by custom, at most 100 bytes.
    pub code: String,
    /// Empty if there is nothing to add.
    pub description: String,
}

impl ExitStatus {
    /// Not ended yet.
    pub const EXECUTING: &str = "EXECUTING";
    /// Ended with success.
    pub const COMPLETED: &str = "COMPLETED";
    /// There was nothing to do.
    pub const NOOP: &str = "NOOP";
    /// Ended by a stop.
    pub const STOPPED: &str = "STOPPED";
    /// Ended by a failure.
    pub const FAILED: &str = "FAILED";
    /// The end is unknown.
    pub const UNKNOWN: &str = "UNKNOWN";

    /// A status with a code and no description.
    pub fn new(code: impl Into<String>) -> Self {
        Self { code: code.into(), description: String::new() }
    }

    /// The same exit status with a description.
    pub fn with_description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// From least to most severe. A custom code always wins.
    fn severity(&self) -> u8 {
        match self.code.as_str() {
            Self::EXECUTING => 1,
            Self::COMPLETED => 2,
            Self::NOOP => 3,
            Self::STOPPED => 4,
            Self::FAILED => 5,
            Self::UNKNOWN => 6,
            _ => 7,
        }
    }

    /// Combines two exit statuses: the more severe code (of two custom codes the first), and both descriptions.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        if other.severity() > self.severity() {
            self.code = other.code;
        }
        if self.description.is_empty() {
            self.description = other.description;
        } else if !other.description.is_empty() && other.description != self.description {
            self.description = format!("{}; {}", self.description, other.description);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::BatchStatus::*;
    use super::*;

    #[test]
    fn moves_only_where_the_machine_says_so() {
        let table = [
            (Starting, vec![Started, Stopping, Stopped, Failed, Abandoned, Pausing, Paused]),
            (Started, vec![Completed, Stopping, Stopped, Failed, Unknown, Pausing, Paused]),
            (Stopping, vec![Completed, Stopped, Failed, Unknown]),
            (Pausing, vec![Completed, Stopping, Stopped, Failed, Unknown, Paused]),
            (Paused, vec![Started, Stopped, Failed, Abandoned]),
            (Stopped, vec![Abandoned]),
            (Failed, vec![Abandoned]),
            (Unknown, vec![Abandoned]),
            (Completed, vec![]),
            (Abandoned, vec![]),
        ];
        for (from, expected) in table {
            let found: Vec<_> = BatchStatus::ALL.into_iter().filter(|to| from.may_become(*to)).collect();
            assert_eq!(found, expected, "{from}");
        }
    }

    #[test]
    fn keeps_the_stored_numbers() {
        for (index, status) in BatchStatus::ALL.into_iter().enumerate() {
            assert_eq!(status.number() as usize, index + 1);
            assert_eq!(BatchStatus::from_number(status.number()), Some(status));
        }
        assert_eq!(BatchStatus::from_number(0), None);
        assert_eq!(BatchStatus::from_number(11), None);
    }

    #[test]
    fn takes_the_more_severe_exit_status_and_both_descriptions() {
        let rows = [
            ("COMPLETED", "", "EXECUTING", "", "COMPLETED", ""),
            ("COMPLETED", "a", "STOPPED", "b", "STOPPED", "a; b"),
            ("FAILED", "a", "STOPPED", "a", "FAILED", "a"),
            ("UNKNOWN", "", "PARTIAL", "half", "PARTIAL", "half"),
            ("PARTIAL", "", "OTHER", "", "PARTIAL", ""),
            ("NOOP", "x", "COMPLETED", "", "NOOP", "x"),
        ];
        for (code, description, other, more, expected, both) in rows {
            let status = ExitStatus::new(code).with_description(description);
            let found = status.and(ExitStatus::new(other).with_description(more));
            assert_eq!((found.code.as_str(), found.description.as_str()), (expected, both));
        }
    }
}
