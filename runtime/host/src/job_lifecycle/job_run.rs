//! A run in this process: its steps, its lease and its progress.

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

/// The progress of a run, for its observers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// The step that is running; empty before the first step.
    pub step: String,
    /// The number of the step in the job, from 1.
    pub step_number: usize,
    /// The number of steps in the job.
    pub step_count: usize,
    /// The progress of the step.
    pub tracking: Tracking,
}

/// A run that has begun in this process. If this value is dropped, the run continues.
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

    /// Waits for the end of the run, good or bad. A failed step is part of the execution and is not an error.
    pub(crate) async fn wait(&mut self) -> Result<JobExecution, Error> {
        (&mut self.task).await.unwrap_or(Err(Error::RunBrokeOff(self.id.0)))
    }
}

/// The settings of a run, beside its execution.
pub(super) struct RunSetup {
    pub(super) info: RunInfo,
    pub(super) listener: Option<LogListener>,
    pub(super) progress: watch::Sender<Progress>,
    /// Whether the execution continues by itself after its worker is lost.
    pub(super) is_queued: bool,
}

/// A claimed execution, and everything that its run needs.
pub(super) struct JobRun {
    pub(super) installation: Arc<Installation>,
    pub(super) tenant: Arc<TenantState>,
    /// The bytes that the steps write. They count for the tenant until the run has ended.
    pub(super) disk: ExecutionDisk,
    pub(super) steps: Arc<[Step]>,
    /// The folder where relative paths start.
    pub(super) folder: Option<String>,
    pub(super) execution: Mutex<JobExecution>,
    pub(super) recorder: Recorder,
    pub(super) run: Arc<RunContext>,
    /// Whether the execution continues by itself after its worker is lost.
    pub(super) is_queued: bool,
    /// Why the working folder could not be created. Such a run ends before its first step.
    pub(super) folder_error: Option<Error>,
    /// `None` for a single machine.
    pub(super) log_sharing: Option<LogSharing>,
    pub(super) progress: watch::Sender<Progress>,
    pub(super) state: Mutex<RunState>,
}

/// The state of a job while it runs.
pub(super) struct RunState {
    /// The steps that are running, with their positions.
    pub(super) running: Vec<(u32, StepContext)>,
    /// The positions of steps that have run, in this execution or in one that it continues.
    pub(super) done: BTreeSet<usize>,
    /// The positions of failed steps whose failure the flow has handled.
    pub(super) dealt_with: BTreeSet<usize>,
    /// In ticks, because the clock may be set.
    pub(super) last_heartbeat_us: u64,
    pub(super) last_progress_us: u64,
}

/// A step that has ended. It is saved together with the next change.
pub(super) struct EndedStep {
    pub(super) step: StepExecution,
    pub(super) context: StepContext,
}

/// The outcome of a step's elements: the row of the step, and how the step ended.
pub(super) type Ran = Result<(StepExecution, Result<StepOutcome, StepError>), RepositoryError>;

/// How a sequence of steps ended, and its last step if that step is not saved yet.
pub(super) type FlowEnd = Result<(BatchStatus, Option<EndedStep>), RepositoryError>;

impl JobRun {
    pub(super) fn new(here: TenantRef<'_>, claimed: Claimed, setup: RunSetup) -> Self {
        let (installation, tenant) = (here.installation.clone(), here.state.clone());
        let Claimed { execution, lease } = claimed;
        let RunSetup { info, listener, progress, is_queued } = setup;
        // The log is in the folder, so the folder is created first.
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

    /// The context through which this process can request a stop or a pause of the run.
    pub(super) fn run_context(&self) -> Arc<RunContext> {
        self.run.clone()
    }

    /// The tenant of the execution in this process.
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

    /// Whether a run that ended with this status continues later.
    pub(super) fn rests_in(&self, status: BatchStatus) -> bool {
        status == BatchStatus::Paused || (status == BatchStatus::Stopped && self.run.should_pause())
    }

    /// Saves a step that is followed by other steps.
    pub(super) async fn save_ended(&self, ended: Option<EndedStep>) -> Result<(), RepositoryError> {
        let Some(EndedStep { mut step, context }) = ended else { return Ok(()) };
        context.save_step(&self.recorder, &mut step, With::default()).await?;
        self.keep(&step);
        Ok(())
    }

    /// The steps as they are in the store.
    pub(super) async fn stored_steps(&self) -> Result<Vec<StepExecution>, RepositoryError> {
        let Lease { tenant, id, .. } = &self.recorder.lease;
        let stored = self.installation.repository.execution(tenant, *id).await?;
        Ok(stored.map(|execution| execution.steps).unwrap_or_default())
    }

    /// The current state of the execution.
    pub(super) fn execution(&self) -> JobExecution {
        lock(&self.execution).clone()
    }

    /// Puts a step's latest state among the execution's other steps.
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
