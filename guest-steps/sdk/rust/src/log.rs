//! Messages for the execution's log, at most 16 KiB each.

use crate::host;

/// How much a message matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Something went wrong.
    Error,
    /// Something looks wrong.
    Warning,
    /// What a reader of the log wants to know.
    Info,
    /// What only the step's author wants to know.
    Debug,
}

/// Something went wrong.
pub fn error(message: impl AsRef<str>) {
    host::log(Level::Error, message.as_ref());
}

/// Something looks wrong.
pub fn warning(message: impl AsRef<str>) {
    host::log(Level::Warning, message.as_ref());
}

/// What a reader of the log wants to know.
pub fn info(message: impl AsRef<str>) {
    host::log(Level::Info, message.as_ref());
}

/// What only the step's author wants to know.
pub fn debug(message: impl AsRef<str>) {
    host::log(Level::Debug, message.as_ref());
}
