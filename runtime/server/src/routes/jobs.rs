//! Jobs: what each takes and does.

use std::collections::BTreeMap;

use serde::Deserialize;
use stepbox::batch::instance_form::FormRights;
use stepbox::batch::job;
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
    let native = jobs.items.first().map(|job| job.connector.clone());
    let (mut counts, mut places) = (BTreeMap::new(), BTreeMap::new());
    for job in &jobs.items {
        let count = counts.entry(job.connector.clone()).or_insert(0_u32);
        places.insert(job.name.clone(), *count);
        *count += 1;
    }
    // By connector, the native one first, and then as the connector's file has them.
    let key = |job: &job::Job| {
        let rank = u8::from(native.as_ref() != Some(&job.connector));
        format!("{rank}{}\n{:06}", job.connector, places.get(&job.name).copied().unwrap_or(0))
    };
    Ok(List::of(page, jobs, key, Job::of))
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
