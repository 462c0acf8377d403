//! The port of an execution's log.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// How important a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Something failed.
    Error,
    /// Something was set aside or looks wrong.
    Warning,
    /// Normal events, step by step.
    Info,
    /// Details for the author of the element.
    Debug,
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
            Self::Debug => "debug",
        })
    }
}

/// One message of an execution's log, as a line of its file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When it was logged.
    pub at: Timestamp,
    /// How important it is.
    pub level: LogLevel,
    /// The step it is about; `None` for the job.
    pub step: Option<String>,
    /// The message.
    pub message: String,
}

/// Takes the messages of one execution.
///
/// Logging never fails a step: a message that cannot be written is lost.
pub trait ExecutionLog: Send + Sync {
    /// Adds a message about a step, or about the job if `step` is `None`.
    fn log(&self, level: LogLevel, step: Option<&str>, message: &str);
}

/// A log that drops all messages.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoLog;

impl ExecutionLog for NoLog {
    fn log(&self, _: LogLevel, _: Option<&str>, _: &str) {}
}
