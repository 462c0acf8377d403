//! The watchdog: takes up what dead workers have left behind.
//!
//! A worker of this machine is dead once its process has let go of its lock. Other workers are known by their leases
//! alone, once these have run out. The store decides what becomes of each execution; see `Fate`.

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

/// Takes up lost executions on a worker's beat.
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
    /// Removes the folders of a process that was killed at the very end of an execution: no rescue finds those.
    async fn begin(&self) {
        remove_ended_folders(&self.installation).await;
    }

    async fn tick(&self) -> Result<Vec<WorkerEvent>, RepositoryError> {
        let rescued = rescue_lost(&self.installation).await?;
        Ok(rescued.into_iter().map(WorkerEvent::Rescued).collect())
    }
}

/// Takes up what dead workers had left behind before this process began.
///
/// A clock may have been set meanwhile, so leases that were written in the future are cut. Workers of this machine that
/// live are spared: they beat by themselves.
pub(crate) async fn begin_with_what_was_lost(installation: &Installation) -> Result<(), RepositoryError> {
    let mut whose = Whose::All;
    if installation.store_clock.is_some() {
        // Two machines' clocks agree to the millisecond by chance only.
        installation.repository.cut_leases(installation.clock.now().plus_ms(STEP_MS)).await?;
        if installation.repository.store_now().await?.is_none() {
            let (living, _) = WorkerLock::all(&installation.data.workers()).unwrap_or_default();
            whose = Whose::AllBut(living);
        }
    }
    bury(installation).await?;
    rescue(installation, whose).await.map(drop)
}

/// Takes up what dead workers have left behind: those of this machine as soon as they are dead, others once their leases
/// have run out. Asks the store what time it is right before.
///
/// If the store's clock was set, no lease tells whether its worker lives until the worker had the time for a heartbeat.
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

/// Ends the leases of workers of this machine that are dead, and forgets them. Returns who they were.
async fn bury(installation: &Installation) -> Result<Vec<String>, RepositoryError> {
    let (workers, repository) = (installation.data.workers(), &installation.repository);
    // If the folder cannot be read, the leases tell the same, only later.
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
            // The execution has ended, whether or not its folder can be removed.
            let _ = installation.data.end_execution(rescued.id);
        }
    }
    Ok(rescued)
}

/// Removes the working folders of executions that have ended. A process leaves them if it is killed after the last save
/// of an execution. An execution that has ended never runs again, so no folder of a running one is removed.
async fn remove_ended_folders(installation: &Installation) {
    let data = installation.data.clone();
    // A folder that cannot be read now stays for the next time.
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
