//! The audit trail: written by whatever changes something, within its transaction.

use rusqlite::types::Value;
use rusqlite::{Connection as Db, Row as SqlRow, named_params, params_from_iter};
use stepbox_batch::audit::{Actor, AuditEvent, AuditFilter, Deed};
use stepbox_batch::clock::Timestamp;
use stepbox_batch::name::TenantId;

use super::trouble::Outcome;
use crate::record::audit::AuditRecord;
use crate::record::stored;

/// Adds an event. If what it tells of is refused later in the same request, it is taken back with it.
pub(super) fn append(db: &Db, tenant: &TenantId, deed: &Deed, by: &Actor) -> Outcome<()> {
    let AuditRecord { id: _, at, user_name, action, subject, detail } = AuditRecord::new(deed, by);
    db.prepare_cached(
        "INSERT INTO audit_events (tenant, at, user_name, action, subject, detail)
         VALUES (:tenant, :at, :user_name, :action, :subject, :detail)",
    )?
    .execute(named_params! {
        ":tenant": tenant.as_str(), ":at": at, ":user_name": user_name, ":action": action,
        ":subject": subject, ":detail": detail,
    })?;
    Ok(())
}

pub(super) fn list(db: &Db, tenant: &TenantId, filter: &AuditFilter) -> Outcome<Vec<AuditEvent>> {
    let AuditFilter { action, user, since, before, limit } = filter;
    let wanted = [
        Some(("tenant = ?", Value::from(tenant.to_string()))),
        action.map(|action| ("action = ?", Value::from(action.to_string()))),
        user.as_ref().map(|user| ("user_name = ?", Value::from(user.clone()))),
        since.map(|moment| ("at >= ?", Value::from(moment.0))),
        before.map(|id| ("id < ?", Value::from(stored(id.0)))),
    ];
    let (conditions, values): (Vec<_>, Vec<_>) = wanted.into_iter().flatten().unzip();
    let sql = format!(
        "SELECT id, at, user_name, action, subject, detail FROM audit_events
         WHERE {} ORDER BY id DESC LIMIT {}",
        conditions.join(" AND "),
        // For SQLite, a negative limit means all.
        if *limit == 0 { -1 } else { i64::from(*limit) },
    );
    let mut statement = db.prepare_cached(&sql)?;
    let records = statement.query_map(params_from_iter(values), record)?;
    records.map(|record| Ok(record?.into_event()?)).collect()
}

fn record(row: &SqlRow<'_>) -> rusqlite::Result<AuditRecord> {
    Ok(AuditRecord {
        id: row.get("id")?,
        at: row.get("at")?,
        user_name: row.get("user_name")?,
        action: row.get("action")?,
        subject: row.get("subject")?,
        detail: row.get("detail")?,
    })
}

/// Deletes what is older, and says so in an event that is not.
pub(super) fn purge(db: &Db, tenant: &TenantId, before: Timestamp, by: &Actor) -> Outcome<u64> {
    let gone = db
        .prepare_cached("DELETE FROM audit_events WHERE tenant = :tenant AND at < :before")?
        .execute(named_params! {":tenant": tenant.as_str(), ":before": before.0})?;
    append(db, tenant, &Deed::audit_purged(before, gone as u64), by)?;
    Ok(gone as u64)
}
