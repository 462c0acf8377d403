//! Tenants: their list, the policy of one, and its suspension.

use stepbox::batch::access::{Right, Thing};
use stepbox_api::policy::Policy;
use stepbox_web::pages::{schedules, tenants as page};
use stepbox_web::{Head, Place};

use super::answer::{Go, Page};
use super::visit::Visit;
use crate::access::{May, Operate, Signed, TheTenant, View};
use crate::conventions::failure::Failure;
use crate::routes::tenants::details;
use crate::table::Table;

pub(super) fn routes(table: Table) -> Table {
    table
        .get("/tenants", "The tenants that you may enter.", list)
        .get("/tenants/{tenant}/policy", "The policy of a tenant, and what is used of its quotas.", policy)
        .post("/tenants/{tenant}/suspend", "Let nothing of a tenant begin in this process.", suspend)
        .post("/tenants/{tenant}/resume", "Let executions of a tenant begin again.", resume)
        .get("/tenants/{tenant}/schedules", "The place of schedules.", no_schedules)
}

async fn list(visit: Visit<Signed>, (): ()) -> Result<Page, Failure> {
    let (frame, mut shown) = (visit.frame().await?, Vec::new());
    for tenant in visit.may.tenants()? {
        shown.push(details(&tenant).await?);
    }
    let may_operate = visit.may.principal().is_operator && visit.may.principal().token.is_none();
    let markup = page::list(&frame, &shown, may_operate);
    Ok(Page::ok(frame.page(&Head::new(Place::Tenants, "Tenants and policies"), &markup)))
}

async fn policy(visit: Visit<May<View, TheTenant>>, (): ()) -> Result<Page, Failure> {
    let (frame, tenant) = (visit.frame().await?, visit.may.tenant());
    let (policy, details) = (Policy::of_tenant(tenant), details(tenant).await?);
    let may_operate = visit.may(Right::Operate, Thing::Tenant);
    let head = match frame.viewer.is_operator {
        true => Head::new(Place::Tenants, "Policy").below("Tenants and policies", frame.top("tenants")),
        false => Head { title: "Policy".to_owned(), ..Head::default() },
    };
    Ok(Page::ok(frame.page(&head, &page::policy(&frame, &policy, &details, may_operate))))
}

async fn suspend(visit: Visit<May<Operate, TheTenant>>, (): ()) -> Result<Go, Failure> {
    visit.may.suspend()?;
    Ok(Go::to(visit.frame().await?.at("policy")))
}

async fn resume(visit: Visit<May<Operate, TheTenant>>, (): ()) -> Result<Go, Failure> {
    visit.may.resume()?;
    Ok(Go::to(visit.frame().await?.at("policy")))
}

async fn no_schedules(visit: Visit<May<View, TheTenant>>, (): ()) -> Result<Page, Failure> {
    let frame = visit.frame().await?;
    let head = Head::new(Place::Schedules, "Schedules");
    Ok(Page::ok(frame.page(&head, &schedules::none(&frame))))
}
