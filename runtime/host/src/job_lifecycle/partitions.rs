//! A step in parts: its input is split, the parts are queued for any worker, this one runs some of them itself,
//! and puts the outputs together in order once all are there.
//!
//! A part is an execution of its own, with that one step, a lease and a checkpoint. So a lost worker costs its
//! part alone, and a restart runs those alone that have not completed.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use stepbox_batch::actor::Actor;
use stepbox_batch::error::StepError;
use stepbox_batch::execution::queue::Enqueue;
use stepbox_batch::execution::status::{BatchStatus, ExitStatus};
use stepbox_batch::execution::{
    Checkpoint, Counts, Failure, JobExecution, NewJobExecution, Partition, PartitionState, StepExecution,
    Tracking, Warning,
};
use stepbox_batch::item_step::{self, FragmentState, Journey, StepOutcome};
use stepbox_batch::job::{Step, StepKind};
use stepbox_batch::log::LogLevel;
use stepbox_batch::metering::{Metering, ResourceUsage};
use stepbox_batch::name::{JobExecutionId, TenantId};
use stepbox_batch::ports::{Damaged, JobRepository, RepositoryError};
use stepbox_batch::step_context::{RunContext, StepContext, WARNINGS_STORED_MAX};
use stepbox_batch::thread::on_own_thread;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{Life, Progress, Ran, claim};
use crate::error::Error;
use crate::step_elements::{Split, StepElements};

/// How often a step looks how far its parts are, in milliseconds.
const LOOK_MS: u64 = 50;

/// Whether a step has parts now.
enum Begun {
    Parts,
    /// The step is to stop before its input was split.
    Stopped,
}

/// How a step's parts ended, all of them.
enum PartsEnd {
    /// All of it is there.
    Completed,
    /// The step is to stop, or to rest.
    Stopped,
    Failed(StepError),
}

/// What became of the items of a step's parts, together.
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

/// The parts that this process runs itself.
#[derive(Default)]
struct Helping {
    tasks: JoinSet<JobExecutionId>,
    runs: BTreeMap<JobExecutionId, Arc<RunContext>>,
}

impl Life {
    /// Runs a step whose input is split: its parts, and then what puts them together.
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
        let patience = self.patience(step, context, elements.policy);
        let (recorder, on_thread, begun) =
            (self.recorder.clone(), patience.for_elements(), execution.clone());
        let work = async move {
            let item_step = match elements.item_step(step).await {
                Ok(item_step) => item_step,
                Err(error) => return Ok((execution, Err(error))),
            };
            on_own_thread(async move {
                let journey = Journey { execution: &mut execution, context: &on_thread, recorder: &recorder };
                let outcome = item_step::merge(item_step, &fragments, journey).await;
                (execution, outcome)
            })
            .await
        };
        let (mut execution, outcome) = self.settle(patience.outlast(work).await, begun, context).await?;
        if execution.checkpoint.is_none() {
            // Nothing of the merge is stored, so whoever goes on adopts the parts again.
            context.metering().take_back(&adopted);
            execution.usage = own_usage;
            self.tell(found, &mut execution, context);
        }
        Ok((execution, outcome))
    }

    /// What the parts have found, as long as no merge has made it the step's own. The whole counts it at every end.
    fn tell(&self, Found { counts, warnings }: Found, execution: &mut StepExecution, context: &StepContext) {
        execution.counts = counts;
        // An execution that rests adds them when its parts are put together.
        if !self.run.should_pause() && context.findings().warning_count == 0 {
            context.count_warnings(warnings);
        }
    }

    /// Sees to it that there are parts: those of before a pause, or what an earlier execution had not completed,
    /// or new ones, which begin at the states that the reader's split gives.
    async fn begin_parts(
        &self,
        step: &Step,
        position: u32,
        split: impl AsyncFnOnce() -> Result<Split, StepError>,
    ) -> Result<Result<Begun, StepError>, RepositoryError> {
        if !self.parts(position).await?.is_empty() {
            return Ok(Ok(Begun::Parts));
        }
        let mut begin_with: Vec<_> =
            self.left_parts(position).await?.into_iter().map(going_on_from).collect();
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
        // They wait like the whole.
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
            changes: Vec::new(),
            by,
        }
    }

    /// How the parts of a step of this execution stand, in order.
    async fn parts(&self, position: u32) -> Result<Vec<PartitionState>, RepositoryError> {
        let lease = &self.recorder.lease;
        self.installation.repository.partition_states(&lease.tenant, lease.id, position).await
    }

    /// The parts of a step of an execution, with all that they have left, in order.
    async fn whole_parts(
        &self,
        of: JobExecutionId,
        position: u32,
    ) -> Result<Vec<JobExecution>, RepositoryError> {
        let mut parts = self.installation.repository.partitions(&self.recorder.lease.tenant, of).await?;
        parts.retain(|part| part.partition.is_some_and(|partition| partition.position == position));
        Ok(parts)
    }

    /// The parts of the execution that this one goes on from, once all of them have ended; none if it had not come
    /// to this step, had completed it, or has been purged.
    async fn left_parts(&self, position: u32) -> Result<Vec<JobExecution>, RepositoryError> {
        let (repository, lease) = (&self.installation.repository, &self.recorder.lease);
        for (id, mut parts) in earlier_parts(&**repository, &lease.tenant, lease.id, position).await? {
            while !parts.iter().all(is_over) && !self.run.should_stop() {
                sleep(Duration::from_millis(LOOK_MS)).await;
                parts = repository.partition_states(&lease.tenant, id, position).await?;
            }
            if parts.first().is_some_and(|part| part.partition.count as usize == parts.len()) {
                return self.whole_parts(id, position).await;
            }
        }
        Ok(Vec::new())
    }

    /// Waits for the parts, and runs some of them here.
    async fn await_parts(
        &self,
        step: &Step,
        position: u32,
        context: &StepContext,
    ) -> Result<PartsEnd, RepositoryError> {
        let mut helping = Helping::default();
        let ended = self.follow_parts(step, position, context, &mut helping).await;
        // Nobody else may have them before this process has let go of their files.
        helping.rest().await;
        ended
    }

    async fn follow_parts(
        &self,
        step: &Step,
        position: u32,
        context: &StepContext,
        helping: &mut Helping,
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
            helping.look_up().await;
        }
    }

    async fn stop_parts(&self, parts: &[PartitionState]) -> Result<(), RepositoryError> {
        let (repository, lease) = (&self.installation.repository, &self.recorder.lease);
        for part in parts.iter().filter(|part| !part.has_ended) {
            let by = Actor::stepbox(self.recorder.clock.now());
            match repository.request_stop(&lease.tenant, part.id, &by).await {
                // It has ended meanwhile, or is not to be stopped and goes on to its end.
                Err(RepositoryError::WrongStatus { .. }) | Ok(_) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Runs parts that nobody has begun: one at a time where workers take the others, as many as there are
    /// processors in a run without workers.
    async fn help(&self, parts: &[PartitionState], helping: &mut Helping) -> Result<(), RepositoryError> {
        let at_a_time = if self.is_queued { 1 } else { available_parallelism().map_or(1, usize::from) };
        let tenant = &self.recorder.lease.tenant;
        let is_free = |part: &&PartitionState| match part.status {
            _ if part.set_aside.is_some() => false,
            BatchStatus::Starting => part.worker.is_none(),
            status => status == BatchStatus::Paused,
        };
        for part in parts.iter().filter(is_free) {
            if helping.tasks.len() >= at_a_time {
                break;
            }
            let by = Actor::stepbox(self.recorder.clock.now());
            let lease = match claim(&self.installation, tenant, part.id, &by).await {
                Ok(lease) => lease,
                // Somebody was quicker.
                Err(Error::Repository(RepositoryError::WrongStatus { .. })) => continue,
                Err(Error::Repository(error)) => return Err(error),
                Err(_) => continue,
            };
            let Some(claimed) = self.installation.repository.execution(tenant, part.id).await? else {
                continue;
            };
            let (installation, info) = (self.installation.clone(), self.run.info.clone());
            let (progress, _) = watch::channel(Progress::default());
            let life = Self::new(installation, &self.tenant, (claimed, lease), info, None, progress, true);
            helping.runs.insert(part.id, life.run_context());
            helping.tasks.spawn(run_to_its_end(life, part.id));
        }
        Ok(())
    }

    /// What the parts have left, in their order. What they used and shared is the step's from now on; whoever
    /// measures has heard of it from them. Returns what was adopted of their usage as well.
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
            // A merge that goes on has them already.
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

impl Helping {
    /// Waits until one of them has ended, or for a while.
    async fn look_up(&mut self) {
        tokio::select! {
            Some(ended) = self.tasks.join_next() => {
                if let Ok(id) = ended {
                    self.runs.remove(&id);
                }
            }
            () = sleep(Duration::from_millis(LOOK_MS)) => {}
        }
    }

    /// Has them come to a checkpoint, and waits for that.
    async fn rest(&mut self) {
        self.runs.values().for_each(|run| run.request_pause());
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Its type breaks the circle of lives that run parts that are lives. How it ended is in the store.
fn run_to_its_end(life: Life, id: JobExecutionId) -> Pin<Box<dyn Future<Output = JobExecutionId> + Send>> {
    Box::pin(async move {
        let _ = life.run().await;
        id
    })
}

/// The step of a part, as the same part of the next execution begins with it. One that has completed is there
/// already.
fn going_on_from(part: JobExecution) -> StepExecution {
    let id = part.id;
    let mut step = part.steps.into_iter().next().expect("a part has its step from the beginning");
    step.usage = Default::default();
    if step.status == BatchStatus::Completed {
        step.carried_from = step.carried_from.or(Some(id));
        return step;
    }
    (step.status, step.exit_status) = (BatchStatus::Starting, ExitStatus::new(ExitStatus::EXECUTING));
    step.ended_at = None;
    step.errors.clear();
    step.failures.clear();
    step
}

/// The parts that earlier executions have of a step: those of the execution that this one goes on from first. None
/// of an execution that had completed the step, and of those before it.
async fn earlier_parts(
    repository: &dyn JobRepository,
    tenant: &TenantId,
    of: JobExecutionId,
    position: u32,
) -> Result<Vec<(JobExecutionId, Vec<PartitionState>)>, RepositoryError> {
    let mut earlier = Vec::new();
    for ancestor in repository.ancestry(tenant, of).await?.into_iter().skip(1) {
        let found = match repository.execution(tenant, ancestor.id).await {
            Ok(Some(found)) => found,
            // Nobody can go on from it.
            Ok(None) | Err(RepositoryError::Corrupt { .. }) => break,
            Err(error) => return Err(error),
        };
        let mut of_step = found.steps.iter().filter(|step| step.position == position);
        if of_step.any(|step| step.status == BatchStatus::Completed) {
            break;
        }
        let parts = repository.partition_states(tenant, ancestor.id, position).await?;
        if !parts.is_empty() {
            earlier.push((ancestor.id, parts));
        }
    }
    Ok(earlier)
}

/// The stored warnings of a step's parts, and what is damaged among them.
#[derive(Default)]
pub(crate) struct WarningsOfParts {
    /// By the number of the part; no more in all than a step stores.
    pub(crate) items: BTreeMap<u32, Vec<Warning>>,
    pub(crate) damaged: Vec<Damaged>,
}

/// The stored warnings of a step's parts, each item's once: a part that goes on from an earlier execution's has
/// stored those alone that it has found itself.
pub(crate) async fn warnings_of_parts(
    repository: &dyn JobRepository,
    tenant: &TenantId,
    of: JobExecutionId,
    position: u32,
) -> Result<WarningsOfParts, RepositoryError> {
    let parts = repository.partition_states(tenant, of, position).await?;
    let mut found = WarningsOfParts::default();
    if parts.is_empty() {
        return Ok(found);
    }
    let mut line: Vec<_> =
        earlier_parts(repository, tenant, of, position).await?.into_iter().map(|(_, parts)| parts).collect();
    line.reverse();
    line.push(parts.clone());
    let mut room = WARNINGS_STORED_MAX as usize;
    for number in parts.iter().map(|part| part.partition.number) {
        let of_part = found.items.entry(number).or_default();
        for part in line.iter().flatten().filter(|part| part.partition.number == number) {
            if room == 0 {
                return Ok(found);
            }
            let stored = repository.warnings(tenant, part.id).await?;
            let before = of_part.len();
            of_part.extend(stored.items.into_iter().take(room));
            room -= of_part.len() - before;
            found.damaged.extend(stored.damaged);
        }
    }
    Ok(found)
}

/// Whether nobody works on a part any more. One that is set aside waits for a person.
fn is_over(part: &PartitionState) -> bool {
    part.has_ended || part.set_aside.is_some()
}

fn are_completed(parts: &[PartitionState]) -> bool {
    parts.iter().all(|part| part.status == BatchStatus::Completed)
}

/// Why the step cannot complete, if one of its parts has ended badly.
fn failed(parts: &[PartitionState]) -> Option<StepError> {
    let has_ended_badly = |part: &&PartitionState| is_over(part) && part.status != BatchStatus::Completed;
    let part = parts.iter().filter(has_ended_badly).max_by_key(|part| part.status == BatchStatus::Failed)?;
    let failure = part.failure.clone().unwrap_or_else(|| Failure {
        code: "part-stopped".to_owned(),
        culprit: String::new(),
        place: String::new(),
        message: match &part.set_aside {
            Some(reason) => format!("it is set aside: {reason}"),
            None => format!("it is {}", part.status),
        },
        help: String::new(),
        remedies: Vec::new(),
    });
    Some(StepError::Part { execution: part.id, partition: part.partition, failure: Box::new(failure) })
}

/// Why the step cannot complete: a part that has failed by itself, too many skipped items, or a part that was stopped,
/// which these items may be the reason for.
fn cause(step: &Step, parts: &[PartitionState]) -> Option<StepError> {
    let has_failed = |part: &PartitionState| is_over(part) && part.status == BatchStatus::Failed;
    match parts.iter().any(has_failed) {
        true => failed(parts),
        false => too_many_skipped(step, parts).or_else(|| failed(parts)),
    }
}

/// A limit holds for all parts together.
fn too_many_skipped(step: &Step, parts: &[PartitionState]) -> Option<StepError> {
    let StepKind::Item { settings, .. } = &step.kind else { return None };
    let limit = settings.skip.limit?;
    let skipped: u64 = parts.iter().map(|part| part.skipped).sum();
    (skipped > limit).then(|| StepError::SkipLimit {
        limit,
        culprit: String::new(),
        place: String::new(),
        last: format!("its parts together have skipped {skipped}"),
    })
}

/// How far the parts are together.
fn tracking(parts: &[PartitionState]) -> Tracking {
    let of_parts = || parts.iter().map(|part| part.tracking);
    Tracking {
        processed: of_parts().map(|tracking| tracking.processed).sum(),
        total: of_parts().map(|tracking| tracking.total).sum(),
        is_estimate: of_parts().any(|tracking| tracking.is_estimate),
    }
}
