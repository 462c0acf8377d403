//! Executions: how to run, follow, stop, restart, abandon and purge them.

use std::collections::HashSet;
use std::path::PathBuf;

use serde_json::Value;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::status::BatchStatus;
use stepbox_batch::execution::{
    ExecutionFilter, ExecutionSummary, JobExecution, NewJobExecution, PauseRequest, Purgeable, Remains,
    StepExecution, StopRequest, Warning,
};
use stepbox_batch::instance_form::Mode;
use stepbox_batch::log::LogLine;
use stepbox_batch::name::{InstanceCode, JobExecutionId, StepName};
use stepbox_batch::ports::{Listing, RepositoryError};
use tokio::sync::watch;

use super::Tenant;
use super::left_over::{NotRemoved, Removal};
use crate::error::Error;
use crate::execution_log::{self, LogListener};
use crate::job_lifecycle::{
    self, BegunRun, First, Progress, RestartOptions, RunNames, refuse_unless_interrupted, warnings_of_parts,
};
use crate::rejected_file::RejectedFile;

/// How a run differs from its instance.
#[derive(Clone, Default)]
pub struct RunOptions {
    /// Parameters for this run only, by top-level key.
    ///
    /// A JSON object; `None` changes nothing.
    pub overrides: Option<Value>,
    /// Receives each message of the log when it is logged.
    pub log: Option<LogListener>,
}

/// Which executions to purge.
#[derive(Debug, Clone, Default)]
pub struct Purge {
    /// Only executions of this instance.
    pub instance: Option<InstanceCode>,
    /// Only executions with this status.
    pub status: Option<BatchStatus>,
    /// Only executions that were created more than this number of days ago; 0 means all.
    pub older_than_days: u32,
}

/// The result of a purge.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Purged {
    /// The deleted executions.
    pub executions: Vec<JobExecutionId>,
    /// Unfinished outputs of these executions that could not be removed.
    pub not_removed: Vec<NotRemoved>,
}

/// A run in this process.
///
/// If this value is dropped, the run continues.
#[derive(Debug)]
pub struct Running {
    begun: BegunRun,
    tenant: Tenant,
}

impl Running {
    /// The id of the execution.
    pub fn id(&self) -> JobExecutionId {
        self.begun.id
    }

    /// The progress of the run, with all later updates.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.begun.progress.clone()
    }

    /// Requests a stop of the run.
    pub async fn stop(&self) -> Result<StopRequest, Error> {
        self.tenant.stop_execution(self.id()).await
    }

    /// Asks the run to pause at its next checkpoint.
    ///
    /// Its status is then PAUSED; [`Tenant::resume_execution`] continues it.
    pub fn pause(&self) {
        self.begun.run.request_pause();
    }

    /// Waits for the end of the run, good or bad.
    ///
    /// A failed step is part of the execution and is not an error.
    pub async fn wait(&mut self) -> Result<JobExecution, Error> {
        self.begun.wait().await
    }
}

impl Tenant {
    /// Runs an instance now, in this process.
    pub async fn run(&self, code: &str, options: RunOptions) -> Result<Running, Error> {
        let (new, label) = self.new_execution(code, options.overrides).await?;
        self.start(&new, None, label, options.log).await
    }

    /// A new execution of an instance, to run or to queue, and the label of the instance.
    pub(super) async fn new_execution(
        &self,
        code: &str,
        overrides: Option<Value>,
    ) -> Result<(NewJobExecution, String), Error> {
        let instance = self.stored_instance(code).await?;
        let job = self.job(instance.job.as_str()).await?;
        if let Some(overrides) = &overrides {
            let mut before = job.defaults();
            before.extend(instance.raw_parameters.as_object().cloned().unwrap_or_default());
            let before = Value::Object(before);
            let given = (instance.code.as_str(), overrides, &before);
            self.refuse_guarded(&job, Mode::Launch, given, &[])?;
        }
        let new = job_lifecycle::new_execution(self.here(), self.by()?, job.clone(), &instance, overrides);
        let new = new.map_err(|error| self.veiled(&job, error))?;
        self.check_files(&new.parameters).await?;
        Ok((new, instance.label))
    }

    /// Continues an execution that is PAUSED.
    ///
    /// It stays the same execution and continues from its checkpoint.
    pub async fn resume_execution(
        &self,
        id: JobExecutionId,
        log: Option<LogListener>,
    ) -> Result<Running, Error> {
        self.refuse_unless_active()?;
        let paused = self.stored_execution(id).await?;
        if paused.status != BatchStatus::Paused {
            let reason = "only an execution that is PAUSED can be resumed";
            return Err(RepositoryError::WrongStatus { id, status: paused.status, reason }.into());
        }
        let job_label = self.stored_instance(paused.instance.as_str()).await?.label;
        let first = Some(job_lifecycle::first_of(self.here(), &paused).await?);
        let names = RunNames { first, job_label, listener: log };
        let begun = job_lifecycle::resume(self.here(), &paused, names, &self.by()?).await?;
        Ok(Running { begun, tenant: self.clone() })
    }

    /// Continues an execution that was stopped or failed, as a new execution.
    ///
    /// Completed steps are not run again, unless their settings require it. The interrupted step resumes from
    /// its checkpoint.
    pub async fn restart_execution(
        &self,
        id: JobExecutionId,
        options: RestartOptions,
    ) -> Result<Running, Error> {
        let earlier = self.stored_execution(id).await?;
        let label = self.stored_instance(earlier.instance.as_str()).await?.label;
        let first = job_lifecycle::first_of(self.here(), &earlier).await?;
        let new = self.new_restart(earlier, &options).await?;
        self.start(&new, Some(first), label, options.log).await
    }

    /// A new execution that continues another one, to run or to queue.
    pub(super) async fn new_restart(
        &self,
        earlier: JobExecution,
        options: &RestartOptions,
    ) -> Result<NewJobExecution, Error> {
        refuse_unless_interrupted(&earlier)?;
        let installed = match options.needs_installed_job() {
            true => Some(self.job(earlier.job.name.as_str()).await?),
            false => None,
        };
        self.check_files(&earlier.parameters).await?;
        job_lifecycle::new_restart(self.here(), self.by()?, earlier, options, installed)
    }

    pub(super) async fn start(
        &self,
        new: &NewJobExecution,
        first: Option<First>,
        job_label: String,
        log: Option<LogListener>,
    ) -> Result<Running, Error> {
        self.refuse_unless_active()?;
        let names = RunNames { first, job_label, listener: log };
        let begun = job_lifecycle::run_now(self.here(), new, names).await?;
        Ok(Running { begun, tenant: self.clone() })
    }

    /// The files of the items that an execution's steps skipped, by step.
    ///
    /// The format is CSV like the input, or JSON Lines, with the original columns and the reason for each
    /// item. A step without skipped items has no file.
    pub async fn rejected_items(&self, id: JobExecutionId) -> Result<Vec<(StepName, PathBuf)>, Error> {
        let execution = self.stored_execution(id).await?;
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

    /// Returns an execution with its steps.
    pub async fn execution(&self, id: JobExecutionId) -> Result<JobExecution, Error> {
        self.seen_execution(self.stored_execution(id).await?).await
    }

    /// An execution with all its parameters, for what is done with it here.
    pub(super) async fn stored_execution(&self, id: JobExecutionId) -> Result<JobExecution, Error> {
        let found = self.installation.repository.execution(&self.id, id).await?;
        found.ok_or_else(|| Error::no_execution(id))
    }

    /// Returns executions as short entries for lists, newest first.
    ///
    /// All entries that match the filter are in memory at once. To read all executions, read page by page,
    /// with [`ExecutionFilter::before`].
    pub async fn executions(&self, filter: &ExecutionFilter) -> Result<Listing<ExecutionSummary>, Error> {
        self.seen_summaries(self.installation.repository.executions(&self.id, filter).await?).await
    }

    /// The readable data of a damaged execution.
    pub async fn remains(&self, id: JobExecutionId) -> Result<Remains, Error> {
        let remains = self.installation.repository.remains(&self.id, id).await?;
        remains.map(|remains| self.seen_remains(remains)).ok_or_else(|| Error::no_execution(id))
    }

    /// The stored warnings of an execution, in their order.
    ///
    /// After them come the warnings of parts that are not merged yet.
    pub async fn warnings(&self, id: JobExecutionId) -> Result<Listing<Warning>, Error> {
        let repository = &self.installation.repository;
        let steps = match self.stored_execution(id).await {
            Ok(execution) => execution.steps,
            // The warnings of a damaged execution may be undamaged.
            Err(Error::Repository(RepositoryError::Corrupt { .. })) => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut warnings = repository.warnings(&self.id, id).await?;
        for step in &steps {
            // After a step has merged its parts, their warnings are the step's own.
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

    /// The warnings of a step whose merge an earlier execution had begun.
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

    /// The parts of an execution's steps, by step and number.
    ///
    /// Most executions have no parts.
    pub async fn partitions(&self, id: JobExecutionId) -> Result<Vec<JobExecution>, Error> {
        self.seen_executions(self.stored_partitions(id).await?).await
    }

    /// The parts with all their parameters, for what is done with them here.
    pub(super) async fn stored_partitions(&self, id: JobExecutionId) -> Result<Vec<JobExecution>, Error> {
        Ok(self.installation.repository.partitions(&self.id, id).await?)
    }

    /// The log of an execution.
    pub async fn log(&self, id: JobExecutionId) -> Result<Vec<LogLine>, Error> {
        // A damaged execution has a log too.
        if self.installation.repository.ancestry(&self.id, id).await?.is_empty() {
            return Err(Error::no_execution(id));
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

    /// Requests a stop of an execution, wherever it runs.
    pub async fn stop_execution(&self, id: JobExecutionId) -> Result<StopRequest, Error> {
        Ok(self.installation.repository.request_stop(&self.id, id, &self.by()?).await?)
    }

    /// Requests a pause of an execution, wherever it runs.
    ///
    /// A worker that has it makes a checkpoint, and the execution is PAUSED then. An execution that no worker has is
    /// PAUSED at once: it does not begin before it is resumed. The parts of its steps pause with it.
    /// [`resume_execution`](Self::resume_execution) continues it in this process,
    /// [`publish_resume`](Self::publish_resume) with any worker.
    pub async fn pause_execution(&self, id: JobExecutionId) -> Result<PauseRequest, Error> {
        Ok(self.installation.repository.request_pause(&self.id, id, &self.by()?).await?)
    }

    /// Abandons an execution that will not be restarted, and removes its unfinished outputs.
    ///
    /// Returns the outputs that could not be removed.
    pub async fn abandon_execution(&self, id: JobExecutionId) -> Result<Vec<NotRemoved>, Error> {
        self.installation.repository.abandon(&self.id, id, &self.by()?).await?;
        let mut removal = Removal::of(self);
        removal.remove(id).await;
        Ok(removal.finish())
    }

    /// Deletes executions that have ended, and their unfinished outputs.
    ///
    /// The latest COMPLETED execution of an instance is never deleted. A few hundred are deleted at a time,
    /// so that other writers are not blocked. If the purge is interrupted, the next purge deletes the rest.
    pub async fn purge_executions(&self, purge: Purge) -> Result<Purged, Error> {
        let by = self.by()?;
        let is_by_age = purge.older_than_days > 0;
        let filter = ExecutionFilter {
            instance: purge.instance,
            statuses: purge.status.into_iter().collect(),
            created_before: is_by_age.then(|| days_before(by.at, purge.older_than_days)),
            limit: PURGED_TOGETHER,
            ..ExecutionFilter::default()
        };
        let (mut purged, mut removal) = (Vec::new(), Removal::of(self));
        loop {
            // The files are removed first, because they could not be found after their execution is deleted.
            let going = self.installation.repository.purgeable(&self.id, &filter).await?;
            let without_outputs = self.purgeable_without_outputs(&filter).await?;
            for Purgeable { id, partitions } in &going {
                if without_outputs.contains(id) {
                    removal.remove(*id).await;
                }
                self.remove_files(partitions.iter().chain([id])).await?;
            }
            let gone = self.installation.repository.purge(&self.id, &filter, &by).await?;
            // An execution may have ended just now.
            let is_new = |id: &&JobExecutionId| going.iter().all(|going| going.id != **id);
            self.remove_files(gone.iter().filter(is_new)).await?;
            if gone.is_empty() {
                return Ok(Purged { executions: purged, not_removed: removal.finish() });
            }
            purged.extend(gone);
        }
    }

    /// The executions that may be purged next and have ended without completing.
    async fn purgeable_without_outputs(
        &self,
        filter: &ExecutionFilter,
    ) -> Result<HashSet<JobExecutionId>, Error> {
        let mut found = HashSet::new();
        for status in [BatchStatus::Stopped, BatchStatus::Failed, BatchStatus::Abandoned] {
            if filter.statuses.is_empty() || filter.statuses.contains(&status) {
                let filter = ExecutionFilter { statuses: vec![status], ..filter.clone() };
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

/// How many executions a purge deletes in one transaction. Such a transaction takes some tens of
/// milliseconds.
const PURGED_TOGETHER: u32 = 500;

/// The moment this number of days before another moment.
pub(crate) fn days_before(moment: Timestamp, days: u32) -> Timestamp {
    Timestamp(moment.0.saturating_sub(i64::from(days) * 24 * 3_600_000))
}

impl std::fmt::Debug for RunOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunOptions").field("overrides", &self.overrides).finish_non_exhaustive()
    }
}
