//! Jobs: what each takes and does.

use serde::Deserialize;
use stepbox::batch::instance_form::FormRights;
use stepbox_api::form::{Form, FormMode};
use stepbox_api::job::Job;
use utoipa::ToSchema;

use crate::access::{Connectors, May, View};
use crate::conventions::answer::{AnyJson, Shown};
use crate::conventions::failure::Failure;
use crate::conventions::input::{InPath, Query};
use crate::conventions::list::{List, Listed, Unfiltered};
use crate::table::Table;

pub(super) fn routes(table: Table) -> Table {
    table
        .get("/tenants/{tenant}/jobs", "The jobs of all connectors.", list)
        .get("/tenants/{tenant}/jobs/{name}", "A job: its parameters and its steps.", show)
        .get("/tenants/{tenant}/jobs/{name}/schema", "The JSON Schema of a job's parameters.", schema)
        .get(
            "/tenants/{tenant}/jobs/{name}/form",
            "The form of a job's instances, with the tabs and fields that you may see.",
            form,
        )
}

async fn list(
    may: May<View, Connectors>,
    Listed { page, filter: Unfiltered {} }: Listed<Unfiltered>,
) -> Result<List<Job>, Failure> {
    let jobs = may.tenant().jobs().await?;
    Ok(List::of(page, jobs, |job| job.name.to_string(), Job::of))
}

async fn show(may: May<View, Connectors>, InPath(name): InPath<'j'>) -> Result<Shown<Job>, Failure> {
    Ok(Shown(Job::of(&may.tenant().job(&name).await?)))
}

async fn schema(may: May<View, Connectors>, InPath(name): InPath<'j'>) -> Result<AnyJson, Failure> {
    Ok(AnyJson("application/schema+json", may.tenant().job(&name).await?.parameters))
}

/// For what the form is drawn.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct For {
    /// The occasion; `edit` if it is absent.
    #[serde(default)]
    mode: FormMode,
}

async fn form(
    may: May<View, Connectors>,
    (InPath(name), Query(For { mode })): (InPath<'j'>, Query<For>),
) -> Result<Shown<Form>, Failure> {
    let form = may.tenant().job(&name).await?.instance_form();
    Ok(Shown(Form::of(&form.seen_by(mode.mode(), FormRights::Of(may.principal().role())))))
}
