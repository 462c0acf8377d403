//! All stored warnings of an execution, and as files.

use serde::Deserialize;
use stepbox_api::execution::{Execution, Warning};
use stepbox_web::pages::execution::warnings as page;
use stepbox_web::{Head, Place};

use super::super::answer::Page;
use super::super::form::Query;
use super::super::visit::Visit;
use crate::access::{History, May, OneExecution};
use crate::conventions::failure::Failure;
use crate::conventions::list::{Asked, List, Saved};
use crate::routes::executions::some_warnings;
use crate::table::Table;

/// How many warnings a page has.
const WARNINGS: u32 = 100;

pub(super) fn routes(table: Table) -> Table {
    table
        .get("/tenants/{tenant}/executions/{execution}/warnings", "The warnings of an execution.", show)
        .get("/tenants/{tenant}/executions/{execution}/warnings/csv", "The warnings as CSV.", csv)
        .get("/tenants/{tenant}/executions/{execution}/warnings/jsonl", "The warnings as JSON Lines.", jsonl)
}

/// Which warnings are shown.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    #[serde(default)]
    search: String,
    after: Option<String>,
}

async fn show(
    visit: Visit<May<History, OneExecution>>,
    Query(Wanted { search, after }): Query<Wanted>,
) -> Result<Page, Failure> {
    let (frame, found) = (visit.frame().await?, visit.may.found());
    let is_first = after.is_none();
    let tenant = visit.may.tenant().clone();
    let page = some_warnings(tenant, found.id, search.clone(), after, WARNINGS).await?;
    let execution = Execution::of(found);
    let shown = page::Warnings { execution, search, rows: page.rows, is_first, next: page.next };
    let id = found.id.to_string();
    let head = Head::new(Place::Tracker, "Warnings")
        .below("Process tracker", frame.at("executions"))
        .below(&*id, frame.at(&format!("executions/{id}")));
    Ok(Page::ok(frame.page(&head, &page::page(&frame, &shown))))
}

/// Which warnings are in a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Searched {
    #[serde(default)]
    search: String,
}

async fn csv(
    visit: Visit<May<History, OneExecution>>,
    Query(wanted): Query<Searched>,
) -> Result<Saved<Warning>, Failure> {
    Ok(saved(&visit, wanted, "text/csv", "csv"))
}

async fn jsonl(
    visit: Visit<May<History, OneExecution>>,
    Query(wanted): Query<Searched>,
) -> Result<Saved<Warning>, Failure> {
    Ok(saved(&visit, wanted, "application/jsonl", "jsonl"))
}

fn saved(
    visit: &Visit<May<History, OneExecution>>,
    Searched { search }: Searched,
    form: &'static str,
    ending: &str,
) -> Saved<Warning> {
    let (tenant, id) = (visit.may.tenant().clone(), visit.may.found().id);
    let list = List::paged(Asked::all_as(form), move |after, limit| {
        some_warnings(tenant.clone(), id, search.clone(), after, limit)
    });
    Saved { name: format!("warnings-{id}.{ending}"), list }
}
