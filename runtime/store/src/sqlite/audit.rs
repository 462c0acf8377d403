//! The audit trail: each change writes its event in its own transaction.

use rusqlite::types::Value;
use rusqlite::{Connection as Db, named_params, params_from_iter};
use stepbox_batch::actor::Actor;
use stepbox_batch::audit::{AuditEvent, AuditFilter, Deed};
use stepbox_batch::clock::Timestamp;
use stepbox_batch::ports::{EVENTS_PURGED_TOGETHER, Listing};

use super::trouble::{Outcome, listed};
use crate::record::audit::{AuditRecord, COLUMNS, Trail};
use crate::record::{Listed, stored};

/// Adds an event. If its change is refused later in the same request, the event is rolled back with the change.
pub(super) fn append<'a>(db: &Db, trail: impl Into<Trail<'a>>, deed: &Deed, by: &Actor) -> Outcome<()> {
    let AuditRecord { id: _, at, user_name, action, subject, detail } = AuditRecord::new(deed, by);
    db.prepare_cached(
        "INSERT INTO audit_events (tenant, at, user_name, action, subject, detail)
         VALUES (:tenant, :at, :user_name, :action, :subject, :detail)",
    )?
    .execute(named_params! {
        ":tenant": trail.into().as_str(), ":at": at, ":user_name": user_name, ":action": action,
        ":subject": subject, ":detail": detail,
    })?;
    Ok(())
}

pub(super) fn list(db: &Db, trail: Trail<'_>, filter: &AuditFilter) -> Outcome<Listing<AuditEvent>> {
    let (sql, values) = list_statement(trail, filter);
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut found = Listing::default();
    while let Some(row) = rows.next()? {
        let event = AuditRecord::read(row).and_then(|record| Ok(record.into_event()?));
        found.push(listed(Listed::numbered("event", row.get("id")?), event)?);
    }
    Ok(found)
}

/// The statement of a list, and its values.
pub(super) fn list_statement(trail: Trail<'_>, filter: &AuditFilter) -> (String, Vec<Value>) {
    let AuditFilter { action, user, since, before, limit } = filter;
    let wanted = [
        Some(("tenant = ?", Value::from(trail.as_str().to_owned()))),
        action.map(|action| ("action = ?", Value::from(action.to_string()))),
        user.as_ref().map(|user| ("user_name = ?", Value::from(user.clone()))),
        since.map(|moment| ("at >= ?", Value::from(moment.0))),
        before.map(|id| ("id < ?", Value::from(stored(id.0)))),
    ];
    let (conditions, values): (Vec<_>, Vec<_>) = wanted.into_iter().flatten().unzip();
    let index = if action.is_some() { "audit_events_by_action" } else { "audit_events_by_moment" };
    let sql = format!(
        "SELECT {COLUMNS} FROM audit_events INDEXED BY {index}
         WHERE {} ORDER BY id DESC LIMIT {}",
        conditions.join(" AND "),
        // For SQLite, a negative limit means all.
        if *limit == 0 { -1 } else { i64::from(*limit) },
    );
    (sql, values)
}

/// The last of the events after `after` that are deleted together; `None` if there are no more.
pub(super) fn old_ones(db: &Db, trail: Trail<'_>, before: Timestamp, after: i64) -> Outcome<Option<i64>> {
    let last = db.prepare_cached(OLD_ONES)?.query_row(
        named_params! {
            ":tenant": trail.as_str(), ":before": before.0, ":after": after,
            ":limit": EVENTS_PURGED_TOGETHER,
        },
        |row| row.get(0),
    )?;
    Ok(last)
}

pub(super) const OLD_ONES: &str = "SELECT max(id) FROM (
         SELECT id FROM audit_events INDEXED BY audit_events_by_moment
         WHERE tenant = :tenant AND id > :after AND at < :before ORDER BY id LIMIT :limit)";

/// Deletes the older ones of these events, and writes an event about it, which is not deleted.
pub(super) fn purge(
    db: &Db,
    trail: Trail<'_>,
    before: Timestamp,
    (after, last): (i64, i64),
    by: &Actor,
) -> Outcome<u64> {
    let gone = db.prepare_cached(PURGE)?.execute(named_params! {
        ":tenant": trail.as_str(), ":before": before.0, ":after": after, ":last": last,
    })?;
    append(db, trail, &Deed::audit_purged(before, gone as u64), by)?;
    Ok(gone as u64)
}

pub(super) const PURGE: &str = "DELETE FROM audit_events
     WHERE id > :after AND id <= :last AND +tenant = :tenant AND at < :before";
