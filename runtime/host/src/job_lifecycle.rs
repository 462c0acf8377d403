//! A job's life: submit → claim → run its steps → finish.
//!
//! A run makes as few durable commits as it can: one that accepts and claims it, one that begins the
//! first step, and one that ends the last step and the job together.
//!
//! Each step works on a thread of its own, so that elements may block; the life itself only waits, looks
//! for requests and keeps the lease.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stepbox_batch::actor::Actor;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::error::StepError;
use stepbox_batch::execution::status::{BatchStatus, ExitStatus};
use stepbox_batch::execution::{
    Claim, Failure, JobExecution, Lease, NewJobExecution, Save, StepExecution, Tracking,
};
use stepbox_batch::item_step::StepOutcome;
use stepbox_batch::job::Step;
use stepbox_batch::log::LogLevel;
use stepbox_batch::name::{JobExecutionId, TenantId};
use stepbox_batch::ports::RepositoryError;
use stepbox_batch::recorder::{Recorder, With};
use stepbox_batch::step_context::{Attempt, RunContext, RunInfo, StepContext};
use stepbox_batch::thread::Panicked;
use stepbox_sandbox::ExecutionDisk;
use tokio::sync::watch;

use crate::error::Error;
use crate::execution_log::{FileLog, LogListener, LogSharing};
use crate::stepbox::Installation;
use crate::tenants::TenantState;

mod attending;
mod earlier_outputs;
mod flow;
mod partitions;
mod step;

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
            log_sharing.finish(self.run.should_stop()).await;
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

    async fn change_status(&self, status: BatchStatus) -> Result<(), RepositoryError> {
        let changed = {
            let mut execution = lock(&self.execution);
            (execution.status, execution.updated_at) = (status, self.recorder.clock.now());
            execution.clone()
        };
        self.recorder.save_execution(&changed, None, false).await
    }

    /// Whether a run that ended so goes on later.
    fn rests_in(&self, status: BatchStatus) -> bool {
        status == BatchStatus::Paused || (status == BatchStatus::Stopped && self.run.should_pause())
    }

    /// Saves a step that others follow.
    async fn save_ended(&self, ended: Option<Ended>) -> Result<(), RepositoryError> {
        let Some(Ended { mut step, context }) = ended else { return Ok(()) };
        context.save_step(&self.recorder, &mut step, With::default()).await?;
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
