//! Importing corrected items from the page of the execution that has rejected them.

use serde::Deserialize;
use stepbox::Published;

use super::super::answer::{Either, Go, Page};
use super::super::form::Form;
use super::super::visit::Visit;
use super::{at, gathering, whole};
use crate::access::{Launch, May, OneExecution};
use crate::conventions::asking::Asking;
use crate::conventions::describing::Describing;
use crate::conventions::failure::Failure;
use crate::conventions::form_data::{FormData, read_form_data};
use crate::conventions::input::{Caller, Input, With};
use crate::routes::files::FILE_BYTES_MAX;
use crate::routes::launches::reimported;
use crate::table::Table;

pub(super) fn routes(table: Table) -> Table {
    table
        .post(
            "/tenants/{tenant}/executions/{execution}/reimport",
            "Let a step read corrected rows.",
            reimport,
        )
        .post(
            "/tenants/{tenant}/executions/{execution}/reimport-file",
            "Let a step read a file of its corrected items.",
            reimport_file,
        )
}

/// The step that rejected the items, and the corrected rows.
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
    became(&visit, published, &step, Some(&rows)).await
}

/// A file of corrected items in a form, and the step that reads them.
struct CorrectedFile(FormData);

impl Input for CorrectedFile {
    const TAKES_BODY: bool = true;

    async fn read(asking: &mut Asking) -> Result<Self, Failure> {
        read_form_data(asking, "items", FILE_BYTES_MAX).await.map(Self)
    }

    fn describe(_: &mut Describing) {}
}

async fn reimport_file(
    visit: Visit<May<Launch, OneExecution>>,
    (With(tools), Caller(who), CorrectedFile(form)): (With, Caller, CorrectedFile),
) -> Result<Either<Page, Go>, Failure> {
    tools.limits.launch(&who)?;
    let step = form.field("step").unwrap_or_default().to_owned();
    let published = reimported(&visit.may, &step, form.file.file, (None, &who)).await;
    became(&visit, published, &step, None).await
}

/// The way to the new execution, or the page again with why there is none. Rows that were written are not lost.
async fn became(
    visit: &Visit<May<Launch, OneExecution>>,
    published: Result<Published, Failure>,
    step: &str,
    rows: Option<&str>,
) -> Result<Either<Page, Go>, Failure> {
    let failure = match published {
        Ok(published) => return Ok(Either::Other(Go::to(at(visit, published.id())))),
        Err(failure) => failure,
    };
    let frame = visit.frame().await?;
    let mut shown = gathering::all(visit.may.tenant(), visit.may.principal(), visit.may.found()).await?;
    let of_step = shown.rejected.iter_mut().find(|rejected| rejected.file.step == step);
    if let (Some(rejected), Some(rows)) = (of_step, rows) {
        rows.clone_into(&mut rejected.text);
    }
    Ok(Either::One(Page::refused(&failure, whole(&frame, &shown, Some(failure.problem())))))
}
