//! Messages for the execution's log, at most 16 KiB each.

use crate::host;

/// The importance of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// An error happened.
    Error,
    /// There may be a problem.
    Warning,
    /// Information for readers of the log.
    Info,
    /// Information for the step's author only.
    Debug,
}

/// Logs that an error happened.
pub fn error(message: impl AsRef<str>) {
    host::log(Level::Error, message.as_ref());
}

/// Logs that there may be a problem.
pub fn warning(message: impl AsRef<str>) {
    host::log(Level::Warning, message.as_ref());
}

/// Logs information for readers of the log.
pub fn info(message: impl AsRef<str>) {
    host::log(Level::Info, message.as_ref());
}

/// Logs information for the step's author only.
pub fn debug(message: impl AsRef<str>) {
    host::log(Level::Debug, message.as_ref());
}
