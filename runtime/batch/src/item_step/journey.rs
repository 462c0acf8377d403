//! The record, the context and the observer that a step needs beside its elements, and how the step ends.

use super::interruption::{Interruption, Phase};
use crate::element::Total;
use crate::execution::{StepExecution, Tracking};
use crate::observer::Observation;
use crate::recorder::Recorder;
use crate::step_context::StepContext;

/// How a step ended, if it did not fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepOutcome {
    /// All work is done.
    ///
    /// A tasklet may return an exit code of its own.
    Completed(Option<String>),
    /// A stop or a pause was requested.
    ///
    /// The step can continue from its checkpoint.
    Stopped,
}

/// The record, the context and the observer that a step needs beside its elements.
pub struct Journey<'a> {
    /// The stored state of the step.
    pub execution: &'a mut StepExecution,
    /// Receives the reports of its elements.
    pub context: &'a StepContext,
    /// Saves the step.
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

    /// Shows how many items are done, and how many there are as far as the reader knows.
    pub(super) fn track(&self, total: Total) {
        let processed = self.execution.counts.read;
        let (total, is_estimate) = match total {
            Total::Unknown => (None, false),
            Total::Estimate(total) => (Some(total.max(processed)), true),
            Total::Exact(total) => (Some(total), false),
        };
        self.context.set_tracking(Tracking { processed, total, is_estimate });
    }

    /// Shows that all items have been read.
    pub(super) fn track_all_read(&self) {
        self.track(Total::Exact(self.execution.counts.read));
    }
}
