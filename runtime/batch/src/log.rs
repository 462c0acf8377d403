//! The port of an execution's log.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// How much a message matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Something failed.
    Error,
    /// Something was set aside or looks wrong.
    Warning,
    /// What happens, step by step.
    Info,
    /// What only its author wants to know.
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
    /// When.
    pub at: Timestamp,
    /// How much it matters.
    pub level: LogLevel,
    /// The step it is about; `None` for the job.
    pub step: Option<String>,
    /// The message.
    pub message: String,
}

/// Takes the messages of one execution. Logging never fails a step: what cannot be written is lost.
pub trait ExecutionLog: Send + Sync {
    /// Adds a message, about a step or, with none, about the job.
    fn log(&self, level: LogLevel, step: Option<&str>, message: &str);
}

/// A log that keeps nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoLog;

impl ExecutionLog for NoLog {
    fn log(&self, _: LogLevel, _: Option<&str>, _: &str) {}
}
