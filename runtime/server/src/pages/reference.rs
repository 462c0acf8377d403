//! Pages for everybody: the reference of the interface and the codes of errors.

use std::sync::LazyLock;

use serde_json::Value;
use stepbox_web::frame::public;
use stepbox_web::pages::{errors, reference as page};
use stepbox_web::{Head, Markup, Place};

use super::answer::Page;
use super::reading::Reading;
use super::visit::Visit;
use crate::access::Signed;
use crate::conventions::failure::Failure;
use crate::conventions::input::InPath;
use crate::table::Table;

pub(super) fn routes(table: Table) -> Table {
    table
        .get("/reference", "The reference of the interface.", interface)
        .get("/errors", "The codes of errors.", all_errors)
        .get("/errors/{code}", "What a code means, and what to do.", one_error)
}

/// The document of the interface, which does not change while the process lives.
static DOCUMENT: LazyLock<Value> = LazyLock::new(crate::openapi::document);

/// A page inside the frame for somebody who is signed in, and alone for everybody else.
async fn framed(
    visit: Option<Visit<Signed>>,
    reading: &Reading,
    head: &Head,
    main: &Markup,
) -> Result<Page, Failure> {
    Ok(Page::ok(match visit {
        Some(visit) => visit.frame().await?.page(head, main),
        None => public(&reading.base, &reading.reader, &head.title, main),
    }))
}

async fn interface(visit: Option<Visit<Signed>>, reading: Reading) -> Result<Page, Failure> {
    let main = page::show(&DOCUMENT, &format!("{}/api/v1/openapi.json", reading.base));
    framed(visit, &reading, &Head::new(Place::Api, "The HTTP API"), &main).await
}

async fn all_errors(visit: Option<Visit<Signed>>, reading: Reading) -> Result<Page, Failure> {
    let main = errors::list(&reading.base);
    framed(visit, &reading, &Head::new(Place::Errors, "Errors"), &main).await
}

async fn one_error(
    visit: Option<Visit<Signed>>,
    (reading, InPath(code)): (Reading, InPath<'c'>),
) -> Result<Page, Failure> {
    let main = errors::show(&reading.base, &code).ok_or_else(|| Failure::not_found("error code"))?;
    let head = Head::new(Place::Errors, code).below("Errors", format!("{}/errors", reading.base));
    framed(visit, &reading, &head, &main).await
}
