//! The flow of a job: the order of its steps, its branches, and the steps that always run.

use std::ops::Range;
use std::pin::Pin;

use futures_util::future::join_all;
use stepbox_batch::execution::status::BatchStatus;
use stepbox_batch::execution::{Partition, StepExecution};
use stepbox_batch::flow::{Afterwards, Follows, Requests, Unit, after, afterwards, worst};
use stepbox_batch::lock::lock;
use stepbox_batch::ports::RepositoryError;

use super::job_run::{EndedStep, FlowEnd, JobRun};

impl JobRun {
    /// Runs the flow to its end, and then the steps that always run.
    pub(super) async fn run_steps(&self) -> FlowEnd {
        let partition = self.execution().partition;
        if let Some(Partition { position, .. }) = partition {
            return self.run_part(position as usize).await;
        }
        let (mut status, mut last) = match self.ends_already() {
            Some(status) => (status, None),
            None => self.run_sequence(0..self.steps.len(), false).await?,
        };
        for (position, step) in self.steps.iter().enumerate() {
            if self.rests_in(status) {
                break;
            }
            if self.has_run(position) {
                continue;
            }
            match afterwards(step.flow.always, status, self.requests()) {
                Afterwards::Nothing => {}
                Afterwards::IsStopped => status = worst(status, BatchStatus::Stopped),
                Afterwards::Waits => status = BatchStatus::Paused,
                Afterwards::Runs => {
                    self.save_ended(last.take()).await?;
                    let EndedStep { step, .. } = last.insert(self.run_step(position).await?);
                    status = match step.status {
                        // The execution continues with this step, even if an earlier step has failed.
                        BatchStatus::Paused => BatchStatus::Paused,
                        ended => worst(status, ended),
                    };
                }
            }
        }
        Ok((status, last))
    }

    fn requests(&self) -> Requests {
        Requests { stop: self.run.stop_requested(), pause: self.run.pause_requested() }
    }

    /// The status of a run that must run only the steps that always run; `None` for any other run. Such a run
    /// has already lost the maximum number of workers, or it was asked to stop before it could begin.
    fn ends_already(&self) -> Option<BatchStatus> {
        let execution = lock(&self.execution);
        match () {
            () if !execution.failures.is_empty() => Some(BatchStatus::Failed),
            () if execution.stop_requested => Some(BatchStatus::Stopped),
            () => None,
        }
    }

    /// Whether a step has run, here or before a worker was lost.
    fn has_run(&self, position: usize) -> bool {
        let execution = lock(&self.execution);
        let mut stored = execution.steps.iter().filter(|step| step.position as usize == position);
        stored.any(|step| step.status.has_ended()) || lock(&self.state).done.contains(&position)
    }

    /// Runs the only step of a part.
    async fn run_part(&self, position: usize) -> FlowEnd {
        if let Some(done) = self.done_already(position) {
            // An execution cannot complete before it has started.
            self.change_status(BatchStatus::Started).await?;
            return Ok((done.status, None));
        }
        let ended = self.run_step(position).await?;
        Ok((ended.step.status, Some(ended)))
    }

    /// Runs the steps in a range, in order or as their flow says.
    async fn run_sequence(&self, range: Range<usize>, is_branch: bool) -> FlowEnd {
        let (mut at, mut last, mut has_run) = (range.start, None, false);
        while at < range.end {
            if has_run && self.run.should_stop() {
                return Ok((BatchStatus::Stopped, last));
            }
            self.save_ended(last.take()).await?;
            let unit = if is_branch { Unit::Step(at) } else { Unit::at(&self.steps, at) };
            let follows = match &unit {
                Unit::Split { branches, .. } => {
                    has_run = true;
                    match self.run_branches(branches).await? {
                        BatchStatus::Completed => Follows::Next,
                        status => Follows::End(status),
                    }
                }
                Unit::Step(position) => {
                    let mut was_stopped_at = false;
                    let (status, exit_status) = match self.done_already(*position) {
                        Some(done) => {
                            was_stopped_at = done.carried_from.is_some();
                            (done.status, done.exit_status)
                        }
                        None => {
                            has_run = true;
                            let EndedStep { step, .. } = last.insert(self.run_step(*position).await?);
                            (step.status, step.exit_status.clone())
                        }
                    };
                    let (follows, is_dealt_with) = after(&self.steps, *position, status, &exit_status);
                    if is_dealt_with {
                        lock(&self.state).dealt_with.insert(*position);
                    }
                    match follows {
                        // The stopped execution ended at this step. This execution continues with the step
                        // below.
                        Follows::End(BatchStatus::Stopped) if is_dealt_with && was_stopped_at => {
                            Follows::Next
                        }
                        follows => follows,
                    }
                }
            };
            match follows {
                Follows::Next => at = unit.end(),
                Follows::Step(position) => at = position,
                Follows::End(status) => return Ok((status, last)),
            }
        }
        Ok((BatchStatus::Completed, last))
    }

    /// Runs the branches of a split side by side. The split has the status of its worst branch.
    async fn run_branches(&self, branches: &[Range<usize>]) -> Result<BatchStatus, RepositoryError> {
        let run = |branch: &Range<usize>| self.run_branch(branch.clone());
        let mut status = BatchStatus::Completed;
        for ended in join_all(branches.iter().map(run)).await {
            let (of_branch, last) = ended?;
            self.save_ended(last).await?;
            status = worst(status, of_branch);
        }
        Ok(status)
    }

    /// Runs one branch. The future is boxed because `run_sequence` is recursive.
    fn run_branch(&self, range: Range<usize>) -> Pin<Box<dyn Future<Output = FlowEnd> + Send + '_>> {
        Box::pin(self.run_sequence(range, true))
    }

    /// The step if it has already ended: before a pause, or in an execution that this one continues. `None`
    /// if the step must run now.
    fn done_already(&self, position: usize) -> Option<StepExecution> {
        let execution = lock(&self.execution);
        let known = execution.steps.iter().find(|step| step.position as usize == position)?;
        // A restart resets failed steps. So a failed step here failed before a pause.
        let is_done = matches!(known.status, BatchStatus::Completed | BatchStatus::Failed);
        if is_done {
            lock(&self.state).done.insert(position);
        }
        is_done.then(|| known.clone())
    }
}
