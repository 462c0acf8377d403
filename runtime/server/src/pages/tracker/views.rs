//! The views that a reader keeps.

use serde::Deserialize;
use stepbox::batch::name::UserName;
use stepbox::batch::saved_view::SavedView;
use stepbox_web::frame::Frame;
use stepbox_web::pages::tracker::address;
use stepbox_web::pages::tracker::views::{self as page, Keeping};
use stepbox_web::{Head, Markup, Place};

use super::Visitor;
use crate::conventions::failure::Failure;
use crate::pages::answer::{Either, Go, Page};
use crate::pages::form::{Form, Query};
use crate::table::Table;

pub(super) fn routes(table: Table) -> Table {
    table
        .get("/tenants/{tenant}/views", "The views that you keep, and the form of one more.", list)
        .post("/tenants/{tenant}/views", "Keep a view.", keep)
        .post("/tenants/{tenant}/views/remove", "Remove a view.", remove)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default)]
    filter: String,
}

/// The fields of a view.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewView {
    name: String,
    filter: String,
}

/// The name of a view.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
}

/// The reader, as somebody who keeps views. A token keeps none.
fn keeper(visit: &Visitor) -> Result<&UserName, Failure> {
    let principal = visit.may.principal();
    let user = principal.user.as_ref().filter(|_| principal.token.is_none());
    user.ok_or_else(|| Failure::forbidden("views are kept for users who are signed in"))
}

async fn shown(visit: &Visitor, frame: &Frame, keeping: &Keeping<'_>) -> Result<Markup, Failure> {
    let views = visit.views().await?.unwrap_or_default();
    let head = Head::new(Place::Tracker, "Your views").below("Process tracker", frame.at("executions"));
    Ok(frame.page(&head, &page::page(frame, &views, keeping)))
}

async fn list(visit: Visitor, Query(Asked { filter }): Query<Asked>) -> Result<Page, Failure> {
    keeper(&visit)?;
    let frame = visit.frame().await?;
    Ok(Page::ok(shown(&visit, &frame, &Keeping { filter: &filter, ..Keeping::default() }).await?))
}

async fn keep(
    visit: Visitor,
    Form(NewView { name, filter }): Form<NewView>,
) -> Result<Either<Page, Go>, Failure> {
    let user = keeper(&visit)?;
    let frame = visit.frame().await?;
    let kept = async {
        visit.filter_of(&filter)?;
        let view = SavedView::new(&name, filter.trim()).map_err(stepbox::Error::from)?;
        Ok::<_, Failure>(visit.may.tenant().put_view(user, &view).await?)
    };
    match kept.await {
        Ok(()) => Ok(Either::Other(Go::to(address(&frame, filter.trim())))),
        Err(failure) => {
            let keeping = Keeping { name: &name, filter: &filter, problem: Some(failure.problem()) };
            let markup = shown(&visit, &frame, &keeping).await?;
            Ok(Either::One(Page::refused(&failure, markup)))
        }
    }
}

async fn remove(visit: Visitor, Form(Named { name }): Form<Named>) -> Result<Go, Failure> {
    let user = keeper(&visit)?;
    visit.may.tenant().remove_view(user, &name).await?;
    Ok(Go::to(visit.frame().await?.at("views")))
}
