//! How a running execution writes what it knows: fenced, one transaction at a time.

use std::fmt;
use std::sync::Arc;

use crate::clock::Clock;
use crate::execution::{Checkpoint, StepExecution};
use crate::repository::{ExecutionJournal, Lease, Result, Save};
use crate::step_context::StepContext;

/// A journal, and the lease under which its worker may write.
#[derive(Clone)]
pub struct Recorder {
    /// Where to.
    pub journal: Arc<dyn ExecutionJournal>,
    /// By what right.
    pub lease: Lease,
    /// When.
    pub clock: Arc<dyn Clock>,
}

impl Recorder {
    /// Saves a step with everything its elements reported, and its checkpoint if there is one.
    pub async fn save_step(
        &self,
        execution: &mut StepExecution,
        context: &StepContext,
        checkpoint: Option<&Checkpoint>,
    ) -> Result<()> {
        let findings = context.findings();
        execution.tracking = context.tracking();
        execution.summary = findings.summary;
        execution.warning_count = findings.warning_count;
        execution.errors = findings.errors;
        execution.updated_at = self.clock.now();
        if let Some(checkpoint) = checkpoint {
            execution.checkpoint = Some(checkpoint.clone());
        }
        let save = Save {
            step: Some(execution),
            checkpoint,
            warnings: &findings.unsaved_warnings,
            context: Some(&context.run().context()),
            ..Save::default()
        };
        self.journal.save(&self.lease, save).await?;
        context.warnings_are_saved(findings.unsaved_warnings.len());
        Ok(())
    }

    /// Saves a step's progress alone, between two checkpoints.
    pub async fn save_tracking(&self, position: u32, context: &StepContext) -> Result<()> {
        self.journal.save_tracking(&self.lease, position, context.tracking(), self.clock.now()).await
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("lease", &self.lease).finish_non_exhaustive()
    }
}
