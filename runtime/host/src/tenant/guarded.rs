//! What a viewer may see and change of the parameters of instances and executions.
//!
//! [`Guard`] decides it. Here it is applied to everything that leaves a tenant's handle.

use std::collections::BTreeMap;

use serde_json::Value;
use stepbox_batch::execution::{ExecutionSummary, JobExecution, Remains};
use stepbox_batch::instance_form::{FormRights, Guard, Mode};
use stepbox_batch::job::{InstanceVersion, Job, JobInstance};
use stepbox_batch::name::JobName;
use stepbox_batch::ports::Listing;

use super::Tenant;
use crate::error::Error;

/// What the jobs of a tenant leave to a viewer, as they are installed now.
pub(super) struct Guards {
    rights: FormRights,
    by_job: BTreeMap<JobName, Guard>,
    /// Whether some connectors cannot be read, so that their jobs are not known.
    are_some_damaged: bool,
}

impl Guards {
    /// For instances: the parameters of a job that is not known are hidden.
    fn of_instance(&self, job: &JobName) -> Guard {
        if self.rights == FormRights::Every {
            return Guard::open();
        }
        self.by_job.get(job).cloned().unwrap_or_else(Guard::closed)
    }

    /// For executions, which bring the rules of their time: both count.
    fn of_execution(&self, job: &JobName, of_its_time: Guard) -> Guard {
        match self.by_job.get(job) {
            Some(now) => of_its_time.and(now.clone()),
            None if self.are_some_damaged => Guard::closed(),
            None => of_its_time,
        }
    }
}

impl Tenant {
    /// The guards of all jobs. Nothing is read for a handle that hides nothing.
    pub(super) async fn guards(&self) -> Result<Guards, Error> {
        let (rights, mut by_job) = (self.rights, BTreeMap::new());
        if rights == FormRights::Every {
            return Ok(Guards { rights, by_job, are_some_damaged: false });
        }
        let jobs = self.jobs().await?;
        let are_some_damaged = !jobs.damaged.is_empty();
        for job in jobs {
            by_job.insert(job.name.clone(), job.guard(rights));
        }
        Ok(Guards { rights, by_job, are_some_damaged })
    }

    /// What a job leaves to this handle's viewer.
    pub(super) fn guard_of(&self, job: &Job) -> Guard {
        job.guard(self.rights)
    }

    pub(super) async fn seen_instance(&self, instance: JobInstance) -> Result<JobInstance, Error> {
        let guards = self.guards().await?;
        Ok(seen_instance(&guards, instance))
    }

    pub(super) async fn seen_instances(
        &self,
        instances: Listing<JobInstance>,
    ) -> Result<Listing<JobInstance>, Error> {
        let (guards, Listing { items, damaged }) = (self.guards().await?, instances);
        let items = items.into_iter().map(|instance| seen_instance(&guards, instance)).collect();
        Ok(Listing { items, damaged })
    }

    pub(super) async fn seen_versions(
        &self,
        versions: Listing<InstanceVersion>,
    ) -> Result<Listing<InstanceVersion>, Error> {
        let (guards, Listing { items, damaged }) = (self.guards().await?, versions);
        let seen = |version: InstanceVersion| InstanceVersion {
            instance: seen_instance(&guards, version.instance),
            ..version
        };
        Ok(Listing { items: items.into_iter().map(seen).collect(), damaged })
    }

    pub(super) async fn seen_execution(&self, execution: JobExecution) -> Result<JobExecution, Error> {
        let guards = self.guards().await?;
        Ok(self.seen_through(&guards, execution))
    }

    pub(super) async fn seen_executions(
        &self,
        executions: Vec<JobExecution>,
    ) -> Result<Vec<JobExecution>, Error> {
        let guards = self.guards().await?;
        Ok(executions.into_iter().map(|execution| self.seen_through(&guards, execution)).collect())
    }

    fn seen_through(&self, guards: &Guards, mut execution: JobExecution) -> JobExecution {
        let guard = guards.of_execution(&execution.job.name, self.guard_of(&execution.job));
        guard.hide_in(&mut execution.parameters);
        execution
    }

    pub(super) async fn seen_summaries(
        &self,
        summaries: Listing<ExecutionSummary>,
    ) -> Result<Listing<ExecutionSummary>, Error> {
        let (guards, Listing { mut items, damaged }) = (self.guards().await?, summaries);
        for summary in &mut items {
            let of_its_time = Guard::veiling(&summary.job.veiled, self.rights);
            guards.of_execution(&summary.job.name, of_its_time).hide_in(&mut summary.parameters);
        }
        Ok(Listing { items, damaged })
    }

    /// The rest of a damaged execution. Whose parameters they are cannot be told, so a viewer does not get them.
    pub(super) fn seen_remains(&self, remains: Remains) -> Remains {
        let Remains { damage, mut fields } = remains;
        if self.rights != FormRights::Every {
            fields.retain(|(name, _)| name != "parameters");
        }
        Remains { damage, fields }
    }

    /// Refuses the new values of parameters that this handle's viewer may not change. `before` are the parameters
    /// before the change.
    pub(super) fn refuse_guarded(
        &self,
        job: &Job,
        mode: Mode,
        (subject, given, before): (&str, &Value, &Value),
        unset: &[String],
    ) -> Result<(), Error> {
        let set = given.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), Some(value)));
        let unset = unset.iter().map(|name| (name.as_str(), None));
        let violations = self.guard_of(job).refused(mode, set.chain(unset), before);
        match violations.is_empty() {
            true => Ok(()),
            false => Err(Error::GuardedParameters { subject: format!("`{subject}`"), violations }),
        }
    }

    /// The error without what it tells of values that the viewer may not see.
    pub(super) fn veiled(&self, job: &Job, error: Error) -> Error {
        match error {
            Error::Violations { subject, violations } => {
                Error::Violations { subject, violations: self.guard_of(job).without_values(violations) }
            }
            other => other,
        }
    }
}

fn seen_instance(guards: &Guards, mut instance: JobInstance) -> JobInstance {
    guards.of_instance(&instance.job).hide_in(&mut instance.raw_parameters);
    instance
}
