//! What the holder of a lease saves.

use super::checkpoint::Checkpoint;
use super::context::ExecutionContext;
use super::failure::Warning;
use super::job_execution::JobExecution;
use super::step_execution::StepExecution;

/// What a worker saves in one transaction.
#[derive(Debug, Clone, Copy, Default)]
pub struct Save<'a> {
    /// The execution's own row: status, exit status, times, failures.
    ///
    /// The save does not change its steps, its lease or its stop request.
    pub execution: Option<&'a JobExecution>,
    /// The execution context.
    pub context: Option<&'a ExecutionContext>,
    /// A step's row without its checkpoint.
    ///
    /// It is inserted, or replaces the row at its position.
    pub step: Option<&'a StepExecution>,
    /// That step's checkpoint; `None` keeps the stored one.
    pub checkpoint: Option<&'a Checkpoint>,
    /// Warnings to append to that step.
    ///
    /// Their number is already within the limit.
    pub warnings: &'a [Warning],
    /// Whether the lease is given back with this save.
    pub is_last: bool,
}
