//! Jobs: what each takes and does.

use stepbox_api::job::Job;

use crate::access::{Connectors, May, View};
use crate::conventions::answer::{AnyJson, Shown};
use crate::conventions::failure::Failure;
use crate::conventions::input::InPath;
use crate::conventions::list::{List, Listed, Unfiltered};
use crate::table::Table;

pub(super) fn routes(table: Table) -> Table {
    table
        .get("/tenants/{tenant}/jobs", "The jobs of all connectors.", list)
        .get("/tenants/{tenant}/jobs/{name}", "A job: its parameters and its steps.", show)
        .get("/tenants/{tenant}/jobs/{name}/schema", "The JSON Schema of a job's parameters.", schema)
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
