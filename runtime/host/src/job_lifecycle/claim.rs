//! The lease under which this process runs an execution.

use stepbox_batch::actor::Actor;
use stepbox_batch::execution::{Claimed, NewJobExecution};
use stepbox_batch::name::JobExecutionId;
use stepbox_batch::ports::RepositoryError;

use crate::error::Error;
use crate::installation::{Installation, TenantRef};

/// Accepts an execution and takes its lease, in one transaction.
pub(super) async fn submit_and_claim(
    installation: &Installation,
    new: &NewJobExecution,
) -> Result<Claimed, Error> {
    let claim = installation.claim();
    let (execution, lease) = installation.repository.create_execution(new, Some(&claim)).await?;
    let lease = lease.ok_or(RepositoryError::LeaseLost { id: execution.id })?;
    Ok(Claimed { execution, lease })
}

/// Takes the lease of an execution that is waiting or PAUSED.
pub(super) async fn claim(here: TenantRef<'_>, id: JobExecutionId, by: &Actor) -> Result<Claimed, Error> {
    let repository = &here.installation.repository;
    let lease = repository.claim(here.id, id, &here.installation.claim(), by).await?;
    let execution = repository.execution(here.id, id).await?;
    let execution = execution.ok_or_else(|| Error::no_execution(id))?;
    Ok(Claimed { execution, lease })
}
