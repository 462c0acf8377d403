//! Runs elements on their own thread, as long as the patience of the run lasts.

use stepbox_batch::element::Tasklet;
use stepbox_batch::error::StepError;
use stepbox_batch::execution::{StepExecution, Tracking};
use stepbox_batch::item_step::{self, FragmentState, ItemStep, Journey, StepOutcome};
use stepbox_batch::job::{RetryPolicy, Step, StepKind};
use stepbox_batch::log::LogLevel;
use stepbox_batch::step_context::StepContext;
use stepbox_batch::tasklet_step;
use stepbox_batch::thread::{Panicked, on_own_thread};

use super::job_run::{JobRun, Ran};
use crate::patience::{LeftBehind, Patience, PatienceLimits};
use crate::policy::Policy;

/// The work of a step, with its elements.
pub(super) enum StepWork {
    /// Items go from the reader to the writer.
    Items(Box<ItemStep>),
    /// The fragments of parts are merged.
    Merge(Box<ItemStep>, Vec<FragmentState>),
    /// A task without items.
    Tasklet { tasklet: Box<dyn Tasklet>, name: String, retry: RetryPolicy },
}

impl StepWork {
    async fn run(self, journey: Journey<'_>) -> Result<StepOutcome, StepError> {
        match self {
            Self::Items(step) => item_step::run(*step, journey).await,
            Self::Merge(step, fragments) => item_step::merge(*step, &fragments, journey).await,
            Self::Tasklet { mut tasklet, name, retry } => {
                tasklet_step::run(tasklet.as_mut(), &name, &retry, journey).await
            }
        }
    }
}

impl JobRun {
    /// Creates a step's elements, and runs them on their own thread. Elements that do not return in time are
    /// left behind. The step then ends with its stored state.
    pub(super) async fn work(
        &self,
        step: &Step,
        execution: StepExecution,
        context: &StepContext,
        policy: &Policy,
        make: impl Future<Output = Result<StepWork, StepError>>,
    ) -> Ran {
        let patience = self.patience(step, context, policy);
        let (recorder, on_thread, begun) =
            (self.recorder.clone(), patience.for_elements(), execution.clone());
        let mut execution = execution;
        let work = async move {
            let work = match make.await {
                Ok(work) => work,
                Err(error) => return Ok((execution, Err(error))),
            };
            on_own_thread(async move {
                let journey = Journey { execution: &mut execution, context: &on_thread, recorder: &recorder };
                let outcome = work.run(journey).await;
                (execution, outcome)
            })
            .await
        };
        self.settle(patience.outlast(work).await, begun, context).await
    }

    /// How long this run waits for a step's elements.
    pub(super) fn patience(&self, step: &Step, context: &StepContext, policy: &Policy) -> Patience {
        let asked = [step.limits.time_ms_max, policy.limits.time_ms_max];
        let limits = PatienceLimits {
            grace_ms: policy.quotas.stop_grace_ms,
            time_ms_max: asked.into_iter().flatten().min(),
        };
        Patience::new(self.recorder.clock.clone(), context, limits)
    }

    /// Handles the outcome of the elements.
    async fn settle(
        &self,
        ran: Result<Result<(StepExecution, Result<StepOutcome, StepError>), Panicked>, LeftBehind>,
        begun: StepExecution,
        context: &StepContext,
    ) -> Ran {
        let outcome = match ran {
            Ok(Ok((execution, Err(StepError::Repository(error))))) => {
                self.keep(&execution);
                return Err(error);
            }
            Ok(Ok(ran)) => return Ok(ran),
            Ok(Err(Panicked)) => Err(StepError::Panicked),
            Err(left) => {
                context.log(LogLevel::Warning, &left.text());
                left.outcome()
            }
        };
        // The thread still has the step's row, so the stored row is used.
        context.go_back_to_saved();
        let stored = self.stored_steps().await?;
        let known = stored.into_iter().find(|step| step.position == begun.position);
        let execution = known.unwrap_or(begun);
        if matches!(self.steps[execution.position as usize].kind, StepKind::Item { .. }) {
            let total = context.tracking().total;
            context.set_tracking(Tracking { total, ..execution.counts.into() });
        }
        Ok((execution, outcome))
    }
}
