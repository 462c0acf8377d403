//! The audit trail: each change writes its event in its own transaction.

use stepbox_batch::actor::Actor;
use stepbox_batch::audit::{AuditEvent, AuditFilter, Deed};
use stepbox_batch::clock::Timestamp;
use stepbox_batch::ports::{EVENTS_PURGED_TOGETHER, Listing};

use super::connection::Db;
use super::trouble::{Outcome, listed};
use super::value::{Value, named};
use crate::record::audit::{AuditRecord, COLUMNS, Trail};
use crate::record::columns::Columns;
use crate::record::{Listed, stored};

/// Adds an event. If its change is refused later in the same transaction, the event is rolled back with the change.
pub(super) async fn append<'a>(db: &Db, trail: impl Into<Trail<'a>>, deed: &Deed, by: &Actor) -> Outcome<()> {
    let trail = trail.into();
    let AuditRecord { id: _, at, user_name, action, subject, detail } = AuditRecord::new(deed, by);
    let sql = "INSERT INTO audit_events (tenant, at, user_name, action, subject, detail)
               VALUES (:tenant, :at, :user_name, :action, :subject, :detail)";
    let values = named! {
        "tenant": trail.as_str(), "at": at, "user_name": &user_name, "action": &action,
        "subject": &subject, "detail": &detail,
    };
    db.execute(sql, &values).await.map(drop)
}

pub(super) async fn list(db: &Db, trail: Trail<'_>, filter: &AuditFilter) -> Outcome<Listing<AuditEvent>> {
    let AuditFilter { action, user, since, before, limit } = filter;
    let action = action.map(|action| action.to_string());
    let wanted = [
        Some(("tenant", "tenant = :tenant", Value::from(trail.as_str()))),
        action.as_ref().map(|action| ("action", "action = :action", Value::from(action))),
        user.as_ref().map(|user| ("user_name", "user_name = :user_name", Value::from(user))),
        since.map(|moment| ("since", "at >= :since", Value::from(moment.0))),
        before.map(|id| ("before", "id < :before", Value::from(stored(id.0)))),
    ];
    let mut values = vec![("limit", limit_of(*limit))];
    let mut conditions = Vec::new();
    for (name, condition, value) in wanted.into_iter().flatten() {
        values.push((name, value));
        conditions.push(condition);
    }
    let sql = format!(
        "SELECT {COLUMNS} FROM audit_events
         WHERE {} ORDER BY id DESC LIMIT :limit",
        conditions.join(" AND ")
    );
    let mut found = Listing::default();
    for row in db.rows(&sql, &values).await? {
        let event = AuditRecord::read(&row).and_then(|record| Ok(record.into_event()?));
        found.push(listed(Listed::numbered("event", row.number("id")?), event)?);
    }
    Ok(found)
}

/// Null means no limit.
pub(super) fn limit_of(limit: u32) -> Value<'static> {
    Value::Number((limit > 0).then_some(limit.into()))
}

pub(super) const PURGE: &str = "DELETE FROM audit_events WHERE tenant = :tenant AND at < :before AND id IN (
         SELECT id FROM audit_events WHERE tenant = :tenant AND at < :before ORDER BY id LIMIT :limit)";

/// Deletes older events, at most as many as one transaction may delete, and writes an event about it, which is not
/// deleted. Later passes write an event only if they have deleted something.
pub(super) async fn purge(
    db: &Db,
    trail: Trail<'_>,
    before: Timestamp,
    is_first: bool,
    by: &Actor,
) -> Outcome<u64> {
    let values = named! {
        "tenant": trail.as_str(), "before": before.0, "limit": i64::from(EVENTS_PURGED_TOGETHER),
    };
    let gone = db.execute(PURGE, &values).await?;
    if is_first || gone > 0 {
        append(db, trail, &Deed::audit_purged(before, gone), by).await?;
    }
    Ok(gone)
}
