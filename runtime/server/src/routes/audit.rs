//! The audit trail: who did what, and when.

use serde::Deserialize;
use stepbox::Tenant;
use stepbox::batch::audit::{AuditEventId, AuditFilter};
use stepbox::batch::clock::Timestamp;
use stepbox_api::audit::AuditEvent;
use stepbox_api::list::{DamagedRow, Row};
use stepbox_api::request::{PurgeAudit, PurgedAudit};
use utoipa::ToSchema;

use super::executions::newest_first;
use crate::access::{Administer, May, TheTenant, Trail};
use crate::conventions::answer::Shown;
use crate::conventions::failure::Failure;
use crate::conventions::input::Body;
use crate::conventions::list::{List, Listed, Page};
use crate::table::Table;

pub(super) fn routes(table: Table) -> Table {
    table.get("/tenants/{tenant}/audit", "The audit trail of a tenant, newest first.", list).post(
        "/tenants/{tenant}/audit/purge",
        "Delete old events of the audit trail.",
        purge,
    )
}

/// Which events are listed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    /// Only those of this action: `instance-created`.
    action: Option<String>,
    /// Only those of this user.
    user: Option<String>,
    /// Only those of this moment and later, in RFC 3339.
    since: Option<String>,
    /// Only those with a smaller number.
    before: Option<u64>,
}

impl Filter {
    pub(crate) fn read(self) -> Result<AuditFilter, Failure> {
        let wrong =
            |what: String| Failure::bad_request("query-invalid", format!("the query is wrong: {what}"));
        let since = self.since.map(|text| text.parse::<jiff::Timestamp>()).transpose();
        let since = since.map_err(|_| wrong("`since` is no moment of RFC 3339".to_owned()))?;
        let action = self.action.map(|text| text.parse()).transpose();
        Ok(AuditFilter {
            action: action.map_err(|_| wrong("there is no such `action`".to_owned()))?,
            user: self.user,
            since: since.map(|at| Timestamp(at.as_millisecond())),
            before: self.before.map(AuditEventId),
            limit: 0,
        })
    }
}

async fn list(
    may: May<Administer, Trail>,
    Listed { page, filter }: Listed<Filter>,
) -> Result<List<AuditEvent>, Failure> {
    let (tenant, filter) = (may.tenant().clone(), filter.read()?);
    Ok(List::paged(page, move |after, limit| some(tenant.clone(), filter.clone(), after, limit)))
}

pub(crate) async fn some(
    tenant: Tenant,
    filter: AuditFilter,
    after: Option<String>,
    limit: u32,
) -> Result<Page<AuditEvent>, Failure> {
    let before = after.and_then(|key| key.parse().ok()).map(AuditEventId).or(filter.before);
    let found = tenant.audit(&AuditFilter { before, limit: limit + 1, ..filter }).await?;
    let whole = found.items.iter().map(|event| (event.id.0, Row::Whole(AuditEvent::of(event))));
    let damaged =
        found.damaged.iter().filter_map(|row| Some((row.number?, Row::Damaged(DamagedRow::of(row)))));
    Ok(newest_first(whole.chain(damaged).collect(), limit))
}

async fn purge(
    may: May<Administer, TheTenant>,
    Body(PurgeAudit { older_than_days }): Body<PurgeAudit>,
) -> Result<Shown<PurgedAudit>, Failure> {
    refuse_no_days(older_than_days)?;
    Ok(Shown(PurgedAudit { events: may.tenant().purge_audit(older_than_days).await? }))
}

/// Refuses to delete everything up to now.
pub(super) fn refuse_no_days(older_than_days: u32) -> Result<(), Failure> {
    if older_than_days > 0 {
        return Ok(());
    }
    let failure = Failure::bad_request("body-invalid", "the body is not what is expected: no days");
    Err(failure.with_part("/older_than_days".to_owned(), "is at least 1"))
}
