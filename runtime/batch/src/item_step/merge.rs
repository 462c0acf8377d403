//! The end of a journey that several step executions made side by side, each with a part of the items.
//!
//! Their items have gone all the way already, into fragments of the output. What is left is to put these
//! together, in their order, and to let count what was found.

use std::collections::BTreeMap;

use super::{
    Destination, Elements, Interruption, ItemStep, Journey, Recovery, StepOutcome, commit, finish,
    keep_what_is_whole, let_others_run, open, recover, rejected,
};
use crate::element::More;
use crate::error::{ElementError, StepError};
use crate::execution::{Checkpoint, Counts, StepExecution, Summary, SummaryValue, Tracking, Warning};
use crate::job::ItemSettings;
use crate::reports::{Reports, SummaryChange};

/// What a step execution that wrote a fragment has left.
#[derive(Debug, Clone)]
pub struct FragmentState {
    /// Its last one, with which the fragment ends.
    pub checkpoint: Checkpoint,
    /// Its items.
    pub counts: Counts,
    /// What it counted and said.
    pub summary: Summary,
    /// All its warnings, stored or not.
    pub warning_count: u64,
    /// Those that were stored, in their order.
    pub warnings: Vec<Warning>,
    /// Findings that did not end it.
    pub errors: Vec<String>,
}

impl FragmentState {
    /// Of a step execution that is complete, with its stored warnings; none if it has written nothing, as
    /// one without a checkpoint.
    pub fn of(step: StepExecution, warnings: Vec<Warning>) -> Option<Self> {
        let StepExecution { counts, summary, warning_count, errors, .. } = step;
        Some(Self { checkpoint: step.checkpoint?, counts, summary, warning_count, warnings, errors })
    }
}

/// Puts the fragments of an item step together, from its checkpoint or from the beginning. `fragments` are
/// all there are, in their order; the step's reader and processors are opened for their columns alone.
pub async fn merge(
    step: ItemStep,
    fragments: &[FragmentState],
    mut journey: Journey<'_>,
) -> Result<StepOutcome, StepError> {
    let ItemStep { mut elements, writer, rejected, settings, retry, fragment: _ } = step;
    let (mut end, mut recovery) = (Destination::new(writer, rejected, &journey), Recovery::default());
    loop {
        match put_together(&mut elements, &mut end, fragments, &mut journey, &settings).await {
            Ok(outcome) => return Ok(outcome),
            Err(Interruption { error: StepError::Element { source: ElementError::Stopped, .. }, .. }) => {
                return Ok(StepOutcome::Stopped);
            }
            Err(failure) => {
                keep_what_is_whole(&mut end, &mut journey, false).await?;
                recover(failure, &mut recovery, &mut journey, &settings, &retry).await?;
            }
        }
    }
}

async fn put_together(
    elements: &mut Elements,
    end: &mut Destination,
    fragments: &[FragmentState],
    journey: &mut Journey<'_>,
    settings: &ItemSettings,
) -> Result<StepOutcome, Interruption> {
    let (checkpoint, has_begun) = beginning(fragments, journey);
    open(elements, end, journey, Some(&checkpoint), None).await.map_err(Interruption::of)?;
    let counts = counts_of(fragments);
    if let Some(error) = refused(fragments, counts, settings) {
        return Err(Interruption::of(error));
    }
    if !has_begun {
        take_findings(fragments, journey);
    }
    journey.execution.counts = counts;
    // Whoever measures has heard of the items from the parts.
    end.committed_counts = counts;
    let processed = journey.execution.counts.read;
    journey.context.set_tracking(Tracking { processed, total: Some(processed), is_estimate: false });
    commit(end, journey).await.map_err(|error| Interruption::of(error).while_writing())?;
    for fragment in fragments {
        let outcome = absorb(end, &fragment.checkpoint, journey, settings).await;
        if outcome.map_err(|error| Interruption::of(error).while_writing())? == StepOutcome::Stopped {
            return finish(elements, end, journey, StepOutcome::Stopped, None).await;
        }
    }
    finish(elements, end, journey, StepOutcome::Completed(None), Some(&settings.skip)).await
}

/// Where the elements are opened, and whether the findings count already. The last reader knows the columns
/// without looking for them; the first commit names the output, as no state that was made for a reader does.
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

/// Why so many items may not be skipped together, as each part may have skipped less; none if they may.
fn refused(fragments: &[FragmentState], counts: Counts, settings: &ItemSettings) -> Option<StepError> {
    let limit = settings.skip.limit.filter(|&limit| counts.skipped > limit)?;
    let last = fragments.iter().rev().find_map(|fragment| fragment.warnings.last());
    let (place, last) = last.map(|last| (last.place.clone(), last.reason.clone())).unwrap_or_default();
    Some(StepError::SkipLimit { limit, culprit: String::new(), place, last })
}

/// Lets count what was found with the fragments' items.
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

/// Appends a fragment to the output, and what was rejected with it.
async fn absorb(
    end: &mut Destination,
    fragment: &Checkpoint,
    journey: &mut Journey<'_>,
    settings: &ItemSettings,
) -> Result<StepOutcome, StepError> {
    loop {
        if journey.context.is_stopping() {
            return Ok(StepOutcome::Stopped);
        }
        let (element, call) = end.writer.calling();
        let absorbed = element.absorb(&fragment.writer).await;
        drop(call);
        journey.check_gate()?;
        let more = absorbed.map_err(|source| end.writer.failed("", source))?;
        commit_if_due(end, journey, settings).await?;
        if more == More::No {
            break;
        }
    }
    while end.rejected.absorb(&fragment.rejected).await.map_err(rejected::failed)? == More::Yes {
        commit_if_due(end, journey, settings).await?;
    }
    Ok(StepOutcome::Completed(None))
}

async fn commit_if_due(
    end: &mut Destination,
    journey: &mut Journey<'_>,
    settings: &ItemSettings,
) -> Result<(), StepError> {
    let_others_run().await;
    if journey.recorder.clock.now().ms_since(end.committed_at) < settings.checkpoint.ms {
        return Ok(());
    }
    commit(end, journey).await
}
