//! Instances: saved parameters of jobs, with a version for each change.

use serde::Deserialize;
use stepbox::batch::access::{Right, Thing};
use stepbox::batch::job::JobInstance;
use stepbox::{Error, InstanceEdit, NewInstance};
use stepbox_api::instance::{Instance, InstanceDetails, InstanceVersion};
use stepbox_api::request::{ChangeInstance, CreateInstance, DuplicateInstance};
use utoipa::ToSchema;

use crate::access::{Edit, Instances, May, OneInstance, View};
use crate::conventions::answer::{Created, Done, Versioned};
use crate::conventions::failure::Failure;
use crate::conventions::input::{Body, IfMatch};
use crate::conventions::list::{List, Listed, Unfiltered};
use crate::table::Table;

pub(super) fn routes(table: Table) -> Table {
    table
        .get("/tenants/{tenant}/instances", "The instances that you may see.", list)
        .post("/tenants/{tenant}/instances", "Create an instance.", create)
        .get(
            "/tenants/{tenant}/instances/{code}",
            "An instance, with the parameters of a future execution.",
            show,
        )
        .patch("/tenants/{tenant}/instances/{code}", "Change an instance.", change)
        .delete("/tenants/{tenant}/instances/{code}", "Delete an instance. Its executions stay.", remove)
        .post("/tenants/{tenant}/instances/{code}/duplicate", "Copy an instance.", duplicate)
        .get("/tenants/{tenant}/instances/{code}/history", "The versions of an instance, by number.", history)
}

/// Which instances are listed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Filter {
    /// Only those of jobs of this type.
    r#type: Option<String>,
}

async fn list(
    may: May<View, Instances>,
    Listed { page, filter }: Listed<Filter>,
) -> Result<List<Instance>, Failure> {
    let mut instances = may.tenant().instances(filter.r#type.as_deref()).await?;
    instances.items.retain(|instance| may.principal().may(Right::View, Thing::Instance(&instance.code)));
    if !may.principal().barred.is_empty() {
        // Whether a damaged one may be seen cannot be told.
        instances.damaged.clear();
    }
    // By type and then by code, as the store lists them. No type has a line break.
    let key = |instance: &JobInstance| format!("{}\n{}", instance.job_type, instance.code);
    Ok(List::of(page, instances, key, Instance::of))
}

async fn create(
    may: May<Edit, Instances>,
    Body(new): Body<CreateInstance>,
) -> Result<Created<Instance>, Failure> {
    let CreateInstance { connector, job, r#type, code, label, parameters } = new;
    let new = NewInstance { connector, job, job_type: r#type, code, label, parameters };
    let instance = may.tenant().create_instance(new).await?;
    Ok(created(&instance))
}

fn created(instance: &JobInstance) -> Created<Instance> {
    let at = format!("instances/{}", instance.code);
    Created { at, version: Some(instance.version), thing: Instance::of(instance) }
}

async fn show(may: May<View, OneInstance>, (): ()) -> Result<Versioned<InstanceDetails>, Failure> {
    let instance = may.found();
    let effective = match may.tenant().effective_parameters(instance).await {
        Ok(parameters) => Ok(parameters),
        Err(Error::Violations { violations, .. }) => Err(violations),
        Err(error) => return Err(error.into()),
    };
    Ok(Versioned(instance.version, InstanceDetails::of(instance, &effective)))
}

async fn change(
    may: May<Edit, OneInstance>,
    (IfMatch(expected), Body(change)): (IfMatch, Body<ChangeInstance>),
) -> Result<Versioned<Instance>, Failure> {
    let ChangeInstance { label, parameters, unset } = change;
    let edit = InstanceEdit { label, set: parameters, unset, expected };
    let instance = may.tenant().edit_instance(may.found().code.as_str(), edit).await?;
    Ok(Versioned(instance.version, Instance::of(&instance)))
}

async fn remove(may: May<Edit, OneInstance>, IfMatch(expected): IfMatch) -> Result<Done, Failure> {
    may.tenant().delete_instance(may.found().code.as_str(), expected).await?;
    Ok(Done)
}

async fn duplicate(
    may: May<Edit, OneInstance>,
    Body(DuplicateInstance { code, label }): Body<DuplicateInstance>,
) -> Result<Created<Instance>, Failure> {
    // The copy is another instance than the one that may be changed.
    may.also::<Instances>("").await?;
    let copy = may.tenant().duplicate_instance(may.found().code.as_str(), &code, label).await?;
    Ok(Created { at: format!("../{}", copy.code), ..created(&copy) })
}

async fn history(
    may: May<View, OneInstance>,
    Listed { page, filter: Unfiltered {} }: Listed<Unfiltered>,
) -> Result<List<InstanceVersion>, Failure> {
    let history = may.tenant().instance_history(may.found().code.as_str()).await?;
    Ok(List::of(page, history, |version| format!("{:020}", version.instance.version), InstanceVersion::of))
}
