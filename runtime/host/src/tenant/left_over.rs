//! Removes the unfinished files and objects of executions that did not complete, after no execution can
//! continue with them any more.

use std::collections::{BTreeMap, HashMap, HashSet};

use stepbox_batch::execution::status::BatchStatus;
use stepbox_batch::execution::{ExecutionFilter, JobExecution, StepExecution};
use stepbox_batch::job::{ElementSource, Step, StepKind};
use stepbox_batch::name::{InstanceCode, JobExecutionId};
use stepbox_batch::run_context::RunInfo;
use stepbox_batch::template::Values;
use stepbox_connectors::LeftOver;

use super::Tenant;
use crate::error::Error;
use crate::job_lifecycle::{First, first_of};
use crate::step_elements::expand;

/// How many executions are read at a time to find those that were restarted.
const PAGE: u32 = 500;

/// An output that could not be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotRemoved {
    /// The execution that has left it.
    pub execution: JobExecutionId,
    /// The path of the output; empty if the path could not be found out.
    pub path: String,
    /// The reason.
    pub reason: String,
}

/// Removes the unfinished outputs of several executions, one after the other.
pub(super) struct Removal<'a> {
    tenant: &'a Tenant,
    /// The executions of an instance that other executions continue.
    restarted: HashMap<InstanceCode, HashSet<JobExecutionId>>,
    /// The storages that have failed, with the reason. So a failed storage costs many seconds once, and not
    /// once for each execution.
    unreachable: BTreeMap<String, String>,
    not_removed: Vec<NotRemoved>,
}

impl<'a> Removal<'a> {
    pub(super) fn of(tenant: &'a Tenant) -> Self {
        let (restarted, unreachable) = (HashMap::new(), BTreeMap::new());
        Self { tenant, restarted, unreachable, not_removed: Vec::new() }
    }

    /// The outputs that could not be removed.
    pub(super) fn finish(self) -> Vec<NotRemoved> {
        self.not_removed
    }

    /// Removes the unfinished outputs of an execution, if no execution can continue with them and the policy
    /// still allows their place.
    pub(super) async fn remove(&mut self, id: JobExecutionId) {
        let mut failed = |path: &str, reason: String| {
            self.not_removed.push(NotRemoved { execution: id, path: path.to_owned(), reason });
        };
        let (beginning, found) = match self.tenant.left_over(id, &mut self.restarted).await {
            Ok(found) if found.1.is_empty() => return,
            Ok(found) => found,
            Err(error) => return failed("", error.to_string()),
        };
        let reach = self.tenant.policy().reach(&self.tenant.installation.wall);
        let reach = beginning.iter().fold(reach, |reach, beginning| reach.beginning_in(beginning));
        for left_over in found {
            let (path, storage) = (left_over.path().to_owned(), left_over.storage().map(str::to_owned));
            if let Some(reason) = storage.as_ref().and_then(|storage| self.unreachable.get(storage)) {
                failed(&path, reason.clone());
                continue;
            }
            let reach = reach.clone();
            let removed = tokio::task::spawn_blocking(move || left_over.remove(&reach)).await;
            let reason = match removed {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => error.to_string(),
                Err(error) => error.to_string(),
            };
            failed(&path, reason.clone());
            self.unreachable.extend(storage.map(|storage| (storage, reason)));
        }
    }
}

impl Tenant {
    /// The folder where the relative paths of an execution start, and its unfinished outputs; empty if an
    /// execution may continue with them.
    async fn left_over(
        &self,
        id: JobExecutionId,
        restarted: &mut HashMap<InstanceCode, HashSet<JobExecutionId>>,
    ) -> Result<(Option<String>, Vec<LeftOver>), Error> {
        let execution = self.stored_execution(id).await?;
        let has_failed =
            [BatchStatus::Stopped, BatchStatus::Failed, BatchStatus::Abandoned].contains(&execution.status);
        if !has_failed || execution.partition.is_some() || execution.started_at.is_none() {
            return Ok(Default::default());
        }
        let unfinished = |step: &&StepExecution| step.status != BatchStatus::Completed;
        if !execution.steps.iter().any(|step| unfinished(&step)) {
            return Ok(Default::default());
        }
        if self.restarted(&execution.instance, restarted).await?.contains(&id) {
            return Ok(Default::default());
        }
        let run = self.run_info(&execution).await?;
        let parts = self.stored_partitions(id).await?;
        let of_step = |step: &StepExecution| {
            let definition = execution.job.steps.get(step.position as usize)?;
            self.left_over_of(step, &parts, (definition, &execution, run.as_ref()))
        };
        let found = execution.steps.iter().filter(unfinished).filter_map(of_step).collect();
        Ok((execution.job.folder.clone(), found))
    }

    fn left_over_of(
        &self,
        step: &StepExecution,
        parts: &[JobExecution],
        (definition, execution, run): (&Step, &JobExecution, Option<&RunInfo>),
    ) -> Option<LeftOver> {
        let StepKind::Item { writer, .. } = &definition.kind else { return None };
        let is_own = !self.installation.native.writers.contains_key(writer.name());
        if !matches!(writer.source, ElementSource::Native(_)) || !is_own {
            return None;
        }
        let of_step = |part: &&StepExecution| part.position == step.position;
        let steps = [step].into_iter().chain(parts.iter().flat_map(|part| &part.steps).filter(of_step));
        let states = steps.filter_map(|step| step.checkpoint.as_ref().map(|found| found.writer.as_slice()));
        LeftOver::of_states(states).or_else(|| {
            let options = expand(writer, Values::of(&execution.parameters), true).ok()?;
            LeftOver::of_options(&options, run?)
        })
    }

    /// The values in the names of its outputs; `None` if its instance was deleted, because the label is then
    /// unknown.
    async fn run_info(&self, execution: &JobExecution) -> Result<Option<RunInfo>, Error> {
        let First { id, started_at } = first_of(self.here(), execution).await?;
        let job_label = match self.stored_instance(execution.instance.as_str()).await {
            Ok(instance) => instance.label,
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(started_at.map(|started_at| RunInfo { id, job_label, started_at }))
    }

    /// The executions of an instance that other executions continue.
    async fn restarted<'a>(
        &self,
        instance: &InstanceCode,
        known: &'a mut HashMap<InstanceCode, HashSet<JobExecutionId>>,
    ) -> Result<&'a HashSet<JobExecutionId>, Error> {
        let mut restarted = HashSet::new();
        let mut before = (!known.contains_key(instance)).then_some(None);
        while let Some(before_id) = before {
            let instance = Some(instance.clone());
            let filter = ExecutionFilter { instance, before: before_id, limit: PAGE, ..Default::default() };
            let page = self.executions(&filter).await?.items;
            restarted.extend(page.iter().filter_map(|execution| execution.restart_of));
            before = page.last().map(|last| Some(last.id)).filter(|_| page.len() == PAGE as usize);
        }
        Ok(known.entry(instance.clone()).or_insert(restarted))
    }
}
