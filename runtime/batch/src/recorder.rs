//! Saves the state of a running execution: fenced, one transaction at a time.

use std::fmt;
use std::sync::Arc;

use crate::clock::Clock;
use crate::execution::lease::Lease;
use crate::execution::save::Save;
use crate::execution::{Checkpoint, JobExecution, StepExecution, Tracking};
use crate::observer::Observer;
use crate::ports::error::Result;
use crate::ports::journal::ExecutionJournal;

/// A journal, and the lease under which its worker may write.
#[derive(Clone)]
pub struct Recorder {
    /// The journal in which a run is stored.
    pub journal: Arc<dyn ExecutionJournal>,
    /// The lease under which the worker may write.
    pub lease: Lease,
    /// Gives the time of each save.
    pub clock: Arc<dyn Clock>,
    /// Receives what a run has done.
    pub observer: Arc<dyn Observer>,
}

/// What is saved together with a step.
#[derive(Debug, Default)]
pub struct With<'a> {
    /// Where each element resumes.
    pub checkpoint: Option<&'a Checkpoint>,
    /// The job execution's own row.
    pub execution: Option<&'a JobExecution>,
    /// Whether this is the last save, which gives the lease back.
    pub is_last: bool,
}

impl Recorder {
    /// Saves the job execution's own row, and a step's row as it is.
    pub async fn save_execution(
        &self,
        execution: &JobExecution,
        step: Option<&StepExecution>,
        is_last: bool,
    ) -> Result<()> {
        self.journal
            .save(&self.lease, Save { execution: Some(execution), step, is_last, ..Save::default() })
            .await
    }

    /// Fails if another worker has the execution by now. A step calls it before and after it opens an output, and
    /// before the output gets its final name, because a file does not know about leases.
    pub(crate) async fn check_lease(&self) -> Result<()> {
        self.journal.requests(&self.lease).await.map(drop)
    }

    /// Saves only a step's progress, between two checkpoints.
    pub async fn save_tracking(&self, position: u32, tracking: Tracking) -> Result<()> {
        self.journal.save_tracking(&self.lease, position, tracking, self.clock.now()).await
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("lease", &self.lease).finish_non_exhaustive()
    }
}
