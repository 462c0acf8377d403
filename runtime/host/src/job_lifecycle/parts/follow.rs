//! Follows the parts to their end, and runs some of them in this process.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::thread::available_parallelism;

use stepbox_batch::actor::Actor;
use stepbox_batch::clock::Clock;
use stepbox_batch::error::StepError;
use stepbox_batch::execution::PartitionState;
use stepbox_batch::execution::status::BatchStatus;
use stepbox_batch::job::Step;
use stepbox_batch::name::JobExecutionId;
use stepbox_batch::ports::RepositoryError;
use stepbox_batch::run_context::RunContext;
use stepbox_batch::step_context::StepContext;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::super::claim::claim;
use super::super::job_run::{JobRun, Progress, RunSetup};
use super::standing::{are_completed, cause, is_over, tracking};
use crate::error::Error;

/// How often a step checks the progress of its parts, in milliseconds.
pub(super) const LOOK_MS: u64 = 50;

/// How all parts of a step ended.
pub(super) enum PartsEnd {
    /// All parts have completed.
    Completed,
    /// The step must stop or pause.
    Stopped,
    Failed(StepError),
}

/// The parts that this process runs itself.
#[derive(Default)]
struct OwnParts {
    tasks: JoinSet<JobExecutionId>,
    runs: BTreeMap<JobExecutionId, Arc<RunContext>>,
}

impl JobRun {
    /// Waits for the parts, and runs some of them here.
    pub(super) async fn await_parts(
        &self,
        step: &Step,
        position: u32,
        context: &StepContext,
    ) -> Result<PartsEnd, RepositoryError> {
        let mut helping = OwnParts::default();
        let ended = self.follow_parts(step, position, context, &mut helping).await;
        // This process closes the files of its parts before another worker opens them.
        helping.rest().await;
        ended
    }

    async fn follow_parts(
        &self,
        step: &Step,
        position: u32,
        context: &StepContext,
        helping: &mut OwnParts,
    ) -> Result<PartsEnd, RepositoryError> {
        let mut are_stopping = false;
        loop {
            let parts = self.parts(position).await?;
            context.set_tracking(tracking(&parts));
            let failed = cause(step, &parts);
            if parts.iter().all(is_over) {
                return Ok(match failed {
                    _ if context.should_stop() && !are_completed(&parts) => PartsEnd::Stopped,
                    Some(error) => PartsEnd::Failed(error),
                    None => PartsEnd::Completed,
                });
            }
            if failed.is_some() || (context.should_stop() && self.run.stop_requested()) {
                if !are_stopping {
                    self.stop_parts(&parts).await?;
                }
                are_stopping = true;
            } else if context.should_stop() {
                return Ok(PartsEnd::Stopped);
            } else {
                self.help(&parts, helping).await?;
            }
            helping.look_up(self.recorder.clock.as_ref()).await;
        }
    }

    async fn stop_parts(&self, parts: &[PartitionState]) -> Result<(), RepositoryError> {
        let (repository, lease) = (&self.installation.repository, &self.recorder.lease);
        for part in parts.iter().filter(|part| !part.has_ended) {
            let by = Actor::stepbox(self.recorder.clock.now());
            match repository.request_stop(&lease.tenant, part.id, &by).await {
                // The part has ended in the meantime, or cannot be stopped and runs to its end.
                Err(RepositoryError::WrongStatus { .. }) | Ok(_) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Runs parts that no worker has begun. If workers take the other parts, this process runs one at a time.
    /// In a run without workers, it runs as many as there are processors.
    async fn help(&self, parts: &[PartitionState], helping: &mut OwnParts) -> Result<(), RepositoryError> {
        let at_a_time = if self.is_queued { 1 } else { available_parallelism().map_or(1, usize::from) };
        let is_free = |part: &&PartitionState| match part.status {
            _ if part.set_aside.is_some() || part.pause_requested => false,
            BatchStatus::Starting => part.worker.is_none(),
            status => status == BatchStatus::Paused,
        };
        for part in parts.iter().filter(is_free) {
            if helping.tasks.len() >= at_a_time {
                break;
            }
            let by = Actor::stepbox(self.recorder.clock.now());
            let claimed = match claim(self.here(), part.id, &by).await {
                Ok(claimed) => claimed,
                // Another worker was faster.
                Err(Error::Repository(RepositoryError::WrongStatus { .. })) => continue,
                Err(Error::Repository(error)) => return Err(error),
                Err(_) => continue,
            };
            let (progress, _) = watch::channel(Progress::default());
            let info = self.run.info.clone();
            let setup = RunSetup { info, listener: None, progress, is_queued: true };
            let life = Self::new(self.here(), claimed, setup);
            helping.runs.insert(part.id, life.run_context());
            helping.tasks.spawn(run_to_its_end(life, part.id));
        }
        Ok(())
    }
}

impl OwnParts {
    /// Waits until a part has ended here, but at most for a short time.
    async fn look_up(&mut self, clock: &dyn Clock) {
        tokio::select! {
            Some(ended) = self.tasks.join_next() => {
                if let Ok(id) = ended {
                    self.runs.remove(&id);
                }
            }
            () = clock.sleep_ms(LOOK_MS) => {}
        }
    }

    /// Asks the parts to pause at a checkpoint, and waits for that.
    async fn rest(&mut self) {
        self.runs.values().for_each(|run| run.request_pause());
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Runs a part to its end, which is stored. The future is boxed because a run may run parts, which are runs
/// too.
fn run_to_its_end(life: JobRun, id: JobExecutionId) -> Pin<Box<dyn Future<Output = JobExecutionId> + Send>> {
    Box::pin(async move {
        let _ = life.run().await;
        id
    })
}
