//! A job's life: submit → claim → run its steps → finish.
//!
//! A run makes as few durable commits as it can: one that accepts and claims it, one that begins the
//! first step, and one that ends the last step and the job together.

use std::sync::Arc;

use stepbox_batch::clock::Timestamp;
use stepbox_batch::error::StepError;
use stepbox_batch::execution::{Failure, JobExecution, StepExecution, Tracking};
use stepbox_batch::item_step::{self, Journey, StepOutcome};
use stepbox_batch::job::{Step, StepKind};
use stepbox_batch::log::LogLevel;
use stepbox_batch::recorder::{Recorder, With};
use stepbox_batch::repository::{Claim, Lease, NewJobExecution, RepositoryError};
use stepbox_batch::status::{BatchStatus, ExitStatus};
use stepbox_batch::step_context::{Findings, RunContext, RunInfo, StepContext};
use stepbox_batch::tasklet_step;
use stepbox_sandbox::Usage;
use tokio::sync::watch;

use crate::error::Error;
use crate::execution_log::{FileLog, LogListener};
use crate::policy::Policy;
use crate::step_elements::StepElements;
use crate::stepbox::Installation;

/// How long a worker's lease lasts without a heartbeat, in milliseconds.
pub const LEASE_MS: u64 = 15_000;
/// How often a worker says that it lives, in milliseconds.
pub const HEARTBEAT_MS: u64 = 5_000;
/// How often a run looks whether it should stop, in milliseconds.
pub const STOP_CHECK_MS: u64 = 100;
/// How often a run stores its progress, in milliseconds.
pub const PROGRESS_MS: u64 = 500;

/// How far a run is, for whoever watches it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// The step that runs; empty before the first one.
    pub step: String,
    /// Its place in the job, from 1.
    pub step_number: usize,
    /// How many steps the job has.
    pub step_count: usize,
    /// How far it is.
    pub tracking: Tracking,
}

/// Accepts an execution and takes its lease, in one transaction.
pub(crate) async fn submit_and_claim(
    installation: &Installation,
    new: &NewJobExecution,
) -> Result<(JobExecution, Lease), Error> {
    let claim =
        Claim { worker: installation.worker.clone(), now: installation.clock.now(), lease_ms: LEASE_MS };
    let (execution, lease) = installation.repository.create_execution(new, Some(&claim)).await?;
    let lease = lease.ok_or(RepositoryError::LeaseLost { id: execution.id })?;
    Ok((execution, lease))
}

/// A claimed execution, and all that its run needs.
pub(crate) struct Life {
    installation: Arc<Installation>,
    policy: Policy,
    execution: JobExecution,
    recorder: Recorder,
    run: Arc<RunContext>,
    /// Why there is no working folder, if there is none.
    unprepared: Option<Error>,
    progress: watch::Sender<Progress>,
    last_heartbeat: Timestamp,
    last_progress: Timestamp,
}

/// How a step ended, and whether the job goes on after it.
struct Ended {
    step: StepExecution,
    context: StepContext,
    goes_on: bool,
}

impl Life {
    pub(crate) fn new(
        installation: Arc<Installation>,
        policy: Policy,
        (execution, lease): (JobExecution, Lease),
        job_label: String,
        listener: Option<LogListener>,
        progress: watch::Sender<Progress>,
    ) -> Self {
        let unprepared = installation.data.begin_execution(execution.id).err();
        let clock = installation.clock.clone();
        let now = clock.now();
        let folder = installation.data.execution(execution.id);
        let log = Arc::new(FileLog::open(&folder, clock.clone(), listener));
        let info = RunInfo { id: execution.id, job_label, started_at: now };
        let run = RunContext::new(info, execution.parameters.clone(), execution.context.clone(), log);
        let recorder = Recorder { journal: installation.repository.clone(), lease, clock };
        Self {
            installation,
            policy,
            execution,
            recorder,
            run,
            unprepared,
            progress,
            last_heartbeat: now,
            last_progress: now,
        }
    }

    /// Runs the steps in order, and finishes. The execution returned is as it was stored last.
    pub(crate) async fn run(mut self) -> Result<JobExecution, Error> {
        self.begin();
        let ended = match self.unprepared.take() {
            None => self.run_steps().await.map_err(Error::from),
            Some(error) => Err(error),
        };
        let finished = match ended {
            Ok(last) => self.finish(last).await,
            Err(error) => self.give_up(error).await,
        };
        if let Err(error) = self.installation.data.end_execution(self.execution.id) {
            self.run.log(LogLevel::Warning, &format!("the working folder could not be removed: {error}"));
        }
        finished.map(|()| self.execution)
    }

    fn begin(&mut self) {
        self.execution.status = BatchStatus::Started;
        self.execution.started_at = Some(self.run.info.started_at);
        let JobExecution { id, job, instance, .. } = &self.execution;
        self.run.log(
            LogLevel::Info,
            &format!("Job execution starting: id={id}, instance={instance}, job={}", job.name),
        );
    }

    /// Runs one step after the other until one does not complete, and returns the last one.
    async fn run_steps(&mut self) -> Result<Option<Ended>, RepositoryError> {
        let steps = self.execution.job.steps.clone();
        let mut last = None;
        for (position, step) in steps.iter().enumerate() {
            if self.is_done_already(position) {
                continue;
            }
            let ended = self.run_step(position, step).await?;
            let is_over = !ended.goes_on || position + 1 == steps.len();
            last = Some(ended);
            if is_over {
                break;
            }
            if let Some(Ended { step, context, .. }) = &mut last {
                self.recorder.save_step(step, context, With::default()).await?;
                self.keep(Some(step));
            }
        }
        Ok(last)
    }

    /// Whether an execution that this one goes on from has completed the step.
    fn is_done_already(&self, position: usize) -> bool {
        self.execution
            .steps
            .iter()
            .any(|step| step.position as usize == position && step.status == BatchStatus::Completed)
    }

    async fn run_step(&mut self, position: usize, step: &Step) -> Result<Ended, RepositoryError> {
        let (mut execution, context) = self.begin_step(position, step);
        let with = With { execution: Some(&self.execution), ..With::default() };
        self.recorder.save_step(&mut execution, &context, with).await?;
        self.keep(Some(&execution));
        let outcome = self.run_elements(step, &mut execution, &context).await?;
        self.end_step(&mut execution, &context, outcome);
        let goes_on = execution.status == BatchStatus::Completed && !self.run.is_stopping();
        Ok(Ended { step: execution, context, goes_on })
    }

    /// A step that begins, or goes on from the checkpoint of an earlier execution.
    fn begin_step(&mut self, position: usize, step: &Step) -> (StepExecution, StepContext) {
        let now = self.recorder.clock.now();
        let earlier = self.execution.steps.iter().find(|earlier| earlier.position as usize == position);
        let mut execution =
            earlier.cloned().unwrap_or_else(|| StepExecution::new(position as u32, step.name.clone(), now));
        execution.status = BatchStatus::Started;
        execution.started_at = now;
        let findings = Findings {
            summary: execution.summary.clone(),
            warning_count: execution.warning_count,
            ..Findings::default()
        };
        let has_items = matches!(step.kind, StepKind::Item { .. });
        let context = StepContext::new(self.run.clone(), step.name.clone(), has_items, findings);
        context.set_tracking(execution.tracking);
        context.log(LogLevel::Info, &format!("Step execution starting: {}", step.name));
        self.show_progress(&execution, &context);
        (execution, context)
    }

    /// Lets a step's elements work, and in between looks for stop requests and shows progress.
    async fn run_elements(
        &mut self,
        step: &Step,
        execution: &mut StepExecution,
        context: &StepContext,
    ) -> Result<Result<StepOutcome, StepError>, RepositoryError> {
        let elements = StepElements {
            installation: &self.installation,
            policy: &self.policy,
            work: self.installation.data.work(self.execution.id),
            parameters: &self.execution.parameters,
            usage: Usage::default(),
        };
        match &step.kind {
            StepKind::Item { .. } => {
                let mut item_step = match elements.item_step(step).await {
                    Ok(item_step) => item_step,
                    Err(error) => return Ok(Err(error)),
                };
                let recorder = self.recorder.clone();
                let position = execution.position;
                let journey = Journey { execution, context, recorder: &recorder };
                let work = item_step::run(&mut item_step, journey);
                self.attend(work, position, context).await
            }
            StepKind::Tasklet { tasklet } => {
                let name = format!("tasklet `{}`", tasklet.name());
                let mut tasklet = match elements.tasklet(step, tasklet).await {
                    Ok(tasklet) => tasklet,
                    Err(error) => return Ok(Err(error)),
                };
                let work = tasklet_step::run(tasklet.as_mut(), &name, context);
                self.attend(work, execution.position, context).await
            }
        }
    }

    async fn attend(
        &mut self,
        work: impl Future<Output = Result<StepOutcome, StepError>>,
        position: u32,
        context: &StepContext,
    ) -> Result<Result<StepOutcome, StepError>, RepositoryError> {
        let clock = self.recorder.clock.clone();
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                outcome = &mut work => return Ok(outcome),
                () = clock.sleep_ms(STOP_CHECK_MS) => self.beat(position, context).await?,
            }
        }
    }

    /// What happens about ten times a second while a step works. Losing the lease ends the run here,
    /// since another worker has the execution now.
    async fn beat(&mut self, position: u32, context: &StepContext) -> Result<(), RepositoryError> {
        let now = self.recorder.clock.now();
        let lease = &self.recorder.lease;
        let journal = &self.recorder.journal;
        let is_stop_requested = if now.ms_since(self.last_heartbeat) >= HEARTBEAT_MS {
            self.last_heartbeat = now;
            journal.heartbeat(lease, now, LEASE_MS).await?
        } else {
            journal.is_stop_requested(lease).await?
        };
        if is_stop_requested && !self.run.is_stopping() {
            self.run.request_stop();
            self.run.log(LogLevel::Info, "Stop requested");
            self.execution.status = BatchStatus::Stopping;
            self.execution.updated_at = now;
            self.recorder.save_execution(&self.execution, None, false).await?;
        }
        self.progress.send_modify(|progress| progress.tracking = context.tracking());
        if now.ms_since(self.last_progress) >= PROGRESS_MS {
            self.last_progress = now;
            self.recorder.save_tracking(position, context).await?;
        }
        Ok(())
    }

    fn end_step(
        &self,
        execution: &mut StepExecution,
        context: &StepContext,
        outcome: Result<StepOutcome, StepError>,
    ) {
        let now = self.recorder.clock.now();
        (execution.status, execution.exit_status) = match outcome {
            Ok(StepOutcome::Completed(code)) => {
                let code = code.unwrap_or_else(|| ExitStatus::COMPLETED.to_owned());
                (BatchStatus::Completed, ExitStatus::new(code))
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
        execution.ended_at = Some(now);
        context.log(
            LogLevel::Info,
            &format!(
                "Step execution complete: {}, status={}, exitCode={}",
                execution.name, execution.status, execution.exit_status.code
            ),
        );
        self.show_progress(execution, context);
    }

    /// Ends the job as its last step ended, and gives the lease back.
    async fn finish(&mut self, last: Option<Ended>) -> Result<(), Error> {
        let now = self.recorder.clock.now();
        self.execution.status = match &last {
            Some(ended) if ended.step.status != BatchStatus::Completed => ended.step.status,
            Some(ended) if self.is_cut_short(ended) => BatchStatus::Stopped,
            _ => BatchStatus::Completed,
        };
        self.keep(last.as_ref().map(|ended| &ended.step));
        let steps = self.execution.steps.iter().map(|step| step.exit_status.clone());
        let mut exit_status = steps.fold(ExitStatus::new(ExitStatus::COMPLETED), ExitStatus::and);
        if self.execution.status == BatchStatus::Stopped {
            exit_status = exit_status.and(ExitStatus::new(ExitStatus::STOPPED));
        }
        self.execution.exit_status = exit_status;
        self.execution.ended_at = Some(now);
        self.execution.updated_at = now;
        match last {
            Some(Ended { mut step, context, .. }) => {
                let with = With { execution: Some(&self.execution), is_last: true, ..With::default() };
                self.recorder.save_step(&mut step, &context, with).await?;
                self.keep(Some(&step));
            }
            None => self.recorder.save_execution(&self.execution, None, true).await?,
        }
        let (id, status) = (self.execution.id, self.execution.status);
        self.run.log(LogLevel::Info, &format!("Job execution complete: id={id}, status={status}"));
        Ok(())
    }

    /// Whether a stop came after a step that completed, and steps are left.
    fn is_cut_short(&self, ended: &Ended) -> bool {
        !ended.goes_on && (ended.step.position as usize + 1) < self.execution.job.steps.len()
    }

    /// The store or the data folder failed a run. If the store takes one more word, the execution and
    /// the step that it was at end as FAILED with the reason; if not, the next program on this store
    /// will say so.
    async fn give_up(&mut self, error: Error) -> Result<(), Error> {
        self.run.log(LogLevel::Error, &error.to_string());
        if matches!(error, Error::Repository(RepositoryError::LeaseLost { .. })) {
            return Err(error);
        }
        let now = self.recorder.clock.now();
        self.execution.status = BatchStatus::Failed;
        self.execution.exit_status = ExitStatus::new(ExitStatus::FAILED).with_description(error.to_string());
        self.execution.ended_at = Some(now);
        self.execution.updated_at = now;
        self.execution.failures.push(Failure {
            code: error.code().to_owned(),
            culprit: String::new(),
            place: String::new(),
            message: error.to_string(),
            help: error.help().unwrap_or_default(),
        });
        let interrupted = self.execution.steps.iter_mut().find(|step| step.status == BatchStatus::Started);
        let interrupted = interrupted.map(|step| {
            step.status = BatchStatus::Failed;
            step.exit_status = ExitStatus::new(ExitStatus::FAILED).with_description(error.to_string());
            step.ended_at = Some(now);
            step.clone()
        });
        self.recorder.save_execution(&self.execution, interrupted.as_ref(), true).await?;
        Ok(())
    }

    /// Puts a step's latest state where the execution's other steps are.
    fn keep(&mut self, step: Option<&StepExecution>) {
        let Some(step) = step else { return };
        match self.execution.steps.iter_mut().find(|known| known.position == step.position) {
            Some(known) => *known = step.clone(),
            None => self.execution.steps.push(step.clone()),
        }
    }

    fn show_progress(&self, execution: &StepExecution, context: &StepContext) {
        self.progress.send_replace(Progress {
            step: execution.name.to_string(),
            step_number: execution.position as usize + 1,
            step_count: self.execution.job.steps.len(),
            tracking: context.tracking(),
        });
    }
}
