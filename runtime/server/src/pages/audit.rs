//! The audit trails: of a tenant and of the installation.

use jiff::civil::Date;
use serde::Deserialize;
use stepbox::batch::audit::{AuditAction, AuditEventId, AuditFilter};
use stepbox::batch::clock::Timestamp;
use stepbox_api::audit::AuditEvent;
use stepbox_web::pages::audit::{self as page, Asked, Trail as Shown};
use stepbox_web::{Frame, Head, Markup, Place, Reader};

use super::answer::Page;
use super::form::Query;
use super::visit::Visit;
use crate::access::{Administer, InstallationTrail, May, Operate, Trail};
use crate::conventions::failure::Failure;
use crate::conventions::list::{CsvFile, Page as Rows};
use crate::routes::{audit, trail};
use crate::table::Table;

pub(super) fn routes(table: Table) -> Table {
    table
        .get("/tenants/{tenant}/audit", "The audit trail of a tenant.", of_tenant)
        .get("/tenants/{tenant}/audit/csv", "The audit trail of a tenant, as CSV.", csv_of_tenant)
        .get("/audit", "The audit trail of the installation.", of_installation)
        .get("/audit/csv", "The audit trail of the installation, as CSV.", csv_of_installation)
}

/// How many events a page has.
const EVENTS: u32 = 50;

/// The query of the page. A form sends empty fields, too.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Filter {
    user: String,
    action: String,
    since: String,
    before: Option<u64>,
}

impl Filter {
    fn read(self, reader: &Reader) -> Result<(Asked, AuditFilter), Failure> {
        let wrong = |what: &str| Failure::bad_request("query-invalid", format!("the query is wrong: {what}"));
        let Self { user, action, since, before } = self;
        let moment = match since.as_str() {
            "" => None,
            text => {
                let day: Date = text.parse().map_err(|_| wrong("`since` is no day, as `2026-11-30`"))?;
                let begins =
                    day.to_zoned_datetime(reader.zone.clone()).map_err(|_| wrong("`since` is no day"))?;
                Some(Timestamp(begins.timestamp().as_millisecond()))
            }
        };
        let known = match action.as_str() {
            "" => None,
            text => Some(text.parse::<AuditAction>().map_err(|_| wrong("there is no such `action`"))?),
        };
        let filter = AuditFilter {
            action: known,
            user: Some(user.clone()).filter(|user| !user.is_empty()),
            since: moment,
            before: before.map(AuditEventId),
            limit: 0,
        };
        Ok((Asked { user, action, since }, filter))
    }
}

fn actions(is_of_installation: bool) -> Vec<&'static str> {
    let belongs = |action: &AuditAction| {
        let is_in_both = matches!(action.kind(), "token" | "audit");
        is_in_both || action.is_of_installation() == is_of_installation
    };
    AuditAction::ALL.into_iter().filter(belongs).map(AuditAction::as_str).collect()
}

fn shown(frame: &Frame, found: &Rows<AuditEvent>, asked: &Asked, is_later_page: bool) -> Markup {
    let is_of_installation = frame.tenant.is_none();
    let address = if is_of_installation { frame.top("audit") } else { frame.at("audit") };
    let trail = Shown {
        events: &found.rows,
        asked,
        actions: &actions(is_of_installation),
        address: &address,
        older: found.next.as_ref().and_then(|next| next.parse().ok()),
        is_later_page,
    };
    frame.page(&Head::new(Place::Audit, "Audit trail"), &page::trail(frame, &trail))
}

async fn of_tenant(
    visit: Visit<May<Administer, Trail>>,
    Query(query): Query<Filter>,
) -> Result<Page, Failure> {
    let is_later_page = query.before.is_some();
    let (asked, filter) = query.read(&visit.reader)?;
    let found = audit::some(visit.may.tenant().clone(), filter, None, EVENTS).await?;
    Ok(Page::ok(shown(&visit.frame().await?, &found, &asked, is_later_page)))
}

async fn of_installation(
    visit: Visit<May<Operate, InstallationTrail>>,
    Query(query): Query<Filter>,
) -> Result<Page, Failure> {
    let is_later_page = query.before.is_some();
    let (asked, filter) = query.read(&visit.reader)?;
    let found = trail::some(visit.may.accounts()?, filter, None, EVENTS).await?;
    Ok(Page::ok(shown(&visit.frame().await?, &found, &asked, is_later_page)))
}

async fn csv_of_tenant(
    visit: Visit<May<Administer, Trail>>,
    Query(query): Query<Filter>,
) -> Result<CsvFile<AuditEvent>, Failure> {
    let (tenant, (_, filter)) = (visit.may.tenant().clone(), query.read(&visit.reader)?);
    Ok(CsvFile::of("audit.csv", move |after, limit| {
        audit::some(tenant.clone(), filter.clone(), after, limit)
    }))
}

async fn csv_of_installation(
    visit: Visit<May<Operate, InstallationTrail>>,
    Query(query): Query<Filter>,
) -> Result<CsvFile<AuditEvent>, Failure> {
    let (accounts, (_, filter)) = (visit.may.accounts()?, query.read(&visit.reader)?);
    Ok(CsvFile::of("audit.csv", move |after, limit| {
        trail::some(accounts.clone(), filter.clone(), after, limit)
    }))
}
