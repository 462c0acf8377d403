//! A data item's journey: read, processed, written, and made durable with a checkpoint.
//!
//! Items travel in chunks. A chunk that was not committed leaves no trace: the step ends at the last whole chunk,
//! and a restart or a retry begins with the next one.
//!
//! The story is in this file, in [`run`] and the loop under it. Each part of the journey has a file of its own:
//! `open`, `read`, `process`, `write`, `commit`, `finish`, and `recover` for the time after a failure. `source`
//! delivers chunks: one after the other, or from a `pipeline` of threads. [`merge()`] ends a step that ran in
//! parts.

mod commit;
mod elements;
mod finish;
mod interruption;
mod journey;
mod merge;
mod open;
mod pace;
mod parcel;
mod pipeline;
mod process;
mod read;
mod recover;
mod recovery;
mod rejected;
mod run;
mod source;
mod write;

use std::sync::Arc;

pub use elements::{Chain, Elements, ItemStep, Named};
pub use journey::{Journey, StepOutcome};
pub use merge::{FragmentState, merge};

use crate::error::StepError;
use crate::observer::Observation;
use elements::Headers;
use interruption::Interruption;
use run::{ItemStepRun, let_others_run};
use source::{Begin, ChunkSource};

/// Runs an item step from its checkpoint, or from the beginning, to its end.
///
/// A step execution that writes a fragment begins with a checkpoint that has only the state from the reader's
/// `split`. [`merge()`] needs the last checkpoint of this step execution.
pub async fn run(step: ItemStep, journey: Journey<'_>) -> Result<StepOutcome, StepError> {
    let (mut elements, mut run) = ItemStepRun::begin(step, journey);
    loop {
        let checkpoint = run.journey.execution.checkpoint.clone();
        let moved;
        (elements, moved) = match run.open(&mut elements, checkpoint.as_ref()).await {
            Ok(headers) => run.move_all(elements, &headers).await?,
            Err(interruption) => (elements, Moved::Interrupted(interruption)),
        };
        let ended = match moved {
            Moved::Ended(outcome) => run.finish(&mut elements, outcome).await,
            Moved::Interrupted(interruption) => Err(interruption),
        };
        match ended {
            Ok(outcome) => return Ok(outcome),
            Err(Interruption::Stopped { .. }) => return Ok(StepOutcome::Stopped),
            Err(Interruption::Failed(failure)) => run.recover(failure).await?,
        }
    }
}

/// How far the chunks of a step got.
enum Moved {
    /// To the last chunk, or to a stop.
    Ended(StepOutcome),
    /// To an interruption. The chunks before it are committed if they were whole.
    Interrupted(Interruption),
}

/// How far a source of chunks got.
enum Reached {
    /// To the last chunk, or to a stop.
    End(StepOutcome),
    /// Past the items at fault, which passed one by one. The chunks after them may be large again.
    PastFault,
}

impl ItemStepRun<'_> {
    /// Moves chunks until the end of the step, a stop or an interruption.
    async fn move_all(
        &mut self,
        mut elements: Elements,
        headers: &Arc<Headers>,
    ) -> Result<(Elements, Moved), StepError> {
        loop {
            self.sink.number = 0;
            let mut source = ChunkSource::start(elements, self.beginning(headers));
            let reached = self.move_chunks(&mut source).await;
            if let Err(interruption) = &reached {
                let is_whole = source.is_settled() && !interruption.is_while_writing();
                self.keep_what_is_whole(is_whole).await?;
            }
            elements = source.end().await?;
            match reached {
                Ok(Reached::End(outcome)) => return Ok((elements, Moved::Ended(outcome))),
                Ok(Reached::PastFault) => {}
                Err(interruption) => return Ok((elements, Moved::Interrupted(interruption))),
            }
        }
    }

    fn beginning(&self, headers: &Arc<Headers>) -> Begin<'_> {
        Begin {
            headers: headers.clone(),
            pace: self.pace.clone(),
            recovery: &self.recovery,
            read: self.journey.execution.counts.read,
            is_ordered: self.settings.ordered,
        }
    }

    /// Moves one chunk after the other: read, process, write, checkpoint.
    async fn move_chunks(&mut self, source: &mut ChunkSource) -> Result<Reached, Interruption> {
        loop {
            if self.journey.context.should_stop() {
                if source.is_settled() {
                    return Ok(Reached::End(StepOutcome::Stopped));
                }
                source.settle();
            }
            let began = self.journey.recorder.clock.ticks_us();
            let mut parcel = source.read(&self.recovery).await?;
            source.process(&mut parcel, &self.recovery).await?;
            let writing_since = self.pace.ticks_us();
            self.write(&mut parcel).await?;
            self.pace.took(parcel.chunk.items() as u64, parcel.us + self.pace.us_since(writing_since));
            source.written(parcel);
            self.journey.observe(Observation::Chunk { us: self.journey.us_since(began) });
            self.checkpoint_if_due(source).await?;
            if source.is_done() {
                return Ok(Reached::End(StepOutcome::Completed(None)));
            }
            if self.recovery.is_past(self.journey.execution.counts.read) {
                return Ok(Reached::PastFault);
            }
            let_others_run().await;
        }
    }
}

#[cfg(test)]
mod tests;
