//! The stored state of a running step, and how a step goes back to it.

use super::{Inner, Saved, StepContext};
use crate::execution::save::Save;
use crate::execution::{ExecutionContext, StepExecution};
use crate::findings::{Findings, WARNINGS_STORED_MAX};
use crate::gate::SavePass;
use crate::lock::lock;
use crate::observer::Observation;
use crate::ports::error::RepositoryError;
use crate::recorder::{Recorder, With};
use crate::shared_values::Changes;
use crate::tasklet_point::TaskletPoint;

impl StepContext {
    /// Saves the step with all reports of its elements.
    ///
    /// Elements that were left behind save nothing: they get the error that the lease is lost.
    pub async fn save_step(
        &self,
        recorder: &Recorder,
        execution: &mut StepExecution,
        with: With<'_>,
    ) -> Result<(), RepositoryError> {
        let _passage = self.pass(recorder).await?;
        let _turn = self.inner.run.turn_to_save().await;
        let snapshot = self.to_save();
        let used = snapshot.findings.usage.since(&execution.usage);
        snapshot.fill(execution, recorder);
        recorder.observer.observe(Observation::Used(used));
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
            warnings: &snapshot.findings.unsaved_warnings,
            is_last: with.is_last,
        };
        recorder.journal.save(&recorder.lease, save).await?;
        snapshot.saved();
        Ok(())
    }

    /// Saves a running tasklet: the values that it has kept, and its counts at the moment when it kept them. Only
    /// its progress is the present one, for people who watch.
    async fn save_at_point(&self) -> Result<(), RepositoryError> {
        let Some((recorder, row)) = self.inner.saver.get() else { return Ok(()) };
        let _passage = self.pass(recorder).await?;
        let _turn = self.inner.run.turn_to_save().await;
        let snapshot = self.to_save_at_point();
        let mut execution = row.clone();
        // The observer gets the usage when the step is saved as a whole.
        snapshot.fill(&mut execution, recorder);
        let checkpoint = snapshot.point.as_ref().map(TaskletPoint::to_checkpoint);
        let save = Save {
            context: Some(&snapshot.values),
            step: Some(&execution),
            checkpoint: checkpoint.as_ref(),
            warnings: &snapshot.findings.unsaved_warnings,
            ..Save::default()
        };
        recorder.journal.save(&recorder.lease, save).await?;
        snapshot.saved();
        Ok(())
    }

    /// The right to save; refused for elements that were left behind.
    async fn pass(&self, recorder: &Recorder) -> Result<SavePass<'_>, RepositoryError> {
        self.gate.pass().await.ok_or(RepositoryError::LeaseLost { id: recorder.lease.id })
    }

    /// Everything that must be saved.
    pub(super) fn to_save(&self) -> Snapshot {
        self.snapshot(|findings, _, _| findings)
    }

    /// The state of a tasklet to save, as of the point from which it would continue.
    fn to_save_at_point(&self) -> Snapshot {
        self.snapshot(|findings, point, saved| {
            let TaskletPoint { summary, warning_count, .. } = point.cloned().unwrap_or_default();
            let mut unsaved_warnings = findings.unsaved_warnings;
            unsaved_warnings.truncate(stored_between(saved.warning_count, warning_count));
            Findings { summary, warning_count, unsaved_warnings, ..findings }
        })
    }

    fn snapshot(&self, as_of: impl FnOnce(Findings, Option<&TaskletPoint>, &Saved) -> Findings) -> Snapshot {
        let mut shared = self.inner.run.values();
        let findings = self.findings();
        let mut point = lock(&self.inner.point);
        point.1 = false;
        let findings = as_of(findings, point.0.as_ref(), &lock(&self.inner.saved));
        let values = shared.to_save(&self.inner.step);
        let changes = shared.take(&self.inner.step);
        Snapshot { step: self.clone(), findings, values, point: point.0.clone(), changes, is_saved: false }
    }

    /// Goes back to the last save, because the chunks after it will run again.
    ///
    /// Errors stay.
    pub fn go_back_to_saved(&self) {
        self.inner.run.values().go_back(&self.inner.step);
        let (summary, warning_count, point) = {
            let saved = lock(&self.inner.saved);
            (saved.summary.clone(), saved.warning_count, saved.point.clone())
        };
        let mut findings = lock(&self.inner.findings);
        findings.summary = summary;
        findings.warning_count = warning_count;
        findings.unsaved_warnings.clear();
        drop(findings);
        if !self.inner.has_items {
            self.set_tracking(point.as_ref().map(|point| point.tracking).unwrap_or_default());
            *lock(&self.inner.point) = (point, false);
        }
    }

    /// Begins a tasklet with its counts at that point; `None` if it begins from the start.
    pub fn go_on_from(&self, point: Option<TaskletPoint>) {
        let TaskletPoint { tracking, summary, warning_count } = point.clone().unwrap_or_default();
        self.set_tracking(tracking);
        let mut findings = lock(&self.inner.findings);
        (findings.summary, findings.warning_count) = (summary.clone(), warning_count);
        *lock(&self.inner.point) = (point.clone(), false);
        *lock(&self.inner.saved) = Saved { summary, warning_count, point };
    }

    /// Goes back to the point from which a tasklet continues when it runs again.
    ///
    /// Errors stay.
    pub fn go_back_to_point(&self) {
        let mut findings = lock(&self.inner.findings);
        let point = lock(&self.inner.point).0.clone().unwrap_or_default();
        let saved = lock(&self.inner.saved).warning_count;
        findings.unsaved_warnings.truncate(stored_between(saved, point.warning_count));
        (findings.summary, findings.warning_count) = (point.summary, point.warning_count);
        drop(findings);
        self.set_tracking(point.tracking);
    }

    /// Remembers the counts of a tasklet so far, as those that belong to the value it keeps now.
    pub(super) fn mark_point(&self) {
        let findings = lock(&self.inner.findings);
        let (summary, warning_count) = (findings.summary.clone(), findings.warning_count);
        let point = TaskletPoint { tracking: self.tracking(), summary, warning_count };
        *lock(&self.inner.point) = (Some(point), true);
    }

    /// The point from which a tasklet continues.
    ///
    /// `None` if it begins from the start, and for item steps, which have checkpoints.
    pub fn point(&self) -> Option<TaskletPoint> {
        lock(&self.inner.point).0.clone()
    }

    /// Allows a tasklet to be saved while it runs.
    pub fn saves_by(&self, recorder: Recorder, row: StepExecution) {
        // There is one `StepContext` for each step that runs, so the value is set once.
        let _ = self.inner.saver.set((recorder, row));
    }

    /// Makes durable what a tasklet has kept and counted until now.
    ///
    /// In an item step this function does nothing: there, kept values are stored with the checkpoint of their
    /// chunk.
    pub async fn save(&self) -> Result<(), RepositoryError> {
        if self.inner.has_items {
            return Ok(());
        }
        if !self.gate.is_closed() {
            self.mark_point();
        }
        self.save_at_point().await
    }

    /// Stores what a tasklet has kept since its last save, if there is anything.
    ///
    /// Returns whether there was.
    pub async fn save_if_changed(&self) -> Result<bool, RepositoryError> {
        let is_changed = lock(&self.inner.point).1;
        if is_changed {
            self.save_at_point().await?;
        }
        Ok(is_changed)
    }
}

/// How many of the warnings between two counts are stored.
fn stored_between(before: u64, after: u64) -> usize {
    (after.min(WARNINGS_STORED_MAX).saturating_sub(before.min(WARNINGS_STORED_MAX))) as usize
}

/// The state of a step that is being saved. If a snapshot is dropped before it was saved, everything in it must
/// still be saved.
pub(super) struct Snapshot {
    step: StepContext,
    findings: Findings,
    /// The values that the steps of the run share, as far as this step may save them.
    values: ExecutionContext,
    /// The point of a tasklet.
    point: Option<TaskletPoint>,
    changes: Changes,
    is_saved: bool,
}

impl Snapshot {
    /// Puts the findings and the progress into the step's row.
    fn fill(&self, execution: &mut StepExecution, recorder: &Recorder) {
        execution.tracking = self.step.tracking();
        execution.summary.clone_from(&self.findings.summary);
        execution.warning_count = self.findings.warning_count;
        execution.errors.clone_from(&self.findings.errors);
        execution.usage = self.findings.usage;
        execution.updated_at = recorder.clock.now();
    }

    /// Notes that everything in the snapshot was stored.
    pub(super) fn saved(mut self) {
        self.is_saved = true;
        let Inner { findings, saved, .. } = &*self.step.inner;
        lock(findings).unsaved_warnings.drain(..self.findings.unsaved_warnings.len());
        let (summary, warning_count) = (self.findings.summary.clone(), self.findings.warning_count);
        *lock(saved) = Saved { summary, warning_count, point: self.point.clone() };
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        if self.is_saved {
            return;
        }
        let Inner { run, step, point, .. } = &*self.step.inner;
        run.values().put_back(step, std::mem::take(&mut self.changes));
        let mut point = lock(point);
        point.1 |= point.0.is_some();
    }
}
