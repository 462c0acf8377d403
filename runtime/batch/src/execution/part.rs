//! The parts of a step that was split, each an execution of its own.

use super::ending::Ending;
use super::failure::Failure;
use super::lease::is_held;
use super::status::{BatchStatus, ExitStatus};
use super::step_execution::Tracking;
use crate::clock::Timestamp;
use crate::name::JobExecutionId;

/// Which part of which step an execution is.
///
/// The execution has only that step, with a lease of its own, so that any worker may run it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition {
    /// The execution whose step was split.
    pub of: JobExecutionId,
    /// The step's place in the job, from 0.
    pub position: u32,
    /// Which part, from 0, in the order of the items.
    pub number: u32,
    /// How many parts there are.
    pub count: u32,
}

/// The state of a part: the values that the step that was split needs while it waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionState {
    /// The part's execution.
    pub id: JobExecutionId,
    /// Which part of which step it is.
    pub partition: Partition,
    /// The status of the part.
    pub status: BatchStatus,
    /// Whether it has ended.
    pub has_ended: bool,
    /// Why it was set aside; `None` for most.
    pub set_aside: Option<String>,
    /// Whether it pauses with its whole.
    pub pause_requested: bool,
    /// The worker that runs it or ran it last.
    pub worker: Option<String>,
    /// How many of its items are processed.
    pub tracking: Tracking,
    /// How many items it has set aside.
    pub skipped: u64,
    /// What ended it last: a failure outside of its step, or else a failure of the step.
    pub failure: Option<Failure>,
}

/// The rule for a whole and its parts.
///
/// A part ends with its whole. While the whole continues, the part's own losses decide.
///
/// A store applies the rule to each open part when it ends a whole, and to a part when it rescues the part. So the
/// two agree in any order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartOfEnded {
    /// No worker holds the part: it is STOPPED at once.
    Ends,
    /// The part's worker gets a stop request.
    ///
    /// If that worker is dead, a later rescue finds the part free.
    IsAsked,
}

impl PartOfEnded {
    /// The rule for a part with this lease.
    pub fn new(lease_expires_at: Option<Timestamp>, now: Timestamp) -> Self {
        if is_held(lease_expires_at, now) { Self::IsAsked } else { Self::Ends }
    }

    /// How such a part ends.
    pub fn ending(now: Timestamp) -> Ending {
        let exit_status = ExitStatus::new(ExitStatus::STOPPED)
            .with_description("the execution that it is a part of has ended");
        Ending { status: BatchStatus::Stopped, exit_status, failure: None, now }
    }
}
