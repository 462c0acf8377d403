//! The first page of the installation, and the dashboard of a tenant.

use stepbox_web::pages::home;
use stepbox_web::{Head, Place};

use super::answer::{Either, Go, Page};
use super::visit::Visit;
use crate::access::{May, Signed, TheTenant, View};
use crate::conventions::failure::Failure;
use crate::table::Table;

pub(super) fn routes(table: Table) -> Table {
    table.get("/", "The tenants that you may enter; with one alone, its dashboard.", home).get(
        "/tenants/{tenant}",
        "The dashboard of a tenant.",
        show,
    )
}

async fn home(visit: Visit<Signed>, (): ()) -> Result<Either<Page, Go>, Failure> {
    let frame = visit.frame().await?;
    if let ([tenant], false) = (frame.tenants.as_slice(), frame.viewer.is_operator) {
        return Ok(Either::Other(Go::to(frame.top(&format!("tenants/{tenant}")))));
    }
    let head = Head { title: "Tenants".to_owned(), ..Head::default() };
    Ok(Either::One(Page::ok(frame.page(&head, &home::tenants(&frame)))))
}

async fn show(visit: Visit<May<View, TheTenant>>, (): ()) -> Result<Page, Failure> {
    let frame = visit.frame().await?;
    let _ = visit.may.tenant();
    Ok(Page::ok(frame.page(&Head::new(Place::Dashboard, "Dashboard"), &home::dashboard(&frame))))
}
