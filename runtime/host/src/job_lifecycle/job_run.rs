//! A run in this process: its steps, its lease, and how far it is.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use stepbox_batch::error::StepError;
use stepbox_batch::execution::status::BatchStatus;
use stepbox_batch::execution::{Claimed, JobExecution, Lease, StepExecution, Tracking};
use stepbox_batch::item_step::StepOutcome;
use stepbox_batch::job::Step;
use stepbox_batch::lock::lock;
use stepbox_batch::log::LogLevel;
use stepbox_batch::name::JobExecutionId;
use stepbox_batch::ports::RepositoryError;
use stepbox_batch::recorder::{Recorder, With};
use stepbox_batch::run_context::{Attempt, RunContext, RunInfo};
use stepbox_batch::step_context::StepContext;
use stepbox_sandbox::ExecutionDisk;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::background::log_sharing::LogSharing;
use crate::error::Error;
use crate::execution_log::{FileLog, LogListener};
use crate::installation::{Installation, TenantRef};
use crate::tenants::TenantState;

/// How far a run is, for those who watch it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// The step that runs; empty before the first one.
    pub step: String,
    /// The place of the step in the job, from 1.
    pub step_number: usize,
    /// How many steps the job has.
    pub step_count: usize,
    /// How far the step is.
    pub tracking: Tracking,
}

/// A run that has begun in this process. Dropping it lets the run go on.
#[derive(Debug)]
pub(crate) struct BegunRun {
    pub(crate) id: JobExecutionId,
    pub(crate) run: Arc<RunContext>,
    pub(crate) progress: watch::Receiver<Progress>,
    task: JoinHandle<Result<JobExecution, Error>>,
}

impl BegunRun {
    pub(super) fn new(
        id: JobExecutionId,
        run: Arc<RunContext>,
        progress: watch::Receiver<Progress>,
        task: JoinHandle<Result<JobExecution, Error>>,
    ) -> Self {
        Self { id, run, progress, task }
    }

    /// Waits for the end of the run, good or bad: a failed step is in the execution, not an error.
    pub(crate) async fn wait(&mut self) -> Result<JobExecution, Error> {
        (&mut self.task).await.unwrap_or(Err(Error::RunBrokeOff(self.id.0)))
    }
}

/// What a run is, beside its execution.
pub(super) struct RunSetup {
    pub(super) info: RunInfo,
    pub(super) listener: Option<LogListener>,
    pub(super) progress: watch::Sender<Progress>,
    /// Whether the execution goes on by itself after a loss.
    pub(super) is_queued: bool,
}

/// A claimed execution, and all that its run needs.
pub(super) struct JobRun {
    pub(super) installation: Arc<Installation>,
    pub(super) tenant: Arc<TenantState>,
    /// The bytes that its steps write count for the tenant until the run has ended.
    pub(super) disk: ExecutionDisk,
    pub(super) steps: Arc<[Step]>,
    /// Where relative paths begin.
    pub(super) folder: Option<String>,
    pub(super) execution: Mutex<JobExecution>,
    pub(super) recorder: Recorder,
    pub(super) run: Arc<RunContext>,
    /// Whether the execution goes on by itself after a loss.
    pub(super) is_queued: bool,
    /// Why the working folder could not be made. Such a run ends before its first step.
    pub(super) folder_error: Option<Error>,
    /// `None` where one machine works alone.
    pub(super) log_sharing: Option<LogSharing>,
    pub(super) progress: watch::Sender<Progress>,
    pub(super) state: Mutex<RunState>,
}

/// What happens while a job runs.
pub(super) struct RunState {
    /// The steps at work, with their positions.
    pub(super) running: Vec<(u32, StepContext)>,
    /// The positions of steps that ran, in this execution or in one that it goes on from.
    pub(super) done: BTreeSet<usize>,
    /// The positions of failed steps whose failure the flow deals with.
    pub(super) dealt_with: BTreeSet<usize>,
    /// In ticks, since the clock may be set.
    pub(super) last_heartbeat_us: u64,
    pub(super) last_progress_us: u64,
}

/// A step that has ended, and is saved together with what follows.
pub(super) struct EndedStep {
    pub(super) step: StepExecution,
    pub(super) context: StepContext,
}

/// The outcome of a step's elements: the row of the step, and how it ended.
pub(super) type Ran = Result<(StepExecution, Result<StepOutcome, StepError>), RepositoryError>;

/// How a sequence of steps ended, and its last step if that is not saved yet.
pub(super) type FlowEnd = Result<(BatchStatus, Option<EndedStep>), RepositoryError>;

impl JobRun {
    pub(super) fn new(here: TenantRef<'_>, claimed: Claimed, setup: RunSetup) -> Self {
        let (installation, tenant) = (here.installation.clone(), here.state.clone());
        let Claimed { execution, lease } = claimed;
        let RunSetup { info, listener, progress, is_queued } = setup;
        // The log lies in the folder, so the folder comes first.
        let folder_error = installation.data.begin_execution(execution.id, lease.token).err();
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
        let state = RunState {
            running: Vec::new(),
            done: BTreeSet::new(),
            dealt_with: BTreeSet::new(),
            last_heartbeat_us: now,
            last_progress_us: now,
        };
        Self {
            disk: tenant.share.execution_disk(),
            steps: execution.job.steps.clone().into(),
            folder: execution.job.folder.clone(),
            execution: Mutex::new(execution),
            recorder: Recorder { journal, lease, clock, observer },
            state: Mutex::new(state),
            installation,
            tenant,
            run,
            is_queued,
            folder_error,
            log_sharing,
            progress,
        }
    }

    /// Where a stop or a pause of this run can be requested within this process.
    pub(super) fn run_context(&self) -> Arc<RunContext> {
        self.run.clone()
    }

    /// The tenant of the execution, in this process.
    pub(super) fn here(&self) -> TenantRef<'_> {
        TenantRef { installation: &self.installation, id: &self.recorder.lease.tenant, state: &self.tenant }
    }

    pub(super) fn begin(&self) {
        let mut execution = lock(&self.execution);
        execution.status = BatchStatus::Started;
        execution.started_at.get_or_insert_with(|| self.installation.clock.now());
        let JobExecution { id, job, instance, .. } = &*execution;
        self.run.log(
            LogLevel::Info,
            &format!("Job execution starting: id={id}, instance={instance}, job={}", job.name),
        );
    }

    pub(super) async fn change_status(&self, status: BatchStatus) -> Result<(), RepositoryError> {
        let changed = {
            let mut execution = lock(&self.execution);
            (execution.status, execution.updated_at) = (status, self.recorder.clock.now());
            execution.clone()
        };
        self.recorder.save_execution(&changed, None, false).await
    }

    /// Whether a run that ended so goes on later.
    pub(super) fn rests_in(&self, status: BatchStatus) -> bool {
        status == BatchStatus::Paused || (status == BatchStatus::Stopped && self.run.should_pause())
    }

    /// Saves a step that others follow.
    pub(super) async fn save_ended(&self, ended: Option<EndedStep>) -> Result<(), RepositoryError> {
        let Some(EndedStep { mut step, context }) = ended else { return Ok(()) };
        context.save_step(&self.recorder, &mut step, With::default()).await?;
        self.keep(&step);
        Ok(())
    }

    /// The steps as the store has them.
    pub(super) async fn stored_steps(&self) -> Result<Vec<StepExecution>, RepositoryError> {
        let Lease { tenant, id, .. } = &self.recorder.lease;
        let stored = self.installation.repository.execution(tenant, *id).await?;
        Ok(stored.map(|execution| execution.steps).unwrap_or_default())
    }

    /// The execution as it is now.
    pub(super) fn execution(&self) -> JobExecution {
        lock(&self.execution).clone()
    }

    /// Puts a step's latest state where the execution's other steps are.
    pub(super) fn keep(&self, step: &StepExecution) {
        let mut execution = lock(&self.execution);
        match execution.steps.iter_mut().find(|known| known.position == step.position) {
            Some(known) => *known = step.clone(),
            None => execution.steps.push(step.clone()),
        }
        execution.steps.sort_by_key(|step| step.position);
    }

    pub(super) fn show_progress(&self, execution: &StepExecution, context: &StepContext) {
        self.progress.send_replace(Progress {
            step: execution.name.to_string(),
            step_number: execution.position as usize + 1,
            step_count: self.steps.len(),
            tracking: context.tracking(),
        });
    }
}
