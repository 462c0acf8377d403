//! The process to kill: it runs an instance, or it is a worker.

use std::time::Duration;

use stepbox::batch::execution::status::BatchStatus;
use stepbox::{RestartOptions, RunOptions, Stepbox, Tenant, WorkerOptions};

use crate::jobs::{Result, executions};

/// The time between two checks whether the instance has ended, in milliseconds.
const LOOK_MS: u64 = 20;

/// Runs an instance, or continues an interrupted execution, until it completes.
pub(crate) async fn run_or_restart(tenant: &Tenant, code: &str) -> Result<()> {
    let mut running = match executions(tenant, code).await?.first() {
        None => tenant.run(code, RunOptions::default()).await?,
        Some(latest) if latest.status == BatchStatus::Completed => return Ok(()),
        Some(latest) => tenant.restart_execution(latest.id, RestartOptions::default()).await?,
    };
    let execution = running.wait().await?;
    if execution.status == BatchStatus::Completed {
        return Ok(());
    }
    Err(format!("`{code}` ended {}: {:?}", execution.status, execution.exit_status).into())
}

/// Takes everything in the queue until the instance's newest execution has ended, in any way.
pub(crate) async fn work(stepbox: &Stepbox, tenant: &Tenant, code: &str) -> Result<()> {
    let options = WorkerOptions { concurrency: 2, grace_ms: 0, ..WorkerOptions::default() };
    let mut worker = stepbox.start_worker(options).await?;
    while executions(tenant, code).await?.first().is_none_or(|latest| latest.ended_at.is_none()) {
        tokio::time::sleep(Duration::from_millis(LOOK_MS)).await;
    }
    worker.shut_down();
    worker.wait().await?;
    Ok(())
}
