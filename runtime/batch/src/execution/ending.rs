//! How an execution ends if its worker does not end it: by a stop, by a person who abandons it, or by a rescue.

use super::failure::Failure;
use super::status::{BatchStatus, ExitStatus};
use crate::clock::Timestamp;

/// How an execution ends, together with those of its steps that have not ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Ending {
    /// The status of the execution and of its open steps.
    pub status: BatchStatus,
    /// The exit status of the execution and of its open steps.
    pub exit_status: ExitStatus,
    /// Appended to the failures of the execution and of its open steps.
    pub failure: Option<Failure>,
    /// When it ends.
    pub now: Timestamp,
}

impl Ending {
    /// A stop before a worker had begun the execution.
    pub fn stopped(now: Timestamp) -> Self {
        Self {
            status: BatchStatus::Stopped,
            exit_status: ExitStatus::new(ExitStatus::STOPPED),
            failure: None,
            now,
        }
    }

    /// A person abandoned the execution before it had ended.
    pub fn abandoned(now: Timestamp) -> Self {
        let exit_status = ExitStatus::new(ExitStatus::STOPPED).with_description("given up before it ended");
        Self { status: BatchStatus::Abandoned, exit_status, failure: None, now }
    }
}
