//! The end of a step that several step executions ran side by side, each with a part of the items.
//!
//! The items are written already, into fragments of the output. The merge puts the fragments together, in their
//! order, and adds up the counts and reports of the parts.

use std::collections::BTreeMap;

use super::elements::{Elements, ItemStep};
use super::interruption::{Interruption, Phase};
use super::journey::{Journey, StepOutcome};
use super::rejected;
use super::run::{ItemStepRun, let_others_run};
use crate::element::More;
use crate::error::StepError;
use crate::execution::{Checkpoint, Counts, StepExecution, Summary, SummaryValue, Warning};
use crate::findings::{Reports, SummaryChange};

/// The results of a step execution that wrote a fragment.
#[derive(Debug, Clone)]
pub struct FragmentState {
    /// The last checkpoint.
    ///
    /// The fragment ends there.
    pub checkpoint: Checkpoint,
    /// The part's items.
    pub counts: Counts,
    /// The part's summary.
    pub summary: Summary,
    /// How many warnings the part has, stored or not.
    pub warning_count: u64,
    /// The stored warnings, in their order.
    pub warnings: Vec<Warning>,
    /// Errors that did not end the part.
    pub errors: Vec<String>,
}

impl FragmentState {
    /// The results of a completed step execution, with its stored warnings.
    ///
    /// `None` if it has no checkpoint: then it has written nothing.
    pub fn of(step: StepExecution, warnings: Vec<Warning>) -> Option<Self> {
        let StepExecution { counts, summary, warning_count, errors, .. } = step;
        Some(Self { checkpoint: step.checkpoint?, counts, summary, warning_count, warnings, errors })
    }
}

/// Puts the fragments of an item step together, from its checkpoint or from the beginning.
///
/// `fragments` are all the fragments, in their order. The step's reader and processors are opened only to learn
/// their columns.
pub async fn merge(
    step: ItemStep,
    fragments: &[FragmentState],
    journey: Journey<'_>,
) -> Result<StepOutcome, StepError> {
    let step = ItemStep { fragment: None, ..step };
    let (mut elements, mut run) = ItemStepRun::begin(step, journey);
    loop {
        match run.put_together(&mut elements, fragments).await {
            Ok(outcome) => return Ok(outcome),
            Err(Interruption::Stopped { .. }) => return Ok(StepOutcome::Stopped),
            Err(Interruption::Failed(failure)) => {
                run.keep_what_is_whole(false).await?;
                run.recover(failure).await?;
            }
        }
    }
}

impl ItemStepRun<'_> {
    async fn put_together(
        &mut self,
        elements: &mut Elements,
        fragments: &[FragmentState],
    ) -> Result<StepOutcome, Interruption> {
        let (checkpoint, has_begun) = beginning(fragments, &self.journey);
        self.open(elements, Some(&checkpoint)).await?;
        let counts = counts_of(fragments);
        if let Some(error) = self.refuse_skips_of(fragments, counts) {
            return Err(error.into());
        }
        if !has_begun {
            take_findings(fragments, &self.journey);
        }
        self.journey.execution.counts = counts;
        // The parts have reported their items to the observer already.
        self.sink.committed_counts = counts;
        self.journey.track_all_read();
        self.commit().await?;
        for fragment in fragments {
            let absorbed = self.absorb(&fragment.checkpoint).await;
            if absorbed.map_err(|interruption| interruption.during(Phase::Writing))? == Absorbed::Stopped {
                return self.finish(elements, StepOutcome::Stopped).await;
            }
        }
        self.finish(elements, StepOutcome::Completed(None)).await
    }

    /// Returns the error that ends the step if the parts have skipped too many items together. Each part alone may
    /// have skipped less than the limit.
    fn refuse_skips_of(&self, fragments: &[FragmentState], counts: Counts) -> Option<StepError> {
        let limit = self.settings.skip.limit.filter(|&limit| counts.skipped > limit)?;
        let last = fragments.iter().rev().find_map(|fragment| fragment.warnings.last());
        let (place, last) = last.map(|last| (last.place.clone(), last.reason.clone())).unwrap_or_default();
        Some(StepError::SkipLimit { limit, culprit: String::new(), place, last })
    }

    /// Appends a fragment to the output, and the rejected items of that fragment.
    async fn absorb(&mut self, fragment: &Checkpoint) -> Result<Absorbed, Interruption> {
        loop {
            if self.journey.context.should_stop() {
                return Ok(Absorbed::Stopped);
            }
            let writer = &mut self.sink.writer;
            let (element, call) = writer.calling();
            let absorbed = element.absorb(&fragment.writer).await;
            drop(call);
            self.journey.check_gate()?;
            let more = absorbed.map_err(|halt| writer.halted("", halt))?;
            self.commit_if_due().await?;
            if more == More::No {
                break;
            }
        }
        while self.sink.rejected.absorb(&fragment.rejected).await.map_err(rejected::failed)? == More::Yes {
            self.commit_if_due().await?;
        }
        Ok(Absorbed::Whole)
    }

    async fn commit_if_due(&mut self) -> Result<(), Interruption> {
        let_others_run().await;
        if self.is_interval_over() { self.commit().await } else { Ok(()) }
    }
}

/// How far a fragment was appended.
#[derive(Debug, PartialEq, Eq)]
enum Absorbed {
    Whole,
    /// A stop or a pause was requested.
    Stopped,
}

/// The checkpoint at which the elements are opened, and whether the findings of the parts are already counted.
///
/// The reader resumes from the last fragment's checkpoint, because that checkpoint already has the columns. The
/// second value is false until a checkpoint with a writer state exists; the first commit makes that checkpoint.
fn beginning(fragments: &[FragmentState], journey: &Journey<'_>) -> (Checkpoint, bool) {
    let last = fragments.last().map(|fragment| fragment.checkpoint.clone()).unwrap_or_default();
    let own = journey.execution.checkpoint.clone().unwrap_or_default();
    let has_begun = !own.writer.is_empty();
    (Checkpoint { writer: own.writer, rejected: own.rejected, ..last }, has_begun)
}

/// The items of all fragments.
fn counts_of(fragments: &[FragmentState]) -> Counts {
    fragments.iter().fold(Counts::default(), |sum, fragment| sum.and(fragment.counts))
}

/// Adds the findings of the parts to those of the step.
fn take_findings(fragments: &[FragmentState], journey: &Journey<'_>) {
    for fragment in fragments {
        fragment.errors.iter().for_each(|error| journey.context.add_error(error));
        journey.context.accept(reports_of(fragment));
    }
}

fn reports_of(fragment: &FragmentState) -> Reports {
    let change = |value: &SummaryValue| match value {
        SummaryValue::Count(count) => SummaryChange::Add(*count),
        text @ SummaryValue::Text(_) => SummaryChange::Set(text.clone()),
    };
    Reports {
        summary: fragment.summary.iter().map(|(name, value)| (name.clone(), change(value))).collect(),
        warnings: fragment.warnings.clone(),
        warning_count: fragment.warning_count,
        context: BTreeMap::new(),
    }
}
