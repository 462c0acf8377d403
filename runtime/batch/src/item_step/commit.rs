//! The last part of the journey: the output is made durable, at chunk ends.

use super::interruption::{ChunkFailure, Interruption, Phase};
use super::rejected;
use super::run::ItemStepRun;
use super::source::ChunkSource;
use crate::error::StepError;
use crate::execution::{Checkpoint, Tracking};
use crate::observer::Observation;
use crate::recorder::With;

impl ItemStepRun<'_> {
    /// Commits as often as the step's settings require. The source may have to fill a gap between chunks first.
    pub(super) async fn checkpoint_if_due(&mut self, source: &mut ChunkSource) -> Result<(), Interruption> {
        let read = self.journey.execution.counts.read;
        let items = read - self.sink.committed_counts.read;
        let is_due = self.is_interval_over()
            || self.settings.checkpoint.items.is_some_and(|max| items >= max)
            || self.recovery.is_border(read);
        if is_due && source.is_settled() {
            self.commit().await?;
        } else if is_due {
            source.settle();
        }
        Ok(())
    }

    /// Whether the last commit is longer ago than the interval between two checkpoints.
    pub(super) fn is_interval_over(&self) -> bool {
        let ms = self.journey.recorder.clock.now().ms_since(self.sink.committed_at);
        ms >= self.settings.checkpoint.ms
    }

    /// Makes everything up to here durable. First the output; then, in one transaction, the counts, the warnings
    /// and the point where each element resumes.
    pub(super) async fn commit(&mut self) -> Result<(), Interruption> {
        self.commit_now().await.map_err(|interruption| interruption.during(Phase::Writing))
    }

    async fn commit_now(&mut self) -> Result<(), Interruption> {
        let (journey, sink) = (&mut self.journey, &mut self.sink);
        let began = journey.recorder.clock.ticks_us();
        let (element, call) = sink.writer.calling();
        let written = element.checkpoint().await;
        drop(call);
        let written = written.map_err(|halt| sink.writer.halted("", halt))?;
        journey.check_gate()?;
        journey.context.accept(sink.writer.take_reports());
        let checkpoint = Checkpoint {
            reader: sink.reader_state.clone(),
            processors: sink.processor_states.clone(),
            writer: written,
            rejected: sink.rejected.checkpoint().await.map_err(rejected::failed)?,
        };
        let with = With { checkpoint: Some(&checkpoint), ..With::default() };
        journey.context.save_step(journey.recorder, journey.execution, with).await?;
        let counts = journey.execution.counts.since(sink.committed_counts);
        journey.observe(Observation::Checkpoint { us: journey.us_since(began), counts });
        sink.committed_counts = journey.execution.counts;
        sink.committed_at = journey.recorder.clock.now();
        Ok(())
    }

    /// After an interruption: if `is_whole`, commits the chunks that were written completely. Otherwise the writer
    /// may hold a part of another chunk, or cannot say what it holds; the step goes back to the last checkpoint.
    pub(super) async fn keep_what_is_whole(&mut self, is_whole: bool) -> Result<(), StepError> {
        if is_whole {
            match self.commit().await {
                Ok(()) => return Ok(()),
                Err(Interruption::Failed(ChunkFailure { error: StepError::Repository(error), .. })) => {
                    return Err(error.into());
                }
                Err(_) => {}
            }
        }
        let (context, committed) = (self.journey.context, self.sink.committed_counts);
        context.go_back_to_saved();
        self.journey.execution.counts = committed;
        context.set_tracking(Tracking { total: context.tracking().total, ..committed.into() });
        Ok(())
    }
}
