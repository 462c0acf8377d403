//! The interface about itself: its document, and whether the server is there.

use crate::access::{Anybody, Installation, May, Operate};
use crate::conventions::answer::{Html, JsonText, OpenMetrics, Plain, Text};
use crate::conventions::failure::Failure;
use crate::conventions::input::With;
use crate::table::Table;

pub(super) fn routes(table: Table) -> Table {
    table
        .get("/openapi.json", "The document of the interface.", document)
        .get("/reference", "A page about the interface.", reference)
        .get("/live", "Whether the process works.", live)
        .get("/ready", "Whether the store answers.", ready)
        .get("/metrics", "The counters of the process, for Prometheus.", metrics)
}

async fn document(_: Anybody, With(tools): With) -> Result<Text<JsonText>, Failure> {
    Ok(Text::new(tools.document.clone()))
}

async fn reference(_: Anybody, With(tools): With) -> Result<Text<Html>, Failure> {
    Ok(Text::new(tools.reference.clone()))
}

async fn live(_: Anybody, (): ()) -> Result<Text<Plain>, Failure> {
    Ok(Text::new("ok\n"))
}

async fn ready(anybody: Anybody, (): ()) -> Result<Text<Plain>, Failure> {
    match anybody.is_ready().await {
        true => Ok(Text::new("ok\n")),
        false => Err(Failure::new(
            stepbox::ErrorKind::StoreUnavailable,
            "store-unavailable",
            "the store does not answer",
        )),
    }
}

async fn metrics(may: May<Operate, Installation>, With(tools): With) -> Result<Text<OpenMetrics>, Failure> {
    let own = tools.meters.page();
    let page = may.metrics().await;
    // Both pages end with a mark of the end, which a page has once.
    let page = page.strip_suffix("# EOF\n").map(str::to_owned).unwrap_or(page);
    Ok(Text::new(page + &own))
}
