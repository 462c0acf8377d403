//! The end of a step: the last commit, and the output under its final name.

use super::elements::Elements;
use super::interruption::{Interruption, Phase};
use super::journey::StepOutcome;
use super::rejected;
use super::run::ItemStepRun;
use crate::error::StepError;

impl ItemStepRun<'_> {
    /// Ends a step that ran to its end or to a stop. The output gets its final name last, and only if not too many
    /// items were skipped. A part is not checked alone: the parts are checked together when they are merged.
    pub(super) async fn finish(
        &mut self,
        elements: &mut Elements,
        outcome: StepOutcome,
    ) -> Result<StepOutcome, Interruption> {
        let counts = self.journey.execution.counts;
        if !counts.add_up() {
            return Err(StepError::Accounting { counts }.into());
        }
        let is_stopped = outcome == StepOutcome::Stopped;
        if !is_stopped {
            self.journey.track_all_read();
        }
        self.commit().await?;
        elements.close().await?;
        elements.accept_reports(self.journey.context);
        if !is_stopped {
            if self.fragment.is_none()
                && let Some(error) = rejected::too_many(counts, &self.settings.skip)
            {
                return Err(error.into());
            }
            self.complete_output().await?;
        }
        Ok(outcome)
    }

    /// Gives the output its final name, unless another worker has the execution by now.
    async fn complete_output(&mut self) -> Result<(), Interruption> {
        self.journey.recorder.check_lease().await?;
        self.journey.check_gate()?;
        let writer = &mut self.sink.writer;
        let (element, call) = writer.calling();
        let completed = element.complete().await;
        drop(call);
        completed.map_err(|halt| writer.halted("", halt).during(Phase::Writing))?;
        self.journey.context.accept(writer.take_reports());
        Ok(())
    }
}
