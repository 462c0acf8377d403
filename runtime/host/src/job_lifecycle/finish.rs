//! The end of a run, good or bad: the job ends or becomes PAUSED, and the lease is given back.

use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::status::{BatchStatus, ExitStatus};
use stepbox_batch::execution::{Failure, JobExecution, Save, StepExecution};
use stepbox_batch::lock::lock;
use stepbox_batch::log::LogLevel;
use stepbox_batch::ports::RepositoryError;
use stepbox_batch::recorder::With;

use super::job_run::{EndedStep, JobRun};
use crate::error::Error;

impl JobRun {
    /// Ends the job or marks it as PAUSED, and gives the lease back.
    pub(super) async fn finish(&self, status: BatchStatus, last: Option<EndedStep>) -> Result<(), Error> {
        let now = self.recorder.clock.now();
        if !self.rests_in(status) {
            self.end_paused_steps(now).await?;
        }
        let mut execution = self.execution();
        execution.updated_at = now;
        if self.rests_in(status) {
            execution.status = BatchStatus::Paused;
        } else {
            execution.status = status;
            execution.ended_at = Some(now);
            execution.exit_status = self.exit_status(&execution);
        }
        match last {
            Some(EndedStep { mut step, context, .. }) => {
                let with = With { execution: Some(&execution), is_last: true, ..With::default() };
                context.save_step(&self.recorder, &mut step, with).await?;
                self.keep(&step);
            }
            None => self.recorder.save_execution(&execution, None, true).await?,
        }
        let JobExecution { id, status, exit_status, ended_at, updated_at, .. } = execution;
        let mut known = lock(&self.execution);
        (known.status, known.exit_status) = (status, exit_status);
        (known.ended_at, known.updated_at) = (ended_at, updated_at);
        self.run.log(LogLevel::Info, &format!("Job execution complete: id={id}, status={status}"));
        Ok(())
    }

    /// Marks PAUSED steps as STOPPED. If one branch pauses and another one fails, the paused branch does not
    /// continue in this execution.
    async fn end_paused_steps(&self, now: Timestamp) -> Result<(), RepositoryError> {
        let paused = |step: &StepExecution| step.status == BatchStatus::Paused;
        for mut step in self.execution().steps.into_iter().filter(paused) {
            (step.status, step.exit_status) = (BatchStatus::Stopped, ExitStatus::new(ExitStatus::STOPPED));
            step.ended_at = Some(now);
            let save = Save { step: Some(&step), ..Save::default() };
            self.recorder.journal.save(&self.recorder.lease, save).await?;
            self.keep(&step);
        }
        Ok(())
    }

    /// The exit statuses of all steps together, without failures that the flow has handled.
    fn exit_status(&self, execution: &JobExecution) -> ExitStatus {
        let state = lock(&self.state);
        let is_dealt_with = |step: &&StepExecution| {
            step.status == BatchStatus::Failed && state.dealt_with.contains(&(step.position as usize))
        };
        let steps = execution.steps.iter().filter(|step| !is_dealt_with(step));
        let of_steps = steps.map(|step| step.exit_status.clone());
        let exit_status = of_steps.fold(ExitStatus::new(ExitStatus::COMPLETED), ExitStatus::and);
        match execution.status {
            BatchStatus::Stopped => exit_status.and(ExitStatus::new(ExitStatus::STOPPED)),
            BatchStatus::Failed => exit_status.and(ExitStatus::new(ExitStatus::FAILED)),
            _ => exit_status,
        }
    }

    /// Ends the run as FAILED because the store or data folder failed. Works only if the store still accepts one
    /// write, which records the reason; otherwise the watchdog does so later. Step results are read from the store
    /// again, since this run's copy may be ahead of it.
    pub(super) async fn give_up(&self, error: Error) -> Result<(), Error> {
        if matches!(error, Error::Repository(RepositoryError::LeaseLost { .. })) {
            // The folder and the log belong to another worker now.
            return Err(error);
        }
        self.run.log(LogLevel::Error, &error.to_string());
        if self.is_queued && is_of_the_store(&error) {
            // Nothing more is written. When the lease has expired, a worker continues from the last
            // checkpoint.
            return Err(error);
        }
        let now = self.recorder.clock.now();
        let exit_status = ExitStatus::new(ExitStatus::FAILED).with_description(error.to_string());
        for mut step in self.stored_steps().await? {
            if !step.status.has_ended() {
                (step.status, step.exit_status) = (BatchStatus::Failed, exit_status.clone());
                step.ended_at = Some(now);
                let save = Save { step: Some(&step), ..Save::default() };
                self.recorder.journal.save(&self.recorder.lease, save).await?;
            }
            self.keep(&step);
        }
        let mut execution = self.execution();
        (execution.status, execution.exit_status) = (BatchStatus::Failed, exit_status);
        (execution.ended_at, execution.updated_at) = (Some(now), now);
        execution.failures.push(Failure {
            code: error.code().to_owned(),
            culprit: String::new(),
            place: String::new(),
            message: error.to_string(),
            help: error.help().unwrap_or_default(),
            remedies: error.remedies(),
        });
        self.recorder.save_execution(&execution, None, true).await?;
        *lock(&self.execution) = execution;
        Ok(())
    }
}

/// Whether another worker, or this one later, may continue: the store failed, and the execution itself is in
/// order.
fn is_of_the_store(error: &Error) -> bool {
    matches!(
        error,
        Error::Repository(
            RepositoryError::Busy { .. }
                | RepositoryError::Unavailable { .. }
                | RepositoryError::Refused { .. }
                | RepositoryError::NewerVersion { .. }
        )
    )
}
