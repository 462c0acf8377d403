//! The first state of an execution that continues another one: as the other one was, or with changes that
//! help it to continue.

use std::collections::HashMap;

use stepbox_batch::actor::Actor;
use stepbox_batch::execution::status::{BatchStatus, ExitStatus};
use stepbox_batch::execution::{JobExecution, NewJobExecution, StepExecution};
use stepbox_batch::job::{Element, ElementSource, Job, Rerun, Step, StepKind};
use stepbox_batch::name::JobExecutionId;
use stepbox_batch::ports::RepositoryError;

use crate::error::Error;
use crate::execution_log::LogListener;
use crate::installation::TenantRef;
use crate::outputs::check_outputs;

/// How an execution is continued.
///
/// The differences from the earlier execution are in the audit trail and in the log.
#[derive(Clone, Default)]
pub struct RestartOptions {
    /// Whether the steps run with the components that are installed now, even if the interrupted execution
    /// had other components with the same names.
    pub newest_components: bool,
    /// Whether the execution uses the job as it is installed now: its limits, its settings of skip and retry,
    /// its grants, and its components.
    ///
    /// The steps must be the same. A step that continues from a checkpoint must also have the same elements
    /// and options.
    pub newest_job: bool,
    /// How many items the steps that have not completed may skip, instead of the limit in the job;
    /// `Some(None)` is any number.
    pub skip_limit: Option<Option<u64>>,
    /// Whether the interrupted step starts again from the beginning, with its current input.
    ///
    /// It then runs in one piece, even if its input was split. Values of the execution context stay.
    pub anew: bool,
    /// Receives each message of the log when it is logged.
    pub log: Option<LogListener>,
}

impl RestartOptions {
    /// Whether the new execution needs the job as it is installed now.
    pub(crate) fn needs_installed_job(&self) -> bool {
        self.newest_job || self.newest_components
    }

    /// The differences from the earlier execution, in words.
    fn changes(&self) -> Vec<String> {
        let skip_limit = self.skip_limit.map(|limit| match limit {
            Some(limit) => format!("skip limit {limit}"),
            None => "skip limit none".to_owned(),
        });
        let named = [
            (self.newest_job, "newest job"),
            (self.newest_components && !self.newest_job, "newest components"),
            (self.anew, "anew"),
        ];
        let named = named.into_iter().filter(|(is_given, _)| *is_given).map(|(_, name)| name.to_owned());
        named.chain(skip_limit).collect()
    }
}

/// Refuses an execution that was neither stopped nor failed.
pub(crate) fn refuse_unless_interrupted(earlier: &JobExecution) -> Result<(), Error> {
    let (id, status) = (earlier.id, earlier.status);
    let reason = match status {
        BatchStatus::Stopped | BatchStatus::Failed => return Ok(()),
        BatchStatus::Paused => "it rests at its checkpoint; resume it",
        BatchStatus::Completed => "there is nothing left to do; run the instance again",
        BatchStatus::Abandoned => "it was given up; run the instance again",
        _ => "only an execution that is STOPPED or FAILED can be restarted",
    };
    Err(RepositoryError::WrongStatus { id, status, reason }.into())
}

/// A new execution that continues another one, to run or to queue. `installed` is the job as it is installed
/// now, if the options need it.
pub(crate) fn new_restart(
    here: TenantRef<'_>,
    by: Actor,
    earlier: JobExecution,
    options: &RestartOptions,
    installed: Option<Job>,
) -> Result<NewJobExecution, Error> {
    let id = earlier.id;
    let (mut job, mut steps) = (earlier.job, earlier.steps);
    if options.anew {
        begin_anew(&mut job, &mut steps);
    }
    if let Some(installed) = installed {
        job = match options.newest_job {
            true => as_installed(job, installed, &steps),
            false => with_components_of(job, &installed),
        }
        .ok_or(Error::StepsChanged(id.0))?;
    }
    if let Some(limit) = options.skip_limit {
        limit_skips(&mut job, &steps, limit);
    }
    if options.newest_job {
        let reach = here.state.policy().reach(&here.installation.wall);
        check_outputs(&job, &earlier.parameters, &here.installation.native, &reach)?;
    }
    Ok(NewJobExecution {
        tenant: here.id.clone(),
        instance: earlier.instance,
        parameters: earlier.parameters,
        by,
        restart_of: Some(id),
        context: earlier.context,
        steps: steps.into_iter().map(|step| carried_over(id, &job, step)).collect(),
        partition: None,
        queue: None,
        idempotency: None,
        changes: options.changes(),
        job,
    })
}

/// The job with the components of the installed job. `None` if the steps are not the same.
fn with_components_of(mut job: Job, installed: &Job) -> Option<Job> {
    let digests: HashMap<_, _> =
        installed.components().map(|component| (component.name.clone(), component.clone())).collect();
    for element in job.steps.iter_mut().flat_map(|step| step.kind.elements_mut()) {
        if let ElementSource::Component(component) = &mut element.source {
            *component = digests.get(&component.name)?.clone();
        }
    }
    (job.steps == installed.steps).then_some(job)
}

/// The job as it is installed now, for an execution with these steps. `None` if the steps of the job are
/// different, or if a step would continue from a checkpoint that it no longer understands.
fn as_installed(job: Job, installed: Job, steps: &[StepExecution]) -> Option<Job> {
    let are_the_same = job.steps.len() == installed.steps.len()
        && job.steps.iter().zip(&installed.steps).all(|(before, now)| before.name == now.name);
    let goes_on = |step: &&StepExecution| step.status != BatchStatus::Completed && step.checkpoint.is_some();
    let can_go_on = |step: &StepExecution| {
        let position = step.position as usize;
        let both = job.steps.get(position).zip(installed.steps.get(position));
        both.is_some_and(|(before, now)| has_the_same_work(before, now))
    };
    let is_fit = are_the_same && steps.iter().filter(goes_on).all(can_go_on);
    // The folder of relative paths, and whether the execution may be stopped, were decided when the execution
    // was accepted.
    is_fit.then(|| Job { folder: job.folder, stoppable: job.stoppable, ..installed })
}

/// Whether one step understands a checkpoint of the other.
fn has_the_same_work(before: &Step, now: &Step) -> bool {
    let name_and_options = |element: &Element| (element.name().to_owned(), element.options.clone());
    let work = |step: &Step| step.kind.elements().into_iter().map(name_and_options).collect::<Vec<_>>();
    let parts = |step: &Step| match &step.kind {
        StepKind::Item { settings, .. } => settings.partitions,
        StepKind::Tasklet { .. } => 1,
    };
    (work(before), parts(before)) == (work(now), parts(now))
}

/// Forgets the progress of the steps that have not completed. Parts would continue the parts of earlier
/// executions, so the steps run without parts.
fn begin_anew(job: &mut Job, steps: &mut [StepExecution]) {
    for step in steps.iter_mut().filter(|step| step.status != BatchStatus::Completed) {
        step.checkpoint = None;
        if let Some(Step { kind: StepKind::Item { settings, .. }, .. }) =
            job.steps.get_mut(step.position as usize)
        {
            settings.partitions = 1;
        }
    }
}

fn limit_skips(job: &mut Job, steps: &[StepExecution], limit: Option<u64>) {
    let has_completed = |position: usize| {
        let mut found = steps.iter().filter(|step| step.position as usize == position);
        found.any(|step| step.status == BatchStatus::Completed)
    };
    for (position, step) in job.steps.iter_mut().enumerate() {
        if let StepKind::Item { settings, .. } = &mut step.kind
            && !has_completed(position)
        {
            settings.skip.limit = limit;
        }
    }
}

/// A step of an earlier execution, as the next execution begins with it.
pub(crate) fn carried_over(id: JobExecutionId, job: &Job, mut step: StepExecution) -> StepExecution {
    step.usage = Default::default();
    if step.status == BatchStatus::Completed {
        let rerun = job.steps.get(step.position as usize).map_or(Rerun::UnlessCompleted, |step| step.rerun);
        if rerun == Rerun::UnlessCompleted {
            step.carried_from = step.carried_from.or(Some(id));
            return step;
        }
        // The step runs again from its beginning. The checkpoint of its end must not be used to resume it.
        step.checkpoint = None;
    }
    step.status = BatchStatus::Starting;
    step.exit_status = ExitStatus::new(ExitStatus::EXECUTING);
    step.ended_at = None;
    step.errors.clear();
    step.failures.clear();
    if step.checkpoint.is_none() {
        // Nothing of the step was committed, so none of its numbers count.
        step.counts = Default::default();
        step.tracking = Default::default();
        step.summary.clear();
        step.warning_count = 0;
    }
    step
}

impl std::fmt::Debug for RestartOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RestartOptions").field("changes", &self.changes()).finish_non_exhaustive()
    }
}
