//! One step of a run: its beginning, its elements, and its end.

use stepbox_batch::element::Fragment;
use stepbox_batch::error::StepError;
use stepbox_batch::execution::status::{BatchStatus, ExitStatus};
use stepbox_batch::execution::{Partition, StepExecution};
use stepbox_batch::findings::Findings;
use stepbox_batch::item_step::StepOutcome;
use stepbox_batch::job::{Always, Step, StepKind};
use stepbox_batch::lock::lock;
use stepbox_batch::log::LogLevel;
use stepbox_batch::ports::RepositoryError;
use stepbox_batch::recorder::With;
use stepbox_batch::step_context::StepContext;
use stepbox_batch::tasklet_point::TaskletPoint;
use stepbox_sandbox::Usage;

use super::job_run::{EndedStep, JobRun, Ran};
use super::work::StepWork;
use crate::outputs::{OutputLock, StepPlaces, output_is_input};
use crate::step_elements::StepElements;

impl JobRun {
    pub(super) async fn run_step(&self, position: usize) -> Result<EndedStep, RepositoryError> {
        let step = &self.steps[position];
        let (mut execution, context) = self.begin_step(position);
        let job_execution = self.execution();
        let with = With { execution: Some(&job_execution), ..With::default() };
        context.save_step(&self.recorder, &mut execution, with).await?;
        context.saves_by(self.recorder.clone(), execution.clone());
        self.keep(&execution);
        lock(&self.state).running.push((execution.position, context.clone()));
        let outcome = match step.start_limit {
            Some(limit) if execution.starts > limit => Err(StepError::StartLimit { limit }),
            _ => {
                let outcome;
                (execution, outcome) = self.run_elements(step, execution, &context).await?;
                outcome
            }
        };
        let mut state = lock(&self.state);
        state.running.retain(|(running, _)| *running != execution.position);
        state.done.insert(position);
        drop(state);
        self.end_step(&mut execution, &context, outcome);
        self.keep(&execution);
        Ok(EndedStep { step: execution, context })
    }

    /// A step that begins, or that continues from the checkpoint of an earlier execution.
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
            // A restart has cleared earlier errors.
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

    /// Creates a step's elements, and runs them.
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
        // The whole locks the output, because the fragments of the parts belong to it.
        let _output = match partition {
            Some(_) => None,
            None => match self.lock_output(step, &elements) {
                Ok(lock) => lock,
                Err(error) => return Ok((execution, Err(error))),
            },
        };
        if let StepKind::Item { settings, .. } = &step.kind
            && settings.partitions > 1
            && partition.is_none()
        {
            return self.run_parts(step, &elements, execution, context).await;
        }
        let make = self.make(step, &elements, partition);
        self.work(step, execution, context, &policy, make).await
    }

    async fn make(
        &self,
        step: &Step,
        elements: &StepElements<'_>,
        partition: Option<Partition>,
    ) -> Result<StepWork, StepError> {
        if let StepKind::Tasklet { tasklet } = &step.kind {
            let (name, retry) = (format!("tasklet `{}`", tasklet.name()), step.retry.clone());
            return Ok(StepWork::Tasklet { tasklet: elements.tasklet(step, tasklet).await?, name, retry });
        }
        let mut item_step = elements.item_step(step).await?;
        item_step.fragment = partition.map(|Partition { number, .. }| Fragment { number });
        Ok(StepWork::Items(Box::new(item_step)))
    }

    /// Prevents other runs from writing a step's output. `None` if the output is not a file of Stepbox's own
    /// writers.
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
                // A tasklet resumes at the point that it last stored, and counts again what came after that
                // point.
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
