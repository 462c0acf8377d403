//! Copying and deleting a job profile.

use serde::Deserialize;
use stepbox_api::instance::Instance;
use stepbox_web::frame::part;
use stepbox_web::pages::profiles as page;
use stepbox_web::{Head, Place};

use crate::access::{Edit, Instances, May, OneInstance};
use crate::conventions::failure::Failure;
use crate::pages::answer::{Either, Go, Page};
use crate::pages::form::Form;
use crate::pages::visit::Visit;
use crate::table::Table;

pub(super) fn routes(table: Table) -> Table {
    table
        .get("/tenants/{tenant}/instances/{code}/remove", "The page that asks before.", ask)
        .post("/tenants/{tenant}/instances/{code}/remove", "Delete a job profile.", remove)
        .get("/tenants/{tenant}/instances/{code}/duplicate", "The form of a copy.", open_copy)
        .post("/tenants/{tenant}/instances/{code}/duplicate", "Copy a job profile.", copy)
}

async fn ask(visit: Visit<May<Edit, OneInstance>>, (): ()) -> Result<Page, Failure> {
    let (frame, found) = (visit.frame().await?, visit.may.found());
    let head = Head::new(Place::Profiles, "Delete")
        .below("Job profiles", frame.at("instances"))
        .below(found.label.clone(), frame.at(&format!("instances/{}", part(found.code.as_str()))));
    Ok(Page::ok(frame.page(&head, &page::removal(&frame, &Instance::of(found)))))
}

/// The version that the reader has seen.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Seen {
    version: u64,
}

async fn remove(
    visit: Visit<May<Edit, OneInstance>>,
    Form(Seen { version }): Form<Seen>,
) -> Result<Go, Failure> {
    let frame = visit.frame().await?;
    visit.may.tenant().delete_instance(visit.may.found().code.as_str(), Some(version)).await?;
    Ok(Go::to(frame.at("instances")))
}

/// The code and the label of a copy.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Copy {
    code: String,
    label: String,
}

async fn open_copy(visit: Visit<May<Edit, OneInstance>>, (): ()) -> Result<Page, Failure> {
    let found = visit.may.found();
    let copy = Copy { code: format!("{}_copy", found.code), label: format!("{} (copy)", found.label) };
    copy_page(&visit, &copy, None).await
}

async fn copy_page(
    visit: &Visit<May<Edit, OneInstance>>,
    copy: &Copy,
    failure: Option<&Failure>,
) -> Result<Page, Failure> {
    let (frame, found) = (visit.frame().await?, visit.may.found());
    let head = Head::new(Place::Profiles, "Duplicate")
        .below("Job profiles", frame.at("instances"))
        .below(found.label.clone(), frame.at(&format!("instances/{}", part(found.code.as_str()))));
    let problem = failure.map(Failure::problem);
    let markup =
        frame.page(&head, &page::copy(&frame, &Instance::of(found), (&copy.code, &copy.label), problem));
    Ok(failure.map_or_else(|| Page::ok(markup.clone()), |failure| Page::refused(failure, markup.clone())))
}

async fn copy(
    visit: Visit<May<Edit, OneInstance>>,
    Form(copy): Form<Copy>,
) -> Result<Either<Page, Go>, Failure> {
    let frame = visit.frame().await?;
    // The copy is another instance than the one that may be changed.
    visit.may.also::<Instances>("").await?;
    let label = Some(copy.label.trim().to_owned()).filter(|label| !label.is_empty());
    match visit
        .may
        .tenant()
        .duplicate_instance(visit.may.found().code.as_str(), copy.code.trim(), label)
        .await
    {
        Ok(instance) => {
            Ok(Either::Other(Go::to(frame.at(&format!("instances/{}", part(instance.code.as_str()))))))
        }
        Err(error) => Ok(Either::One(copy_page(&visit, &copy, Some(&error.into())).await?)),
    }
}
