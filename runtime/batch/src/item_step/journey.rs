//! What a step needs beside its elements, and how it ends.

use super::interruption::{Interruption, Phase};
use crate::element::Total;
use crate::execution::{StepExecution, Tracking};
use crate::observer::Observation;
use crate::recorder::Recorder;
use crate::step_context::StepContext;

/// How a step ended, if it did not fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepOutcome {
    /// Everything is done. A tasklet may return an exit code of its own.
    Completed(Option<String>),
    /// The step was asked to stop or to pause. It can go on from its checkpoint.
    Stopped,
}

/// What a step needs beside its elements.
pub struct Journey<'a> {
    /// What is stored of the step.
    pub execution: &'a mut StepExecution,
    /// What its elements report.
    pub context: &'a StepContext,
    /// How the step is stored.
    pub recorder: &'a Recorder,
}

impl Journey<'_> {
    pub(super) fn observe(&self, observation: Observation) {
        self.recorder.observer.observe(observation);
    }

    pub(super) fn us_since(&self, began: u64) -> u64 {
        self.recorder.clock.ticks_us().saturating_sub(began)
    }

    /// Ends the journey, before anything is saved, if the run has left the elements behind.
    pub(super) fn check_gate(&self) -> Result<(), Interruption> {
        if self.context.gate().is_closed() {
            return Err(Interruption::Stopped { phase: Phase::BetweenChunks });
        }
        Ok(())
    }

    /// Shows how many items are done, of how many as far as the reader knows.
    pub(super) fn track(&self, total: Total) {
        let processed = self.execution.counts.read;
        let (total, is_estimate) = match total {
            Total::Unknown => (None, false),
            Total::Estimate(total) => (Some(total.max(processed)), true),
            Total::Exact(total) => (Some(total), false),
        };
        self.context.set_tracking(Tracking { processed, total, is_estimate });
    }

    /// Shows that there are no more items than those that were read.
    pub(super) fn track_all_read(&self) {
        self.track(Total::Exact(self.execution.counts.read));
    }
}
