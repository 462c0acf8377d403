//! The audit trail of the installation.

use stepbox::Accounts;
use stepbox::batch::audit::{AuditEventId, AuditFilter};
use stepbox_api::audit::AuditEvent;
use stepbox_api::list::{DamagedRow, Row};
use stepbox_api::request::{PurgeAudit, PurgedAudit};

use super::audit::{Filter, refuse_no_days};
use super::executions::newest_first;
use crate::access::{Installation, InstallationTrail, May, Operate};
use crate::conventions::answer::Shown;
use crate::conventions::failure::Failure;
use crate::conventions::input::Body;
use crate::conventions::list::{List, Listed, Page};
use crate::table::Table;

pub(super) fn routes(table: Table) -> Table {
    table.get("/audit", "The audit trail of the installation, newest first.", list).post(
        "/audit/purge",
        "Delete old events of the installation's audit trail.",
        purge,
    )
}

async fn list(
    may: May<Operate, InstallationTrail>,
    Listed { page, filter }: Listed<Filter>,
) -> Result<List<AuditEvent>, Failure> {
    let (accounts, filter) = (may.accounts()?, filter.read()?);
    Ok(List::paged(page, move |after, limit| some(accounts.clone(), filter.clone(), after, limit)))
}

async fn purge(
    may: May<Operate, Installation>,
    Body(PurgeAudit { older_than_days }): Body<PurgeAudit>,
) -> Result<Shown<PurgedAudit>, Failure> {
    refuse_no_days(older_than_days)?;
    Ok(Shown(PurgedAudit { events: may.accounts()?.purge_audit(older_than_days).await? }))
}

pub(crate) async fn some(
    accounts: Accounts,
    filter: AuditFilter,
    after: Option<String>,
    limit: u32,
) -> Result<Page<AuditEvent>, Failure> {
    let before = after.and_then(|key| key.parse().ok()).map(AuditEventId).or(filter.before);
    let found = accounts.audit(&AuditFilter { before, limit: limit + 1, ..filter }).await?;
    let whole = found.items.iter().map(|event| (event.id.0, Row::Whole(AuditEvent::of(event))));
    let damaged =
        found.damaged.iter().filter_map(|row| Some((row.number?, Row::Damaged(DamagedRow::of(row)))));
    Ok(newest_first(whole.chain(damaged).collect(), limit))
}
