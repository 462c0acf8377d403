//! The execution that this step belongs to: its parameters, progress, findings and stop request.
//!
//! Progress and stop checks use a counter and a flag in the runtime's memory, so a call for every item costs
//! only nanoseconds.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{StepError, host};

/// All effective parameters of the job, as a JSON object.
pub fn parameters() -> String {
    host::parameters()
}

/// One parameter of the job by its top-level name; `None` if the job has no such parameter.
pub fn parameter<T: DeserializeOwned>(name: &str) -> Result<Option<T>, StepError> {
    let Some(json) = host::parameter(name) else { return Ok(None) };
    serde_json::from_str(&json).map(Some).map_err(|error| StepError::parameter(name, error))
}

/// A value that this step or an earlier step of the execution has put; `None` if there is no such value.
pub fn get<T: DeserializeOwned>(key: &str) -> Result<Option<T>, StepError> {
    let Some(json) = host::context_get(key) else { return Ok(None) };
    serde_json::from_str(&json).map(Some).map_err(|error| context_error(key, &error.to_string()))
}

/// Stores a value for later steps and for a restart.
///
/// In an item step it is stored with the checkpoint of its chunk. In a tasklet it is stored within a second,
/// or by [`save`].
///
/// A tasklet that runs again keeps the counts that it had at its last `put`. So do the work, count it, and
/// then put how far you are. A key has at most 128 bytes, and all values together at most 64 KiB.
pub fn put<T: Serialize>(key: &str, value: &T) -> Result<(), StepError> {
    host::context_put(key, &serde_json::to_string(value)?).map_err(|reason| context_error(key, &reason))
}

/// Makes durable what a tasklet has put and counted so far.
///
/// It costs a write to the disk or the database. Call it if losing the last second of work costs more. In an
/// item step it does nothing.
pub fn save() -> Result<(), StepError> {
    host::save().map_err(|reason| StepError::new("execution-context", reason).retryable())
}

/// Sets how many items there are in total, if known. It is used for progress only.
pub fn set_total_items(total: u32) {
    host::set_total_items(total);
}

/// Reports that `by` more items are done. A count above the total raises the total.
#[inline]
pub fn increment_processed_items(by: u32) {
    host::increment_processed_items(by);
}

/// Adds to a named counter of the summary, which starts at 0.
pub fn increment_summary(name: &str, by: u32) {
    host::increment_summary(name, by);
}

/// Sets a named text of the summary, at most 4 KiB.
pub fn set_summary(name: &str, value: &str) {
    host::set_summary(name, value);
}

/// Records a warning and its item, as JSON or any other text.
///
/// It changes no count: to set an item aside, return it as skipped.
pub fn add_warning(reason: &str, item: &str) {
    host::add_warning(reason, item);
}

/// Records an error for people. The step continues; to fail it, return a [`StepError`].
pub fn add_error(message: &str) {
    host::add_error(message);
}

/// Whether a stop was requested.
///
/// After `true`, return soon: the runtime ends a step that does not return within 5 seconds.
#[inline]
pub fn is_stopping() -> bool {
    host::is_stopping()
}

fn context_error(key: &str, problem: &str) -> StepError {
    StepError::new("execution-context", format_args!("the execution context's value `{key}`: {problem}"))
}
