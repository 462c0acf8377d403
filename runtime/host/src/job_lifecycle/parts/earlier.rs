//! The parts of earlier executions, and the warnings that parts have stored.

use std::collections::BTreeMap;

use stepbox_batch::execution::status::BatchStatus;
use stepbox_batch::execution::{PartitionState, Warning};
use stepbox_batch::findings::WARNINGS_STORED_MAX;
use stepbox_batch::name::{JobExecutionId, TenantId};
use stepbox_batch::ports::{Damaged, JobRepository, RepositoryError};

/// The parts of a step in earlier executions. The execution that this one continues comes first. An execution
/// that had completed the step ends the list.
pub(super) async fn earlier_parts(
    repository: &dyn JobRepository,
    tenant: &TenantId,
    of: JobExecutionId,
    position: u32,
) -> Result<Vec<(JobExecutionId, Vec<PartitionState>)>, RepositoryError> {
    let mut earlier = Vec::new();
    for ancestor in repository.ancestry(tenant, of).await?.into_iter().skip(1) {
        let found = match repository.execution(tenant, ancestor.id).await {
            Ok(Some(found)) => found,
            // No execution can continue it.
            Ok(None) | Err(RepositoryError::Corrupt { .. }) => break,
            Err(error) => return Err(error),
        };
        let mut of_step = found.steps.iter().filter(|step| step.position == position);
        if of_step.any(|step| step.status == BatchStatus::Completed) {
            break;
        }
        let parts = repository.partition_states(tenant, ancestor.id, position).await?;
        if !parts.is_empty() {
            earlier.push((ancestor.id, parts));
        }
    }
    Ok(earlier)
}

/// The stored warnings of a step's parts, and the damaged rows among them.
#[derive(Default)]
pub(crate) struct WarningsOfParts {
    /// The warnings by the number of the part. Together they are at most as many as a step stores.
    pub(crate) items: BTreeMap<u32, Vec<Warning>>,
    pub(crate) damaged: Vec<Damaged>,
}

/// The stored warnings of a step's parts. Each item occurs once: a part that continues an earlier part has
/// stored only the warnings that it has found itself.
pub(crate) async fn warnings_of_parts(
    repository: &dyn JobRepository,
    tenant: &TenantId,
    of: JobExecutionId,
    position: u32,
) -> Result<WarningsOfParts, RepositoryError> {
    let parts = repository.partition_states(tenant, of, position).await?;
    let mut found = WarningsOfParts::default();
    if parts.is_empty() {
        return Ok(found);
    }
    let mut generations: Vec<_> =
        earlier_parts(repository, tenant, of, position).await?.into_iter().map(|(_, parts)| parts).collect();
    generations.reverse();
    generations.push(parts.clone());
    let mut room = WARNINGS_STORED_MAX as usize;
    for number in parts.iter().map(|part| part.partition.number) {
        let of_part = found.items.entry(number).or_default();
        for part in generations.iter().flatten().filter(|part| part.partition.number == number) {
            if room == 0 {
                return Ok(found);
            }
            let stored = repository.warnings(tenant, part.id).await?;
            let before = of_part.len();
            of_part.extend(stored.items.into_iter().take(room));
            room -= of_part.len() - before;
            found.damaged.extend(stored.damaged);
        }
    }
    Ok(found)
}
