//! The queue.

use stepbox_api::tenant::QueueDepths;

use crate::access::{May, TheTenant, View};
use crate::conventions::answer::Shown;
use crate::conventions::failure::Failure;
use crate::table::Table;

pub(super) fn routes(table: Table) -> Table {
    table.get("/tenants/{tenant}/queue", "How many executions are in the queue.", depths)
}

async fn depths(may: May<View, TheTenant>, (): ()) -> Result<Shown<QueueDepths>, Failure> {
    Ok(Shown(QueueDepths::of(&may.tenant().queue_depths().await?)))
}
