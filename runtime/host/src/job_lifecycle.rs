//! A job's life: submit → claim → run its steps → finish.
//!
//! The whole story is in this file. Each part of it has a file of its own:
//!
//! - `submit`: the first state of an execution, and how the store accepts it; `restart`: the same for an
//!   execution that continues another one;
//! - `claim`: the lease under which this process runs an execution;
//! - `job_run`: a run in this process;
//! - `flow`: which step follows which; `step`: one step from its beginning to its end; `work`: its elements
//!   at work; `parts`: a step whose input is split; `earlier_outputs`: the outputs of earlier steps;
//! - `heartbeat`: what happens while the steps work: requests are read, the lease is renewed, progress is
//!   stored;
//! - `finish`: the end, good or bad.
//!
//! A run makes as few durable commits as possible: one that accepts and claims it, one that begins the first
//! step, and one that ends the last step and the job together.
//!
//! Each step works on its own thread, so elements may block. The job's life itself only waits, checks for
//! requests and renews the lease.

mod claim;
mod earlier_outputs;
mod finish;
mod flow;
mod heartbeat;
mod job_run;
mod parts;
mod restart;
mod step;
mod submit;
mod work;

use stepbox_batch::actor::Actor;
use stepbox_batch::execution::{Claimed, JobExecution, Lease, NewJobExecution};
use stepbox_batch::log::LogLevel;
use stepbox_batch::run_context::RunInfo;
use tokio::sync::watch;

pub use job_run::Progress;
pub use restart::RestartOptions;

pub(crate) use job_run::BegunRun;
pub(crate) use parts::warnings_of_parts;
pub(crate) use restart::{carried_over, new_restart, refuse_unless_interrupted};
pub(crate) use submit::{First, effective, first_of, new_execution, published, submit};

use crate::error::Error;
use crate::execution_log::LogListener;
use crate::installation::TenantRef;
use crate::tenants::{RunningPlace, TenantStanding};
use claim::{claim, submit_and_claim};
use job_run::{JobRun, RunSetup};

/// The name of a run, and the listener of its log.
pub(crate) struct RunNames {
    /// The first execution in a chain of restarts; `None` if this is the first one.
    pub(crate) first: Option<First>,
    /// The label of the instance.
    pub(crate) job_label: String,
    pub(crate) listener: Option<LogListener>,
}

/// Submits an execution, claims it in the same transaction, and begins to run it in this process.
pub(crate) async fn run_now(
    here: TenantRef<'_>,
    new: &NewJobExecution,
    names: RunNames,
) -> Result<BegunRun, Error> {
    let place = here.state.running_place()?;
    let claimed = submit_and_claim(here.installation, new).await?;
    Ok(begin(here, claimed, Some(place), names))
}

/// Claims an execution that is PAUSED, and begins to run it in this process from its checkpoint.
pub(crate) async fn resume(
    here: TenantRef<'_>,
    paused: &JobExecution,
    names: RunNames,
    by: &Actor,
) -> Result<BegunRun, Error> {
    let place = here.state.running_place()?;
    let claimed = claim(here, paused.id, by).await?;
    Ok(begin(here, claimed, Some(place), names))
}

/// Begins to run an execution that a worker has claimed from the queue.
pub(crate) async fn run_claimed(here: TenantRef<'_>, claimed: Claimed) -> Result<BegunRun, Error> {
    let repository = &here.installation.repository;
    let execution = &claimed.execution;
    // A part has the name of its whole.
    let first = match execution.partition {
        Some(partition) => {
            let whole = repository.execution(here.id, partition.of).await?;
            let whole = whole.ok_or_else(|| Error::no_execution(partition.of))?;
            Some(first_of(here, &whole).await?)
        }
        None if execution.restart_of.is_some() => Some(first_of(here, execution).await?),
        None => None,
    };
    let instance = repository.instance(here.id, &execution.instance).await?;
    let job_label = instance.map_or_else(|| execution.instance.to_string(), |instance| instance.label);
    Ok(begin(here, claimed, None, RunNames { first, job_label, listener: None }))
}

/// Begins to run a claimed execution. An execution from the queue has no `place`, because the store counts it
/// among the tenant's running executions.
fn begin(here: TenantRef<'_>, claimed: Claimed, place: Option<RunningPlace>, names: RunNames) -> BegunRun {
    let RunNames { first, job_label, listener } = names;
    let id = claimed.execution.id;
    let First { id: first, started_at } = first.unwrap_or(First { id, started_at: None });
    let started_at = started_at.or(claimed.execution.started_at);
    let started_at = started_at.unwrap_or_else(|| here.installation.clock.now());
    let info = RunInfo { id: first, job_label, started_at };
    let (sender, progress) = watch::channel(Progress::default());
    let setup = RunSetup { info, listener, progress: sender, is_queued: place.is_none() };
    let life = JobRun::new(here, claimed, setup);
    let run = life.run_context();
    let meters = here.state.meters.clone();
    let runs_here = here.state.runs_here(id, &run);
    if here.state.standing() == TenantStanding::Removed {
        // The tenant was removed after this execution was claimed.
        run.request_pause();
    }
    let task = tokio::spawn(async move {
        let (_place, _runs_here) = (place, runs_here);
        meters.attend(life.run()).await
    });
    BegunRun::new(id, run, progress, task)
}

impl JobRun {
    /// Runs the steps, and finishes. Returns the execution as it was last stored.
    async fn run(mut self) -> Result<JobExecution, Error> {
        self.begin();
        let ended = match self.folder_error.take() {
            None => self.attend(self.run_steps()).await.map_err(Error::from),
            Some(error) => Err(error),
        };
        let finished = match ended {
            Ok((status, last)) => self.finish(status, last).await,
            Err(error) => self.give_up(error).await,
        };
        // An execution that did not reach its end here belongs, or will belong, to another worker, and so
        // does its folder.
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
}
