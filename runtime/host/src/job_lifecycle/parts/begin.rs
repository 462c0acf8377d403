//! Creates the parts: splits an input, or continues the parts of an earlier execution.

use stepbox_batch::actor::Actor;
use stepbox_batch::error::StepError;
use stepbox_batch::execution::queue::Enqueue;
use stepbox_batch::execution::status::{BatchStatus, ExitStatus};
use stepbox_batch::execution::{
    Checkpoint, JobExecution, NewJobExecution, Partition, PartitionState, StepExecution,
};
use stepbox_batch::job::Step;
use stepbox_batch::log::LogLevel;
use stepbox_batch::name::JobExecutionId;
use stepbox_batch::ports::RepositoryError;

use super::super::job_run::JobRun;
use super::earlier::earlier_parts;
use super::follow::LOOK_MS;
use super::standing::is_over;
use crate::step_elements::Split;

/// Whether a step has parts now.
pub(super) enum Begun {
    Parts,
    /// The step must stop, and its input is not split yet.
    Stopped,
}

impl JobRun {
    /// Creates the parts, unless there are already parts from before a pause. The parts are those that an
    /// earlier execution had not completed, or new parts that begin at the states of the reader's split.
    pub(super) async fn begin_parts(
        &self,
        step: &Step,
        position: u32,
        split: impl AsyncFnOnce() -> Result<Split, StepError>,
    ) -> Result<Result<Begun, StepError>, RepositoryError> {
        if !self.parts(position).await?.is_empty() {
            return Ok(Ok(Begun::Parts));
        }
        let mut begin_with: Vec<_> =
            self.left_parts(position).await?.into_iter().map(going_on_from).collect::<Result<_, _>>()?;
        if begin_with.is_empty() {
            let now = self.recorder.clock.now();
            let begin = |reader| StepExecution {
                checkpoint: Some(Checkpoint { reader, ..Checkpoint::default() }),
                ..StepExecution::new(position, step.name.clone(), now)
            };
            match split().await {
                Ok(Split::Into(states)) => begin_with = states.into_iter().map(begin).collect(),
                Ok(Split::Stopped) => return Ok(Ok(Begun::Stopped)),
                Err(error) => return Ok(Err(error)),
            }
        }
        let count = u32::try_from(begin_with.len()).unwrap_or(u32::MAX);
        self.run.log(LogLevel::Info, &format!("Step {} in {count} parts", step.name));
        let (repository, lease) = (&self.installation.repository, &self.recorder.lease);
        // The parts wait with the priority of the whole.
        let priority =
            repository.queue_entry(&lease.tenant, lease.id).await?.map_or(0, |entry| entry.priority);
        let part = |(number, step)| self.part(position, (number, count), step, priority);
        let parts: Vec<_> = (0..).zip(begin_with).map(part).collect();
        repository.create_partitions(lease, &parts).await?;
        Ok(Ok(Begun::Parts))
    }

    fn part(
        &self,
        position: u32,
        (number, count): (u32, u32),
        step: StepExecution,
        priority: i16,
    ) -> NewJobExecution {
        let whole = self.execution();
        let by = Actor::new(whole.user.as_deref(), self.recorder.clock.now());
        NewJobExecution {
            tenant: whole.tenant,
            instance: whole.instance,
            job: whole.job,
            parameters: whole.parameters,
            restart_of: None,
            context: self.run.context(),
            steps: vec![step],
            partition: Some(Partition { of: whole.id, position, number, count }),
            queue: Some(Enqueue { priority, ..Enqueue::at_once(by.at) }),
            idempotency: None,
            changes: Vec::new(),
            by,
        }
    }

    /// The states of the parts of a step of this execution, in order.
    pub(super) async fn parts(&self, position: u32) -> Result<Vec<PartitionState>, RepositoryError> {
        let lease = &self.recorder.lease;
        self.installation.repository.partition_states(&lease.tenant, lease.id, position).await
    }

    /// The parts of a step of an execution with all their results, in order.
    pub(super) async fn whole_parts(
        &self,
        of: JobExecutionId,
        position: u32,
    ) -> Result<Vec<JobExecution>, RepositoryError> {
        let mut parts = self.installation.repository.partitions(&self.recorder.lease.tenant, of).await?;
        parts.retain(|part| part.partition.is_some_and(|partition| partition.position == position));
        Ok(parts)
    }

    /// The parts of the execution that this one continues, after all of them have ended. Empty if that
    /// execution had not reached this step, had completed it, or has been purged.
    async fn left_parts(&self, position: u32) -> Result<Vec<JobExecution>, RepositoryError> {
        let (repository, lease) = (&self.installation.repository, &self.recorder.lease);
        for (id, mut parts) in earlier_parts(&**repository, &lease.tenant, lease.id, position).await? {
            while !parts.iter().all(is_over) && !self.run.should_stop() {
                self.recorder.clock.sleep_ms(LOOK_MS).await;
                parts = repository.partition_states(&lease.tenant, id, position).await?;
            }
            if parts.first().is_some_and(|part| part.partition.count as usize == parts.len()) {
                return self.whole_parts(id, position).await;
            }
        }
        Ok(Vec::new())
    }
}

/// The step of a part, as the same part of the next execution begins with it. A completed step stays
/// completed.
fn going_on_from(part: JobExecution) -> Result<StepExecution, RepositoryError> {
    let id = part.id;
    // A part has its step from the beginning, so a part without a step is damaged.
    let step = part.steps.into_iter().next();
    let mut step = step.ok_or_else(|| RepositoryError::Corrupt {
        what: format!("execution {id}"),
        detail: "a part without its step".to_owned(),
    })?;
    step.usage = Default::default();
    if step.status == BatchStatus::Completed {
        step.carried_from = step.carried_from.or(Some(id));
        return Ok(step);
    }
    (step.status, step.exit_status) = (BatchStatus::Starting, ExitStatus::new(ExitStatus::EXECUTING));
    step.ended_at = None;
    step.errors.clear();
    step.failures.clear();
    Ok(step)
}
