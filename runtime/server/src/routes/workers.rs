//! Workers.

use stepbox_api::worker::Worker;

use crate::access::{May, TheTenant, View};
use crate::conventions::failure::Failure;
use crate::conventions::list::{List, Listed, Unfiltered};
use crate::table::Table;

pub(super) fn routes(table: Table) -> Table {
    table.get("/tenants/{tenant}/workers", "The workers that may take executions of the tenant.", list)
}

async fn list(
    may: May<View, TheTenant>,
    Listed { page, filter: Unfiltered {} }: Listed<Unfiltered>,
) -> Result<List<Worker>, Failure> {
    let workers = may.workers().await?;
    Ok(List::of(page, workers, |status| status.worker.name.clone(), Worker::of))
}
