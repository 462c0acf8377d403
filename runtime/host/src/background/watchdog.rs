//! The watchdog: takes over the executions that dead workers have left behind.
//!
//! A worker of this machine is dead when its process no longer holds its lock. The watchdog knows workers of
//! other machines only by their leases: such a worker is dead when its lease has expired. The store decides
//! what happens to each execution; see `Fate`.

use std::sync::Arc;

use async_trait::async_trait;
use stepbox_batch::execution::{Fate, Rescued, Whose};
use stepbox_batch::ports::RepositoryError;
use tokio::task::spawn_blocking;

use super::service::Background;
use crate::installation::Installation;
use crate::store_clock::{ClockStep, STEP_MS};
use crate::worker::event::WorkerEvent;
use crate::worker_lock::WorkerLock;

/// Takes over lost executions, as a service of the worker.
pub(crate) struct Watchdog {
    installation: Arc<Installation>,
}

impl Watchdog {
    pub(crate) fn new(installation: Arc<Installation>) -> Self {
        Self { installation }
    }
}

#[async_trait]
impl Background for Watchdog {
    /// Removes the working folders of a process that was killed at the very end of an execution. No rescue
    /// finds those executions.
    async fn begin(&self) {
        remove_ended_folders(&self.installation).await;
    }

    async fn tick(&self) -> Result<Vec<WorkerEvent>, RepositoryError> {
        let rescued = rescue_lost(&self.installation).await?;
        Ok(rescued.into_iter().map(WorkerEvent::Rescued).collect())
    }
}

/// Takes over the executions that dead workers left behind before this process started.
///
/// The clock may have been set in the meantime, so leases that end too far in the future are shortened.
/// Living workers of this machine are left alone: they send their own heartbeats.
pub(crate) async fn begin_with_what_was_lost(installation: &Installation) -> Result<(), RepositoryError> {
    let mut whose = Whose::All;
    if installation.store_clock.is_some() {
        // The clocks of two machines agree to the millisecond only by chance.
        installation.repository.cut_leases(installation.clock.now().plus_ms(STEP_MS)).await?;
        if installation.repository.store_now().await?.is_none() {
            let (living, _) = WorkerLock::all(&installation.data.workers()).unwrap_or_default();
            whose = Whose::AllBut(living);
        }
    }
    bury(installation).await?;
    rescue(installation, whose).await.map(drop)
}

/// Takes over the executions that dead workers have left behind: those of this machine as soon as the workers
/// are dead, those of other machines when their leases have expired. Asks the store for the time directly
/// before.
///
/// If the store's clock was set, no lease says whether its worker is alive until the worker has had time for
/// a heartbeat.
async fn rescue_lost(installation: &Installation) -> Result<Vec<Rescued>, RepositoryError> {
    let mut is_quiet = false;
    if let Some(clock) = &installation.store_clock {
        if installation.look_at_clock().await? == Some(ClockStep::Back) {
            installation.repository.cut_leases(installation.clock.now()).await?;
        }
        is_quiet = clock.is_quiet();
    }
    let dead = bury(installation).await?;
    match is_quiet {
        true if dead.is_empty() => Ok(Vec::new()),
        true => rescue(installation, Whose::Only(dead)).await,
        false => rescue(installation, Whose::All).await,
    }
}

/// Ends the leases of dead workers of this machine, and removes the workers. Returns their names.
async fn bury(installation: &Installation) -> Result<Vec<String>, RepositoryError> {
    let (workers, repository) = (installation.data.workers(), &installation.repository);
    // If the folder cannot be read, the leases give the same answer, only later.
    let dead = WorkerLock::dead(&workers).unwrap_or_default();
    if !dead.is_empty() {
        remove_ended_folders(installation).await;
    }
    for dead in &dead {
        repository.expire_leases(dead, installation.clock.now()).await?;
        repository.forget_worker(dead).await?;
        WorkerLock::forget(&workers, dead);
    }
    Ok(dead)
}

async fn rescue(installation: &Installation, whose: Whose) -> Result<Vec<Rescued>, RepositoryError> {
    let rescued = installation.repository.rescue_lost_of(installation.clock.now(), &whose).await?;
    for rescued in &rescued {
        installation.metrics.rescued(rescued);
        if matches!(rescued.fate, Fate::Stopped | Fate::Failed) {
            // The execution has ended, even if its folder cannot be removed.
            let _ = installation.data.end_execution(rescued.id);
        }
    }
    Ok(rescued)
}

/// Removes the working folders of executions that have ended. A process leaves them behind if it is killed
/// after the last save of an execution. An execution that has ended never runs again, so no folder of a
/// running execution is removed.
async fn remove_ended_folders(installation: &Installation) {
    let data = installation.data.clone();
    // A folder that cannot be read now stays until the next time.
    let found = spawn_blocking(move || data.with_work()).await;
    for id in found.ok().and_then(Result::ok).unwrap_or_default() {
        for (tenant, _) in installation.tenants.all() {
            let execution = installation.repository.execution(&tenant, id).await;
            if matches!(execution, Ok(Some(execution)) if execution.status.has_ended()) {
                let _ = installation.data.end_execution(id);
            }
        }
    }
}
