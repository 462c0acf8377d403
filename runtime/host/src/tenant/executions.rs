//! Executions: run, followed, stopped, restarted, abandoned, purged.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};
use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::status::BatchStatus;
use stepbox_batch::execution::{
    ExecutionFilter, ExecutionSummary, JobExecution, Lease, NewJobExecution, Purgeable, Remains,
    StepExecution, StopRequest, Warning,
};
use stepbox_batch::log::LogLine;
use stepbox_batch::name::{InstanceCode, JobExecutionId, StepName};
use stepbox_batch::ports::{Listing, RepositoryError};
use stepbox_batch::remedy::{Listed, Remedy};
use stepbox_batch::step_context::{RunContext, RunInfo};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Tenant;
use super::instances::effective;
use super::left_over::{NotRemoved, Removal};
use crate::error::Error;
use crate::execution_log::{self, LogListener};
use crate::job_lifecycle::{self, Life, Progress, warnings_of_parts};
use crate::outputs::check_outputs;
use crate::rejected_file::RejectedFile;
use crate::step_elements::check_storages;
use crate::tenants::{RunningPlace, TenantStanding};

/// The first of executions that go on from one another, and when it began, as far as that is known.
pub(super) type First = (JobExecutionId, Option<Timestamp>);

/// How a run differs from what the instance says.
#[derive(Clone, Default)]
pub struct RunOptions {
    /// Parameters for this run alone, by top-level key. A JSON object; none changes nothing.
    pub overrides: Option<Value>,
    /// Receives each message of the log as it comes.
    pub log: Option<LogListener>,
}

/// Which executions to purge.
#[derive(Debug, Clone, Default)]
pub struct Purge {
    /// Only those of this instance.
    pub instance: Option<InstanceCode>,
    /// Only those in this status.
    pub status: Option<BatchStatus>,
    /// Only those created more than so many days ago; 0 means all.
    pub older_than_days: u32,
}

/// What a purge has done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Purged {
    /// The executions that are gone.
    pub executions: Vec<JobExecutionId>,
    /// What they have left beside their outputs, and could not be removed.
    pub not_removed: Vec<NotRemoved>,
}

/// A run in this process. Dropping it lets the run go on.
#[derive(Debug)]
pub struct Running {
    id: JobExecutionId,
    run: Arc<RunContext>,
    progress: watch::Receiver<Progress>,
    tenant: Tenant,
    task: JoinHandle<Result<JobExecution, Error>>,
}

impl Running {
    /// The execution.
    pub fn id(&self) -> JobExecutionId {
        self.id
    }

    /// How far it is, from now on.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }

    /// Asks it to stop.
    pub async fn stop(&self) -> Result<StopRequest, Error> {
        self.tenant.stop_execution(self.id).await
    }

    /// Asks it to come to a checkpoint and rest there as PAUSED; [`Tenant::resume_execution`] goes on.
    pub fn pause(&self) {
        self.run.request_pause();
    }

    /// What all its steps share.
    pub(crate) fn run_context(&self) -> Arc<RunContext> {
        self.run.clone()
    }

    /// Waits for its end, good or bad: a failed step is in the execution, not an error.
    pub async fn wait(&mut self) -> Result<JobExecution, Error> {
        (&mut self.task).await.unwrap_or(Err(Error::RunBrokeOff(self.id.0)))
    }
}

impl Tenant {
    /// Runs an instance now, in this process.
    pub async fn run(&self, code: &str, options: RunOptions) -> Result<Running, Error> {
        let (new, label) = self.new_execution(code, options.overrides).await?;
        self.start(&new, None, label, options.log).await
    }

    /// An execution of an instance, to be run or queued, and the label of the instance.
    pub(super) async fn new_execution(
        &self,
        code: &str,
        overrides: Option<Value>,
    ) -> Result<(NewJobExecution, String), Error> {
        let policy = self.policy();
        let instance = self.instance(code).await?;
        let mut job = self.job(instance.job.as_str()).await?;
        job.folder = policy.beginning();
        let overrides = overrides.unwrap_or_else(|| json!({}));
        let parameters = effective(&job, &instance, &overrides)?;
        check_storages(&job, &parameters, &policy, &self.installation.native)?;
        let reach = policy.reach(&self.installation.wall);
        check_outputs(&job, &parameters, &self.installation.native, &reach)?;
        let new = NewJobExecution {
            tenant: self.id.clone(),
            instance: instance.code.clone(),
            parameters,
            job,
            by: self.by()?,
            restart_of: None,
            context: Default::default(),
            steps: Vec::new(),
            partition: None,
            queue: None,
            changes: Vec::new(),
        };
        Ok((new, instance.label))
    }

    /// Goes on with an execution that is PAUSED: the same one, from its checkpoint.
    pub async fn resume_execution(
        &self,
        id: JobExecutionId,
        log: Option<LogListener>,
    ) -> Result<Running, Error> {
        self.refuse_unless_active()?;
        let paused = self.execution(id).await?;
        if paused.status != BatchStatus::Paused {
            let reason = "only an execution that is PAUSED can be resumed";
            return Err(RepositoryError::WrongStatus { id, status: paused.status, reason }.into());
        }
        let label = self.instance(paused.instance.as_str()).await?.label;
        let first = self.first_of(&paused).await?;
        let place = self.state.running_place()?;
        let lease = job_lifecycle::claim(&self.installation, &self.id, id, &self.by()?).await?;
        let execution = self.execution(id).await?;
        Ok(self.begin((execution, lease), Some(place), Some(first), label, log))
    }

    /// The first of the executions that go on from one another up to this one, and when it began. One
    /// that was purged is known by its id alone.
    pub(super) async fn first_of(&self, execution: &JobExecution) -> Result<First, Error> {
        let mut first = (execution.id, execution.started_at);
        for ancestor in self.installation.repository.ancestry(&self.id, execution.id).await? {
            let started_at = ancestor.started_at.or(first.1);
            first = (ancestor.restart_of.unwrap_or(ancestor.id), started_at);
        }
        Ok(first)
    }

    pub(super) async fn start(
        &self,
        new: &NewJobExecution,
        first: Option<First>,
        job_label: String,
        log: Option<LogListener>,
    ) -> Result<Running, Error> {
        self.refuse_unless_active()?;
        let place = self.state.running_place()?;
        let claimed = job_lifecycle::submit_and_claim(&self.installation, new).await?;
        Ok(self.begin(claimed, Some(place), first, job_label, log))
    }

    /// Lets a claimed execution run. One from the queue has its place by the store's count.
    pub(super) fn begin(
        &self,
        claimed: (JobExecution, Lease),
        place: Option<RunningPlace>,
        first: Option<First>,
        job_label: String,
        log: Option<LogListener>,
    ) -> Running {
        let id = claimed.0.id;
        let (first, started_at) = first.unwrap_or((id, None));
        let started_at = started_at.or(claimed.0.started_at);
        let started_at = started_at.unwrap_or_else(|| self.installation.clock.now());
        let info = RunInfo { id: first, job_label, started_at };
        let (sender, progress) = watch::channel(Progress::default());
        let installation: Arc<_> = self.installation.clone();
        let is_queued = place.is_none();
        let life = Life::new(installation, &self.state, claimed, info, log, sender, is_queued);
        let run = life.run_context();
        let meters = self.state.meters.clone();
        let runs_here = self.state.runs_here(id, &run);
        if self.standing() == TenantStanding::Removed {
            // It was removed after this was claimed.
            run.request_pause();
        }
        let task = tokio::spawn(async move {
            let (_place, _runs_here) = (place, runs_here);
            meters.attend(life.run()).await
        });
        Running { id, run, progress, tenant: self.clone(), task }
    }

    /// The files of items that an execution's steps skipped, by step: CSV as the input has it, or JSON Lines, with
    /// the original columns and why each was skipped. A step without any has no file.
    pub async fn rejected_items(&self, id: JobExecutionId) -> Result<Vec<(StepName, PathBuf)>, Error> {
        let execution = self.execution(id).await?;
        let data = &self.installation.data;
        let file = |step: StepName| Some((step.clone(), RejectedFile::new(data, id, &step).found()?));
        if let Some(shared) = data.shared() {
            let of_step = |step: &StepExecution| {
                let state = step.checkpoint.as_ref().map(|checkpoint| checkpoint.rejected.clone());
                (RejectedFile::new(data, id, &step.name), state.unwrap_or_default())
            };
            let files: Vec<_> = execution.steps.iter().map(of_step).collect();
            shared.wait(move |_| files.iter().try_for_each(|(file, state)| file.fetch(state))).await?;
        }
        Ok(execution.steps.into_iter().filter_map(|step| file(step.name)).collect())
    }

    /// An execution with its steps.
    pub async fn execution(&self, id: JobExecutionId) -> Result<JobExecution, Error> {
        let found = self.installation.repository.execution(&self.id, id).await?;
        found.ok_or_else(|| no_execution(id))
    }

    /// Executions as lists show them, newest first. What a filter lets through is in memory at once: whoever wants
    /// all of them asks page by page, with [`ExecutionFilter::before`].
    pub async fn executions(&self, filter: &ExecutionFilter) -> Result<Listing<ExecutionSummary>, Error> {
        Ok(self.installation.repository.executions(&self.id, filter).await?)
    }

    /// What is left of an execution that is damaged.
    pub async fn remains(&self, id: JobExecutionId) -> Result<Remains, Error> {
        self.installation.repository.remains(&self.id, id).await?.ok_or_else(|| no_execution(id))
    }

    /// The stored warnings of an execution, in the order they came, and then those of parts that are not put
    /// together yet.
    pub async fn warnings(&self, id: JobExecutionId) -> Result<Listing<Warning>, Error> {
        let repository = &self.installation.repository;
        let steps = match self.execution(id).await {
            Ok(execution) => execution.steps,
            // Its warnings may be whole.
            Err(Error::Repository(RepositoryError::Corrupt { .. })) => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut warnings = repository.warnings(&self.id, id).await?;
        for step in &steps {
            // Once a step has put its parts together, their warnings are its own.
            if step.checkpoint.is_some() {
                if step.warning_count > 0 && warnings.iter().all(|warning| warning.step != step.name) {
                    warnings.items.extend(self.merged_before(id, step).await?);
                }
                continue;
            }
            let of_parts = warnings_of_parts(&**repository, &self.id, id, step.position).await?;
            warnings.items.extend(of_parts.items.into_values().flatten());
            warnings.damaged.extend(of_parts.damaged);
        }
        Ok(warnings)
    }

    /// The warnings of a step that an earlier execution had begun to put together from its parts.
    async fn merged_before(&self, id: JobExecutionId, step: &StepExecution) -> Result<Vec<Warning>, Error> {
        let repository = &self.installation.repository;
        if repository.partition_states(&self.id, id, step.position).await?.is_empty() {
            return Ok(Vec::new());
        }
        for ancestor in repository.ancestry(&self.id, id).await?.into_iter().skip(1) {
            let mut stored = repository.warnings(&self.id, ancestor.id).await?.items;
            stored.retain(|warning| warning.step == step.name);
            if !stored.is_empty() {
                return Ok(stored);
            }
        }
        Ok(Vec::new())
    }

    /// The parts of an execution's steps, by step and number; none for most.
    pub async fn partitions(&self, id: JobExecutionId) -> Result<Vec<JobExecution>, Error> {
        Ok(self.installation.repository.partitions(&self.id, id).await?)
    }

    /// The log of an execution.
    pub async fn log(&self, id: JobExecutionId) -> Result<Vec<LogLine>, Error> {
        // A damaged one has a log, too.
        if self.installation.repository.ancestry(&self.id, id).await?.is_empty() {
            return Err(no_execution(id));
        }
        if let Some(shared) = self.installation.data.shared() {
            let log = shared.wait(move |shared| shared.log(id)).await?;
            return Ok(execution_log::parse(&log));
        }
        let path = self.installation.data.execution(id);
        execution_log::read(&path).map_err(|source| Error::DataFolder {
            path,
            action: "cannot be read",
            source,
        })
    }

    /// Asks for an execution to be stopped, wherever it runs.
    pub async fn stop_execution(&self, id: JobExecutionId) -> Result<StopRequest, Error> {
        Ok(self.installation.repository.request_stop(&self.id, id, &self.by()?).await?)
    }

    /// Gives up an execution that will not be restarted, and removes what it has left of outputs that it has not
    /// completed. Returns what could not be removed.
    pub async fn abandon_execution(&self, id: JobExecutionId) -> Result<Vec<NotRemoved>, Error> {
        self.installation.repository.abandon(&self.id, id, &self.by()?).await?;
        let mut removal = Removal::of(self);
        removal.remove(id).await;
        Ok(removal.finish())
    }

    /// Deletes executions that have ended, but never the latest COMPLETED one of an instance, and what they have left
    /// of outputs that they have not completed. A few hundred at a time, so that others write in between; what is left
    /// when it breaks off is there for the next time.
    pub async fn purge_executions(&self, purge: Purge) -> Result<Purged, Error> {
        let by = self.by()?;
        let is_by_age = purge.older_than_days > 0;
        let filter = ExecutionFilter {
            instance: purge.instance,
            status: purge.status,
            created_before: is_by_age.then(|| days_before(by.at, purge.older_than_days)),
            limit: PURGED_TOGETHER,
            ..ExecutionFilter::default()
        };
        let (mut purged, mut removal) = (Vec::new(), Removal::of(self));
        loop {
            // Files go first: nobody would find those of an execution that is gone.
            let going = self.installation.repository.purgeable(&self.id, &filter).await?;
            let without_outputs = self.purgeable_without_outputs(&filter).await?;
            for Purgeable { id, partitions } in &going {
                if without_outputs.contains(id) {
                    removal.remove(*id).await;
                }
                self.remove_files(partitions.iter().chain([id])).await?;
            }
            let gone = self.installation.repository.purge(&self.id, &filter, &by).await?;
            // One may have ended just now.
            let is_new = |id: &&JobExecutionId| going.iter().all(|going| going.id != **id);
            self.remove_files(gone.iter().filter(is_new)).await?;
            if gone.is_empty() {
                return Ok(Purged { executions: purged, not_removed: removal.finish() });
            }
            purged.extend(gone);
        }
    }

    /// Those that may be purged next and have ended without having completed.
    async fn purgeable_without_outputs(
        &self,
        filter: &ExecutionFilter,
    ) -> Result<HashSet<JobExecutionId>, Error> {
        let mut found = HashSet::new();
        for status in [BatchStatus::Stopped, BatchStatus::Failed, BatchStatus::Abandoned] {
            if filter.status.is_none_or(|wanted| wanted == status) {
                let filter = ExecutionFilter { status: Some(status), ..filter.clone() };
                let of_status = self.installation.repository.purgeable(&self.id, &filter).await?;
                found.extend(of_status.into_iter().map(|purgeable| purgeable.id));
            }
        }
        Ok(found)
    }

    async fn remove_files(&self, of: impl Iterator<Item = &JobExecutionId>) -> Result<(), Error> {
        for id in of {
            self.installation.data.remove_execution_everywhere(*id).await?;
        }
        Ok(())
    }
}

/// How many executions a purge deletes in one transaction: it takes some tens of milliseconds.
const PURGED_TOGETHER: u32 = 500;

fn no_execution(id: JobExecutionId) -> Error {
    Error::not_found("execution", &id.to_string(), None, Remedy::List { what: Listed::Executions })
}

/// The moment so many days before another one.
pub(super) fn days_before(moment: Timestamp, days: u32) -> Timestamp {
    Timestamp(moment.0.saturating_sub(i64::from(days) * 24 * 3_600_000))
}

impl std::fmt::Debug for RunOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunOptions").field("overrides", &self.overrides).finish_non_exhaustive()
    }
}
