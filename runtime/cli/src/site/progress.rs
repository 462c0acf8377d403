//! How far an execution is, and whether it stops.

use stepbox_api::execution::Tracking;

/// How far an execution is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The step that is running; empty before the first step.
    pub(crate) step: String,
    /// The number of the step in the job, from 1; 0 before the first step.
    pub(crate) step_number: usize,
    /// The number of steps in the job.
    pub(crate) step_count: usize,
    /// The progress of the step.
    pub(crate) tracking: Tracking,
}

/// What became of asking an execution to stop.
pub(crate) enum Stopping {
    /// It was asked.
    Asked,
    /// It does not stop.
    Continues {
        /// Why not.
        reason: String,
    },
}
