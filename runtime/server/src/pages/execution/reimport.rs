//! Importing corrected items from the page of the execution that has rejected them.

use serde::Deserialize;

use super::super::answer::{Either, Go, Page};
use super::super::form::Form;
use super::super::visit::Visit;
use super::{at, gathering, whole};
use crate::access::{Launch, May, OneExecution};
use crate::conventions::failure::Failure;
use crate::conventions::input::{Caller, With};
use crate::routes::launches::reimported;
use crate::table::Table;

pub(super) fn routes(table: Table) -> Table {
    table.post(
        "/tenants/{tenant}/executions/{execution}/reimport",
        "Let a step read its corrected items.",
        reimport,
    )
}

/// The step that rejected the items, and the corrected ones.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Corrected {
    step: String,
    rows: String,
}

async fn reimport(
    visit: Visit<May<Launch, OneExecution>>,
    (With(tools), Caller(who), Form(Corrected { step, rows })): (With, Caller, Form<Corrected>),
) -> Result<Either<Page, Go>, Failure> {
    tools.limits.launch(&who)?;
    // Browsers send every line end of a text area as two characters.
    let rows = rows.replace("\r\n", "\n");
    let published = match rows.trim().is_empty() {
        true => Err(Failure::bad_request("body-invalid", "there are no corrected rows")
            .with_help("write the head and the corrected rows, or choose a file")),
        false => reimported(&visit.may, &step, rows.as_bytes(), (None, &who)).await,
    };
    match published {
        Ok(published) => Ok(Either::Other(Go::to(at(&visit, published.id())))),
        Err(failure) => {
            let frame = visit.frame().await?;
            let (tenant, principal) = (visit.may.tenant(), visit.may.principal());
            let mut shown = gathering::all(tenant, principal, visit.may.found()).await?;
            // What was written is not lost.
            for rejected in shown.rejected.iter_mut().filter(|rejected| rejected.file.step == step) {
                rejected.text.clone_from(&rows);
            }
            Ok(Either::One(Page::refused(&failure, whole(&frame, &shown, Some(failure.problem())))))
        }
    }
}
