//! One step of a run: begun, its elements at work on a thread of their own, what has become of it, and its end.

use stepbox_batch::element::Fragment;
use stepbox_batch::error::StepError;
use stepbox_batch::execution::status::{BatchStatus, ExitStatus};
use stepbox_batch::execution::{Partition, StepExecution, Tracking};
use stepbox_batch::item_step::{self, Journey, StepOutcome};
use stepbox_batch::job::{Always, Step, StepKind};
use stepbox_batch::log::LogLevel;
use stepbox_batch::ports::RepositoryError;
use stepbox_batch::recorder::With;
use stepbox_batch::step_context::{Findings, StepContext};
use stepbox_batch::tasklet_point::TaskletPoint;
use stepbox_batch::tasklet_step;
use stepbox_batch::thread::{Panicked, on_own_thread};
use stepbox_sandbox::Usage;

use super::{Ended, Life, Ran, Worked, lock};
use crate::outputs::{OutputLock, StepPlaces, output_is_input};
use crate::patience::{self, Left, Patience};
use crate::policy::Policy;
use crate::step_elements::StepElements;

impl Life {
    pub(super) async fn run_step(&self, position: usize) -> Result<Ended, RepositoryError> {
        let step = &self.steps[position];
        let (mut execution, context) = self.begin_step(position);
        let job_execution = self.execution();
        let with = With { execution: Some(&job_execution), ..With::default() };
        context.save_step(&self.recorder, &mut execution, with).await?;
        context.saves_by(self.recorder.clone(), execution.clone());
        self.keep(&execution);
        lock(&self.course).running.push((execution.position, context.clone()));
        let outcome = match step.start_limit {
            Some(limit) if execution.starts > limit => Err(StepError::StartLimit { limit }),
            _ => {
                let outcome;
                (execution, outcome) = self.run_elements(step, execution, &context).await?;
                outcome
            }
        };
        let mut course = lock(&self.course);
        course.running.retain(|(running, _)| *running != execution.position);
        course.done.insert(position);
        drop(course);
        self.end_step(&mut execution, &context, outcome);
        self.keep(&execution);
        Ok(Ended { step: execution, context })
    }

    /// A step that begins, or goes on from the checkpoint of an earlier execution.
    fn begin_step(&self, position: usize) -> (StepExecution, StepContext) {
        let (step, now) = (&self.steps[position], self.recorder.clock.now());
        let steps = self.execution().steps;
        let earlier = steps.into_iter().find(|earlier| earlier.position as usize == position);
        let anew = || StepExecution::new(position as u32, step.name.clone(), now);
        let mut execution = earlier.unwrap_or_else(anew);
        execution.status = BatchStatus::Started;
        execution.started_at = now;
        execution.starts += 1;
        let findings = Findings {
            summary: execution.summary.clone(),
            warning_count: execution.warning_count,
            // A restart has cleared those of before.
            errors: execution.errors.clone(),
            usage: execution.usage,
            ..Findings::default()
        };
        let has_items = matches!(step.kind, StepKind::Item { .. });
        let (run, name) = (self.run.clone(), step.name.clone());
        let context = if step.flow.always == Always::Yes {
            StepContext::new_always(run, name, has_items, findings)
        } else {
            StepContext::new(run, name, has_items, findings)
        };
        match has_items {
            true => context.set_tracking(execution.tracking),
            false => context.go_on_from(TaskletPoint::of_checkpoint(execution.checkpoint.as_ref())),
        }
        context.log(LogLevel::Info, &format!("Step execution starting: {}", step.name));
        self.show_progress(&execution, &context);
        (execution, context)
    }

    /// Lets a step's elements work, on a thread of their own.
    async fn run_elements(&self, step: &Step, execution: StepExecution, context: &StepContext) -> Ran {
        let id = self.recorder.lease.id;
        // The step keeps the policy that it began with.
        let policy = self.tenant.policy();
        let secrets = match StepElements::secrets_of(step, &policy) {
            Ok(secrets) => secrets,
            Err(source) => {
                let error = StepError::element(format!("step `{}`", step.name), "", source);
                return Ok((execution, Err(error)));
            }
        };
        let outputs = match self.earlier_outputs(step).await? {
            Ok(outputs) => outputs,
            Err(error) => return Ok((execution, Err(error))),
        };
        let elements = StepElements {
            installation: &self.installation,
            policy: &policy,
            tenant: &self.recorder.lease.tenant,
            execution: id,
            work: self.installation.data.work(id, self.recorder.lease.token),
            parameters: &self.run.parameters,
            outputs,
            folder: self.folder.as_deref(),
            share: self.tenant.share.clone(),
            usage: Usage::on(&self.disk),
            secrets,
            context,
        };
        let partition = self.execution().partition;
        // The parts' fragments are the whole's.
        let _output = match partition {
            Some(_) => None,
            None => match self.lock_output(step, &elements) {
                Ok(lock) => lock,
                Err(error) => return Ok((execution, Err(error))),
            },
        };
        let patience = self.patience(step, context, &policy);
        let (recorder, on_thread, begun) =
            (self.recorder.clone(), patience.for_elements(), execution.clone());
        let mut execution = execution;
        let ran = match &step.kind {
            StepKind::Item { settings, .. } if settings.partitions > 1 && partition.is_none() => {
                return self.run_parts(step, &elements, execution, context).await;
            }
            StepKind::Item { .. } => {
                let work = async move {
                    let mut item_step = match elements.item_step(step).await {
                        Ok(item_step) => item_step,
                        Err(error) => return Ok((execution, Err(error))),
                    };
                    item_step.fragment = partition.map(|Partition { number, .. }| Fragment { number });
                    on_own_thread(async move {
                        let journey =
                            Journey { execution: &mut execution, context: &on_thread, recorder: &recorder };
                        let outcome = item_step::run(item_step, journey).await;
                        (execution, outcome)
                    })
                    .await
                };
                patience.outlast(work).await
            }
            StepKind::Tasklet { tasklet } => {
                let (name, retry) = (format!("tasklet `{}`", tasklet.name()), step.retry.clone());
                let work = async move {
                    let mut tasklet = match elements.tasklet(step, tasklet).await {
                        Ok(tasklet) => tasklet,
                        Err(error) => return Ok((execution, Err(error))),
                    };
                    on_own_thread(async move {
                        let journey =
                            Journey { execution: &mut execution, context: &on_thread, recorder: &recorder };
                        let outcome = tasklet_step::run(tasklet.as_mut(), &name, &retry, journey).await;
                        (execution, outcome)
                    })
                    .await
                };
                patience.outlast(work).await
            }
        };
        self.settle(ran, begun, context).await
    }

    /// Keeps other runs from writing a step's output; none if that is no file of Stepbox's own writers.
    fn lock_output(&self, step: &Step, elements: &StepElements<'_>) -> Result<Option<OutputLock>, StepError> {
        let StepKind::Item { writer, .. } = &step.kind else { return Ok(None) };
        let refused = |source| StepError::element(format!("writer `{}`", writer.name()), "", source);
        let reach = elements.reach();
        let (native, run) = (&self.installation.native, &self.run.info);
        let places = StepPlaces::of(step, elements.values(), native, &reach, Some(run));
        if let Some(output) = places.output_over_input() {
            return Err(refused(output_is_input(output.given())));
        }
        let Some(output) = &places.output else { return Ok(None) };
        let lock =
            OutputLock::take(&self.installation.data.outputs(), output, run, &self.recorder.lease.tenant);
        lock.map(Some).map_err(refused)
    }

    /// How long this run waits for a step's elements.
    pub(super) fn patience(&self, step: &Step, context: &StepContext, policy: &Policy) -> Patience {
        let asked = [step.limits.time_ms_max, policy.limits.time_ms_max];
        let limits = patience::Limits {
            grace_ms: policy.quotas.stop_grace_ms,
            time_ms_max: asked.into_iter().flatten().min(),
        };
        Patience::new(self.recorder.clock.clone(), context, limits)
    }

    /// What has become of a step that worked on a thread of its own.
    pub(super) async fn settle(
        &self,
        ran: Result<Worked, Left>,
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
        // What it knew is gone with its thread; what counts is what is stored.
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

    pub(super) fn end_step(
        &self,
        execution: &mut StepExecution,
        context: &StepContext,
        outcome: Result<StepOutcome, StepError>,
    ) {
        let now = self.recorder.clock.now();
        execution.ended_at = Some(now);
        (execution.status, execution.exit_status) = match outcome {
            Ok(StepOutcome::Completed(code)) => {
                let code = code.unwrap_or_else(|| ExitStatus::COMPLETED.to_owned());
                (BatchStatus::Completed, ExitStatus::new(code))
            }
            Ok(StepOutcome::Stopped) if self.run.should_pause() => {
                // A tasklet begins again at what it kept last, and counts again what came after.
                if matches!(self.steps[execution.position as usize].kind, StepKind::Tasklet { .. }) {
                    context.go_back_to_point();
                }
                execution.ended_at = None;
                (BatchStatus::Paused, ExitStatus::new(ExitStatus::EXECUTING))
            }
            Ok(StepOutcome::Stopped) => (BatchStatus::Stopped, ExitStatus::new(ExitStatus::STOPPED)),
            Err(error) => {
                let failure = error.to_failure();
                context.log(LogLevel::Error, &failure.to_string());
                let exit = ExitStatus::new(ExitStatus::FAILED).with_description(failure.to_string());
                execution.failures.push(failure);
                (BatchStatus::Failed, exit)
            }
        };
        context.log(
            LogLevel::Info,
            &format!(
                "Step execution complete: {}, status={}, exitCode={}",
                execution.name, execution.status, execution.exit_status.code
            ),
        );
        self.show_progress(execution, context);
    }
}
