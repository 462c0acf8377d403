//! How a running execution writes what it knows: fenced, one transaction at a time.

use std::fmt;
use std::sync::Arc;

use crate::clock::Clock;
use crate::execution::{Checkpoint, JobExecution, StepExecution};
use crate::observer::{Observation, Observer};
use crate::repository::{ExecutionJournal, Lease, RepositoryError, Result, Save};
use crate::step_context::{Snapshot, StepContext};
use crate::tasklet_point::TaskletPoint;

/// A journal, and the lease under which its worker may write.
#[derive(Clone)]
pub struct Recorder {
    /// Where to.
    pub journal: Arc<dyn ExecutionJournal>,
    /// By what right.
    pub lease: Lease,
    /// When.
    pub clock: Arc<dyn Clock>,
    /// Who hears of it.
    pub observer: Arc<dyn Observer>,
}

/// What is saved together with a step.
#[derive(Debug, Default)]
pub struct With<'a> {
    /// Where each element resumes.
    pub checkpoint: Option<&'a Checkpoint>,
    /// The job execution's own row.
    pub execution: Option<&'a JobExecution>,
    /// Whether this is the last word, which gives the lease back.
    pub is_last: bool,
}

impl Recorder {
    /// Saves a step with everything its elements reported. Those that were left behind save nothing: to them, the
    /// lease is lost.
    pub async fn save_step(
        &self,
        execution: &mut StepExecution,
        context: &StepContext,
        with: With<'_>,
    ) -> Result<()> {
        let lost = RepositoryError::LeaseLost { id: self.lease.id };
        let _passage = context.gate().pass().await.ok_or(lost)?;
        let _turn = context.run().turn_to_save().await;
        let snapshot = context.to_save();
        let findings = &snapshot.findings;
        execution.tracking = context.tracking();
        execution.summary.clone_from(&findings.summary);
        execution.warning_count = findings.warning_count;
        execution.errors.clone_from(&findings.errors);
        let used = findings.usage.since(&execution.usage);
        execution.usage = findings.usage;
        self.observer.observe(Observation::Used(used));
        execution.updated_at = self.clock.now();
        let point = snapshot.point.as_ref().map(TaskletPoint::to_checkpoint);
        let checkpoint = with.checkpoint.or(point.as_ref());
        if let Some(checkpoint) = checkpoint {
            execution.checkpoint = Some(checkpoint.clone());
        }
        let save = Save {
            execution: with.execution,
            context: Some(&snapshot.values),
            step: Some(execution),
            checkpoint,
            warnings: &findings.unsaved_warnings,
            is_last: with.is_last,
        };
        self.journal.save(&self.lease, save).await?;
        snapshot.saved();
        Ok(())
    }

    /// Saves a tasklet that runs: what it has kept, and what it had counted when it kept it. Its progress is that of
    /// now, for whoever watches.
    pub(crate) async fn save_at_point(
        &self,
        mut execution: StepExecution,
        context: &StepContext,
        snapshot: impl FnOnce() -> Snapshot,
    ) -> Result<()> {
        let lost = RepositoryError::LeaseLost { id: self.lease.id };
        let _passage = context.gate().pass().await.ok_or(lost)?;
        let _turn = context.run().turn_to_save().await;
        let snapshot = snapshot();
        let findings = &snapshot.findings;
        execution.tracking = context.tracking();
        execution.summary.clone_from(&findings.summary);
        execution.warning_count = findings.warning_count;
        execution.errors.clone_from(&findings.errors);
        // Whoever measures hears of it when the step is saved as a whole.
        execution.usage = findings.usage;
        execution.updated_at = self.clock.now();
        let checkpoint = snapshot.point.as_ref().map(TaskletPoint::to_checkpoint);
        let save = Save {
            context: Some(&snapshot.values),
            step: Some(&execution),
            checkpoint: checkpoint.as_ref(),
            warnings: &findings.unsaved_warnings,
            ..Save::default()
        };
        self.journal.save(&self.lease, save).await?;
        snapshot.saved();
        Ok(())
    }

    /// Saves the job execution's own row, and a step's as it is.
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

    /// Fails if another worker has the execution by now. Asked before and after an output is opened, and before it
    /// gets its final name, since no file knows of leases.
    pub async fn check_lease(&self) -> Result<()> {
        self.journal.is_stop_requested(&self.lease).await.map(drop)
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
