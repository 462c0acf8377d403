//! The first state of an execution, and how the store accepts it.

use serde_json::{Value, json};
use stepbox_batch::actor::Actor;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::queue::Published;
use stepbox_batch::execution::{JobExecution, NewJobExecution};
use stepbox_batch::job::{Job, JobInstance};
use stepbox_batch::name::JobExecutionId;
use stepbox_batch::parameters::{ParameterSchema, SchemaError};
use stepbox_batch::ports::RepositoryError;

use crate::error::Error;
use crate::installation::TenantRef;
use crate::outputs::check_outputs;
use crate::step_elements::check_storages;

/// A new execution of an instance of a job, to run or to queue. Its parameters, places and outputs are
/// checked now, so that it does not fail later because of a mistake that is already known.
pub(crate) fn new_execution(
    here: TenantRef<'_>,
    by: Actor,
    mut job: Job,
    instance: &JobInstance,
    overrides: Option<Value>,
) -> Result<NewJobExecution, Error> {
    let (policy, native) = (here.state.policy(), &here.installation.native);
    job.folder = policy.beginning();
    let overrides = overrides.unwrap_or_else(|| json!({}));
    let parameters = effective(&job, instance, &overrides)?;
    check_storages(&job, &parameters, &policy, native)?;
    check_outputs(&job, &parameters, native, &policy.reach(&here.installation.wall))?;
    Ok(NewJobExecution {
        tenant: here.id.clone(),
        instance: instance.code.clone(),
        parameters,
        job,
        by,
        restart_of: None,
        context: Default::default(),
        steps: Vec::new(),
        partition: None,
        queue: None,
        idempotency: None,
        changes: Vec::new(),
    })
}

/// The effective parameters, or all their violations. Overrides have priority over the values of the
/// instance, and these over defaults.
pub(crate) fn effective(job: &Job, instance: &JobInstance, overrides: &Value) -> Result<Value, Error> {
    let schema = ParameterSchema::new(&job.parameters).map_err(|error: SchemaError| {
        // The schema was checked at installation. This can fail only if the store was changed by another
        // program.
        RepositoryError::Corrupt {
            what: format!("schema of the job `{}`", job.name),
            detail: error.to_string(),
        }
    })?;
    schema
        .effective(&instance.raw_parameters, overrides)
        .map_err(|violations| Error::Violations { subject: format!("`{}`", instance.code), violations })
}

/// Puts an execution into the queue, for any worker.
pub(crate) async fn submit(here: TenantRef<'_>, new: &NewJobExecution) -> Result<Published, Error> {
    let accepted = here.installation.repository.create_execution(new, None).await;
    published(accepted.map(|(execution, _)| execution.id))
}

/// The outcome of a publication, from the answer of the store.
pub(crate) fn published(accepted: Result<JobExecutionId, RepositoryError>) -> Result<Published, Error> {
    match accepted {
        Ok(id) => Ok(Published::Queued(id)),
        Err(RepositoryError::NotUnique { id }) => Ok(Published::ThereAlready(id)),
        Err(RepositoryError::AlreadyPublished { id }) => Ok(Published::Replayed(id)),
        Err(error) => Err(error.into()),
    }
}

/// The first execution in a chain of restarts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct First {
    pub(crate) id: JobExecutionId,
    /// When it began; `None` if that is not known.
    pub(crate) started_at: Option<Timestamp>,
}

/// The first execution in the chain of restarts that ends with this one. If the first execution was purged,
/// only its id is known.
pub(crate) async fn first_of(here: TenantRef<'_>, execution: &JobExecution) -> Result<First, Error> {
    let mut first = First { id: execution.id, started_at: execution.started_at };
    for ancestor in here.installation.repository.ancestry(here.id, execution.id).await? {
        let started_at = ancestor.started_at.or(first.started_at);
        first = First { id: ancestor.restart_of.unwrap_or(ancestor.id), started_at };
    }
    Ok(first)
}
