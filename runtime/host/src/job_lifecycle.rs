//! A job's life: submit → claim → run its steps → finish.
//!
//! A run makes as few durable commits as it can: one that accepts and claims it, one that begins the
//! first step, and one that ends the last step and the job together.
//!
//! Each step works on a thread of its own, so that elements may block; the life itself only waits, looks
//! for requests and keeps the lease.

use std::collections::BTreeSet;
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::join_all;

use stepbox_batch::audit::Actor;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::element::Fragment;
use stepbox_batch::error::StepError;
use stepbox_batch::execution::{Failure, JobExecution, Partition, StepExecution, Tracking};
use stepbox_batch::flow::{Afterwards, Follows, Requests, Unit, after, afterwards, worst};
use stepbox_batch::item_step::{self, Journey, StepOutcome};
use stepbox_batch::job::{Always, Step, StepKind};
use stepbox_batch::log::LogLevel;
use stepbox_batch::name::{JobExecutionId, TenantId};
use stepbox_batch::recorder::{Recorder, With};
use stepbox_batch::repository::{Claim, Lease, NewJobExecution, RepositoryError, Save};
use stepbox_batch::status::{BatchStatus, ExitStatus};
use stepbox_batch::step_context::{Attempt, Findings, RunContext, RunInfo, StepContext};
use stepbox_batch::tasklet_point::TaskletPoint;
use stepbox_batch::tasklet_step;
use stepbox_batch::thread::{Panicked, on_own_thread};
use stepbox_sandbox::{ExecutionDisk, Usage};
use tokio::sync::watch;

use crate::error::Error;
use crate::execution_log::{FileLog, LogListener, LogSharing};
use crate::outputs::{OutputLock, StepPlaces, output_is_input};
use crate::patience::{self, Left, Patience};
use crate::policy::Policy;
use crate::step_elements::StepElements;
use crate::stepbox::Installation;
use crate::tenants::TenantState;

mod attending;
mod earlier_outputs;
mod partitions;

pub(crate) use partitions::warnings_of_parts;

/// How long a worker's lease lasts without a heartbeat, in milliseconds, unless the builder says otherwise.
pub const LEASE_MS: u64 = 15_000;
/// How many heartbeats there are in the time of a lease: two may fail.
pub(crate) const BEATS_PER_LEASE: u64 = 3;
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
    let claim = claim_now(installation);
    let (execution, lease) = installation.repository.create_execution(new, Some(&claim)).await?;
    let lease = lease.ok_or(RepositoryError::LeaseLost { id: execution.id })?;
    Ok((execution, lease))
}

/// Takes the lease of an execution that waits or rests.
pub(crate) async fn claim(
    installation: &Installation,
    tenant: &TenantId,
    id: JobExecutionId,
    by: &Actor,
) -> Result<Lease, Error> {
    Ok(installation.repository.claim(tenant, id, &claim_now(installation), by).await?)
}

fn claim_now(installation: &Installation) -> Claim {
    Claim {
        worker: installation.worker.clone(),
        now: installation.clock.now(),
        lease_ms: installation.lease_ms,
    }
}

/// A claimed execution, and all that its run needs.
pub(crate) struct Life {
    installation: Arc<Installation>,
    tenant: Arc<TenantState>,
    /// What its steps write counts for the tenant until it has ended.
    disk: ExecutionDisk,
    steps: Arc<[Step]>,
    /// Where relative paths begin.
    folder: Option<String>,
    execution: Mutex<JobExecution>,
    recorder: Recorder,
    run: Arc<RunContext>,
    /// Whether it goes on by itself after a loss.
    is_queued: bool,
    /// Why there is no working folder, if there is none.
    unprepared: Option<Error>,
    /// None where nobody shares the log.
    log_sharing: Option<LogSharing>,
    progress: watch::Sender<Progress>,
    course: Mutex<Course>,
}

/// What happens while a job runs.
struct Course {
    /// The steps at work, with their positions.
    running: Vec<(u32, StepContext)>,
    /// The positions of steps that ran, in this execution or in one that it goes on from.
    done: BTreeSet<usize>,
    /// Those whose failure the flow deals with.
    dealt_with: BTreeSet<usize>,
    /// In ticks, since the clock may be set.
    last_heartbeat_us: u64,
    last_progress_us: u64,
}

/// How a step ended. It is saved once it is known what follows.
struct Ended {
    step: StepExecution,
    context: StepContext,
}

/// What running a step's elements comes to: its row, and how it ended.
type Ran = Result<(StepExecution, Result<StepOutcome, StepError>), RepositoryError>;

/// What a step's thread comes back with.
type Worked = Result<(StepExecution, Result<StepOutcome, StepError>), Panicked>;

/// How a sequence of steps ended, and its last step if that is not saved yet.
type FlowEnd = Result<(BatchStatus, Option<Ended>), RepositoryError>;

impl Life {
    pub(crate) fn new(
        installation: Arc<Installation>,
        tenant: &Arc<TenantState>,
        (execution, lease): (JobExecution, Lease),
        info: RunInfo,
        listener: Option<LogListener>,
        progress: watch::Sender<Progress>,
        is_queued: bool,
    ) -> Self {
        let unprepared = installation.data.begin_execution(execution.id, lease.token).err();
        let clock = installation.clock.clone();
        let now = clock.ticks_us();
        let folder = installation.data.execution(execution.id);
        let shared = installation.data.shared().cloned();
        let log = Arc::new(FileLog::open(&folder, clock.clone(), listener, shared.is_some()));
        let log_sharing =
            shared.map(|shared| LogSharing::begin(shared, log.clone(), execution.id, lease.token));
        let (parameters, context) = (execution.parameters.clone(), execution.context.clone());
        let attempt = Attempt { execution: execution.id, token: lease.token };
        let run = RunContext::counted(info, attempt, parameters, context, log, tenant.tally.clone());
        let (journal, observer) = (installation.journal.clone(), tenant.meters.clone());
        let recorder = Recorder { journal, lease, clock, observer };
        let course = Course {
            running: Vec::new(),
            done: BTreeSet::new(),
            dealt_with: BTreeSet::new(),
            last_heartbeat_us: now,
            last_progress_us: now,
        };
        Self {
            installation,
            disk: tenant.share.execution_disk(),
            tenant: tenant.clone(),
            steps: execution.job.steps.clone().into(),
            folder: execution.job.folder.clone(),
            execution: Mutex::new(execution),
            recorder,
            run,
            is_queued,
            unprepared,
            log_sharing,
            progress,
            course: Mutex::new(course),
        }
    }

    /// Where a stop or a pause of this run can be asked for within this process.
    pub(crate) fn run_context(&self) -> Arc<RunContext> {
        self.run.clone()
    }

    /// Runs the steps, and finishes. The execution returned is as it was stored last.
    pub(crate) async fn run(mut self) -> Result<JobExecution, Error> {
        self.begin();
        let ended = match self.unprepared.take() {
            None => self.attend(self.run_steps()).await.map_err(Error::from),
            Some(error) => Err(error),
        };
        let finished = match ended {
            Ok((status, last)) => self.finish(status, last).await,
            Err(error) => self.give_up(error).await,
        };
        // An execution that did not come to its end here is, or will be, another worker's, its folder as well.
        let Lease { id, token, .. } = self.recorder.lease;
        if finished.is_ok()
            && let Err(error) = self.installation.data.end_attempt(id, token)
        {
            self.run.log(LogLevel::Warning, &format!("the working folder could not be removed: {error}"));
        }
        if let Some(log_sharing) = self.log_sharing.take() {
            log_sharing.finish(self.run.is_stopping()).await;
        }
        finished.map(|()| self.execution())
    }

    fn begin(&self) {
        let mut execution = lock(&self.execution);
        execution.status = BatchStatus::Started;
        execution.started_at.get_or_insert_with(|| self.installation.clock.now());
        let JobExecution { id, job, instance, .. } = &*execution;
        self.run.log(
            LogLevel::Info,
            &format!("Job execution starting: id={id}, instance={instance}, job={}", job.name),
        );
    }

    /// Runs the flow to its end, and then the steps that run whatever happened.
    async fn run_steps(&self) -> FlowEnd {
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
                    let Ended { step, .. } = last.insert(self.run_step(position).await?);
                    status = match step.status {
                        // Whatever failed before it, the execution goes on with it.
                        BatchStatus::Paused => BatchStatus::Paused,
                        ended => worst(status, ended),
                    };
                }
            }
        }
        Ok((status, last))
    }

    fn requests(&self) -> Requests {
        Requests { stop: self.run.is_stop_requested(), pause: self.run.is_pause_requested() }
    }

    /// How a run ends that only has to run what runs whatever happened: it has cost all the workers that it may, or
    /// was to stop before it could begin.
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
        stored.any(|step| step.status.has_ended()) || lock(&self.course).done.contains(&position)
    }

    /// Runs the one step of a part.
    async fn run_part(&self, position: usize) -> FlowEnd {
        if let Some(done) = self.done_already(position) {
            // Whatever completes has begun.
            self.change_status(BatchStatus::Started).await?;
            return Ok((done.status, None));
        }
        let ended = self.run_step(position).await?;
        Ok((ended.step.status, Some(ended)))
    }

    /// Runs the steps in a range, one after the other or as their flow says.
    async fn run_sequence(&self, range: Range<usize>, is_branch: bool) -> FlowEnd {
        let (mut at, mut last, mut has_run) = (range.start, None, false);
        while at < range.end {
            if has_run && self.run.is_stopping() {
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
                            let Ended { step, .. } = last.insert(self.run_step(*position).await?);
                            (step.status, step.exit_status.clone())
                        }
                    };
                    let (follows, is_dealt_with) = after(&self.steps, *position, status, &exit_status);
                    if is_dealt_with {
                        lock(&self.course).dealt_with.insert(*position);
                    }
                    match follows {
                        // The execution that ran it ended there; this one goes on behind it.
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

    /// Runs the branches of a split side by side. It is as good as its worst branch.
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

    /// Its type breaks the circle of sequences that run branches that are sequences.
    fn run_branch(&self, range: Range<usize>) -> Pin<Box<dyn Future<Output = FlowEnd> + Send + '_>> {
        Box::pin(self.run_sequence(range, true))
    }

    /// The step as it ended before a pause, or as an execution that this one goes on from has completed
    /// it; none if it runs now.
    fn done_already(&self, position: usize) -> Option<StepExecution> {
        let execution = lock(&self.execution);
        let known = execution.steps.iter().find(|step| step.position as usize == position)?;
        // A restart sets back what has failed, so that was before a pause.
        let is_done = matches!(known.status, BatchStatus::Completed | BatchStatus::Failed);
        if is_done {
            lock(&self.course).done.insert(position);
        }
        is_done.then(|| known.clone())
    }

    async fn run_step(&self, position: usize) -> Result<Ended, RepositoryError> {
        let step = &self.steps[position];
        let (mut execution, context) = self.begin_step(position);
        let job_execution = self.execution();
        let with = With { execution: Some(&job_execution), ..With::default() };
        self.recorder.save_step(&mut execution, &context, with).await?;
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
                let (culprit, place) = (format!("step `{}`", step.name), String::new());
                return Ok((execution, Err(StepError::Element { culprit, place, source })));
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
        let refused = |source| {
            let (culprit, place) = (format!("writer `{}`", writer.name()), String::new());
            StepError::Element { culprit, place, source }
        };
        let folders = elements.folders();
        let (native, run) = (&self.installation.native, &self.run.info);
        let places = StepPlaces::of(step, elements.values(), native, &folders, Some(run));
        if let Some(output) = places.output_over_input() {
            return Err(refused(output_is_input(output.given())));
        }
        let Some(output) = &places.output else { return Ok(None) };
        let lock =
            OutputLock::take(&self.installation.data.outputs(), output, run, &self.recorder.lease.tenant);
        lock.map(Some).map_err(refused)
    }

    /// How long this run waits for a step's elements.
    fn patience(&self, step: &Step, context: &StepContext, policy: &Policy) -> Patience {
        let asked = [step.limits.time_ms_max, policy.limits.time_ms_max];
        let limits = patience::Limits {
            grace_ms: policy.quotas.stop_grace_ms,
            time_ms_max: asked.into_iter().flatten().min(),
        };
        Patience::new(self.recorder.clock.clone(), context, limits)
    }

    /// What has become of a step that worked on a thread of its own.
    async fn settle(&self, ran: Result<Worked, Left>, begun: StepExecution, context: &StepContext) -> Ran {
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

    async fn change_status(&self, status: BatchStatus) -> Result<(), RepositoryError> {
        let changed = {
            let mut execution = lock(&self.execution);
            (execution.status, execution.updated_at) = (status, self.recorder.clock.now());
            execution.clone()
        };
        self.recorder.save_execution(&changed, None, false).await
    }

    /// Whether the worker is about to end, and nobody wants the job to end for good.
    fn is_pausing(&self) -> bool {
        self.run.is_pause_requested() && !self.run.is_stop_requested()
    }

    /// Whether a run that ended so goes on later.
    fn rests_in(&self, status: BatchStatus) -> bool {
        status == BatchStatus::Paused || (status == BatchStatus::Stopped && self.is_pausing())
    }

    fn end_step(
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
            Ok(StepOutcome::Stopped) if self.is_pausing() => {
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

    /// Saves a step that others follow.
    async fn save_ended(&self, ended: Option<Ended>) -> Result<(), RepositoryError> {
        let Some(Ended { mut step, context }) = ended else { return Ok(()) };
        self.recorder.save_step(&mut step, &context, With::default()).await?;
        self.keep(&step);
        Ok(())
    }

    /// Ends the job, or lets it rest, and gives the lease back.
    async fn finish(&self, status: BatchStatus, last: Option<Ended>) -> Result<(), Error> {
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
            Some(Ended { mut step, context, .. }) => {
                let with = With { execution: Some(&execution), is_last: true, ..With::default() };
                self.recorder.save_step(&mut step, &context, with).await?;
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

    /// A branch that came to rest while another one failed will not go on in this execution.
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

    /// All steps' exit statuses together, but for failures that the flow dealt with.
    fn exit_status(&self, execution: &JobExecution) -> ExitStatus {
        let course = lock(&self.course);
        let is_dealt_with = |step: &&StepExecution| {
            step.status == BatchStatus::Failed && course.dealt_with.contains(&(step.position as usize))
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

    /// The store or the data folder failed a run. If the store takes one more word, the execution and
    /// the steps that it was at end as FAILED with the reason; if not, the next program on this store
    /// will say so. What the steps have come to is what is stored of them, whatever this run believes.
    async fn give_up(&self, error: Error) -> Result<(), Error> {
        if matches!(error, Error::Repository(RepositoryError::LeaseLost { .. })) {
            // Folder and log are another worker's now.
            return Err(error);
        }
        self.run.log(LogLevel::Error, &error.to_string());
        if self.is_queued && is_of_the_store(&error) {
            // Nobody writes any more. Once the lease has run out, a worker goes on from the last checkpoint.
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

    /// The steps as the store has them.
    async fn stored_steps(&self) -> Result<Vec<StepExecution>, RepositoryError> {
        let Lease { tenant, id, .. } = &self.recorder.lease;
        let stored = self.installation.repository.execution(tenant, *id).await?;
        Ok(stored.map(|execution| execution.steps).unwrap_or_default())
    }

    /// The execution as it is now.
    fn execution(&self) -> JobExecution {
        lock(&self.execution).clone()
    }

    /// Puts a step's latest state where the execution's other steps are.
    fn keep(&self, step: &StepExecution) {
        let mut execution = lock(&self.execution);
        match execution.steps.iter_mut().find(|known| known.position == step.position) {
            Some(known) => *known = step.clone(),
            None => execution.steps.push(step.clone()),
        }
        execution.steps.sort_by_key(|step| step.position);
    }

    fn show_progress(&self, execution: &StepExecution, context: &StepContext) {
        self.progress.send_replace(Progress {
            step: execution.name.to_string(),
            step_number: execution.position as usize + 1,
            step_count: self.steps.len(),
            tracking: context.tracking(),
        });
    }
}

/// Whether another worker, or this one in a while, may go on: nothing is wrong with the execution.
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

/// A panic of one holder must not take the others down: the values are whole between calls.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
