//! A step in parts. Its input is split, and the parts are queued for any worker. This process also runs some
//! of them. When all parts are complete, it merges their outputs in order.
//!
//! A part is an execution of its own, with only this step, a lease and a checkpoint. So a lost worker affects
//! only its part, and a restart runs only the parts that have not completed.
//!
//! `begin` creates the parts. `follow` waits for them and runs some. `earlier` finds the parts of the
//! executions that this one continues. The merge is in this file.

mod begin;
mod earlier;
mod follow;
mod standing;

use std::sync::Arc;

use stepbox_batch::execution::{Counts, JobExecution, StepExecution};
use stepbox_batch::item_step::{FragmentState, StepOutcome};
use stepbox_batch::job::Step;
use stepbox_batch::log::LogLevel;
use stepbox_batch::metering::{Metering, ResourceUsage};
use stepbox_batch::ports::RepositoryError;
use stepbox_batch::step_context::StepContext;

pub(crate) use earlier::warnings_of_parts;

use super::job_run::{JobRun, Ran};
use super::work::StepWork;
use crate::step_elements::{Split, StepElements};
use begin::Begun;
use follow::PartsEnd;

/// The totals of the items of all parts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Found {
    counts: Counts,
    warnings: u64,
}

impl Found {
    fn by(parts: &[JobExecution]) -> Self {
        let steps = parts.iter().flat_map(|part| &part.steps);
        steps.fold(Self::default(), |sum, step| Self {
            counts: sum.counts.and(step.counts),
            warnings: sum.warnings + step.warning_count,
        })
    }
}

impl JobRun {
    /// Runs a step whose input is split: its parts, and then the merge.
    pub(super) async fn run_parts(
        &self,
        step: &Step,
        elements: &StepElements<'_>,
        mut execution: StepExecution,
        context: &StepContext,
    ) -> Ran {
        let position = execution.position;
        let patience = self.patience(step, context, elements.policy);
        let split = async || match patience.outlast(elements.split(step, patience.for_elements())).await {
            Ok(split) => split,
            Err(left) => {
                context.log(LogLevel::Warning, &left.text());
                left.outcome().map(|_| Split::Stopped)
            }
        };
        match self.begin_parts(step, position, split).await? {
            Ok(Begun::Parts) => {}
            Ok(Begun::Stopped) => return Ok((execution, Ok(StepOutcome::Stopped))),
            Err(error) => return Ok((execution, Err(error))),
        }
        let ended = self.await_parts(step, position, context).await?;
        let parts = self.whole_parts(self.recorder.lease.id, position).await?;
        let found = Found::by(&parts);
        let outcome = match ended {
            PartsEnd::Completed => None,
            PartsEnd::Stopped => Some(Ok(StepOutcome::Stopped)),
            PartsEnd::Failed(error) => Some(Err(error)),
        };
        if let Some(outcome) = outcome {
            self.tell(found, &mut execution, context);
            return Ok((execution, outcome));
        }
        let own_usage = execution.usage;
        let (fragments, adopted) = self.adopt_parts(parts, &mut execution, context).await?;
        let make = async {
            let item_step = elements.item_step(step).await?;
            Ok(StepWork::Merge(Box::new(item_step), fragments))
        };
        let (mut execution, outcome) = self.work(step, execution, context, elements.policy, make).await?;
        if execution.checkpoint.is_none() {
            // Nothing of the merge is stored, so the next run adopts the parts again.
            context.metering().take_back(&adopted);
            execution.usage = own_usage;
            self.tell(found, &mut execution, context);
        }
        Ok((execution, outcome))
    }

    /// Puts the totals of the parts into the step's row, until a merge has made them the step's own. The
    /// whole counts them each time it ends.
    fn tell(&self, Found { counts, warnings }: Found, execution: &mut StepExecution, context: &StepContext) {
        execution.counts = counts;
        // A PAUSED execution adds them when its parts are merged.
        if !self.run.should_pause() && context.findings().warning_count == 0 {
            context.count_warnings(warnings);
        }
    }

    /// The results of the parts, in their order. Their usage and their shared values belong to the step from
    /// now on. The observer has already received the usage from the parts. Also returns the usage that was
    /// adopted.
    async fn adopt_parts(
        &self,
        parts: Vec<JobExecution>,
        execution: &mut StepExecution,
        context: &StepContext,
    ) -> Result<(Vec<FragmentState>, ResourceUsage), RepositoryError> {
        let (repository, lease) = (&self.installation.repository, &self.recorder.lease);
        let mut warnings =
            warnings_of_parts(&**repository, &lease.tenant, lease.id, execution.position).await?.items;
        let mut fragments = Vec::new();
        let heard_of = Metering::going_on_from(execution.usage, Arc::default());
        for part in parts {
            let number = part.partition.map(|partition| partition.number);
            let warnings = number.and_then(|number| warnings.remove(&number)).unwrap_or_default();
            let Some(step) = part.steps.into_iter().next() else { continue };
            // A merge that continues has already adopted them.
            if execution.checkpoint.is_none() {
                context.metering().add(&step.usage);
                heard_of.add(&step.usage);
                for (key, value) in part.context.0 {
                    if let Err(reason) = context.put(&key, value) {
                        context.log(LogLevel::Warning, &format!("`{key}` of a part is dropped: {reason}"));
                    }
                }
            }
            fragments.extend(FragmentState::of(step, warnings));
        }
        let adopted = heard_of.usage().since(&execution.usage);
        execution.usage = heard_of.usage();
        Ok((fragments, adopted))
    }
}
