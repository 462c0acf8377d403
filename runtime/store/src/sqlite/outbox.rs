//! The events of executions: each event is written in the transaction of its change.
//!
//! One process writes at a time, so numbers become visible in their order, and an event gets its number when it is
//! written. PostgreSQL cannot do so: see `postgres/outbox.rs`.

use rusqlite::{Connection as Db, OptionalExtension, named_params};
use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::event::{Checkpointed, EVENTS_PAGE_MAX, EventNumber};
use stepbox_batch::name::TenantId;
use stepbox_batch::ports::{EventPage, Listing};

use super::trouble::{Outcome, listed};
use crate::record::event::{CHECKPOINTED, COLUMNS, CheckpointedRecord, EventRecord, NewEvent};
use crate::record::{Listed, Row, stored};

/// How many events are deleted in one transaction.
pub(super) const DROPPED_TOGETHER: u64 = 10_000;

/// Adds an event. If its change is refused later in the same request, the event is rolled back with the change.
pub(super) fn append(db: &Db, tenant: &str, event: NewEvent) -> Outcome<()> {
    let NewEvent { execution_id, at, kind, status, position } = event;
    db.prepare_cached(
        "INSERT INTO execution_events (tenant, execution_id, at, kind, status, position)
         VALUES (:tenant, :execution_id, :at, :kind, :status, :position)",
    )?
    .execute(named_params! {
        ":tenant": tenant, ":execution_id": execution_id, ":at": at, ":kind": kind, ":status": status,
        ":position": position,
    })?;
    Ok(())
}

/// A page of events. All its values are as of one moment.
pub(super) fn after(
    db: &Db,
    tenant: Option<&TenantId>,
    after: EventNumber,
    limit: u32,
) -> Outcome<EventPage> {
    let dropped: i64 =
        db.prepare_cached("SELECT dropped FROM execution_event_stream")?.query_row([], |row| row.get(0))?;
    let limit = limit.min(EVENTS_PAGE_MAX);
    let (sql, after) = (page_statement(tenant.is_some()), stored(after.0));
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = match tenant {
        Some(tenant) => {
            statement.query(named_params! {":tenant": tenant.as_str(), ":after": after, ":limit": limit})?
        }
        None => statement.query(named_params! {":after": after, ":limit": limit})?,
    };
    let (mut events, mut next) = (Listing::default(), after);
    while let Some(row) = rows.next()? {
        next = row.get("number")?;
        let event = EventRecord::read(row).and_then(|record| Ok(record.into_event()?));
        events.push(listed(Listed::numbered("event", next), event)?);
    }
    if events.rows() < limit as usize {
        next = last(db)?.max(after);
    }
    let next = EventNumber(Row("the events".to_owned()).count("number", next)?);
    Ok(EventPage { events, next, is_complete: after >= dropped })
}

pub(super) fn page_statement(is_of_tenant: bool) -> String {
    let (index, condition) = match is_of_tenant {
        true => ("INDEXED BY execution_events_by_tenant", "v.tenant = :tenant AND"),
        false => ("NOT INDEXED", ""),
    };
    format!(
        "SELECT {COLUMNS} FROM execution_events v {index}
         JOIN job_executions e ON e.id = v.execution_id AND e.tenant = v.tenant
         LEFT JOIN step_executions s
             ON s.tenant = v.tenant AND s.execution_id = v.execution_id AND s.position = v.position
         WHERE {condition} v.number > :after ORDER BY v.number LIMIT :limit"
    )
}

/// The last number that was given.
pub(super) fn last(db: &Db) -> Outcome<i64> {
    let last = db
        .prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'execution_events'")?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(last.unwrap_or(0))
}

/// The steps of running executions that were saved at that moment or later.
pub(super) fn checkpointed(
    db: &Db,
    tenant: Option<&TenantId>,
    since: Timestamp,
    limit: u32,
) -> Outcome<Listing<Checkpointed>> {
    let mut statement = db.prepare_cached(&checkpointed_statement(tenant.is_some()))?;
    let (since, limit) = (since.0, limit.min(EVENTS_PAGE_MAX));
    let mut rows = match tenant {
        Some(tenant) => {
            statement.query(named_params! {":tenant": tenant.as_str(), ":since": since, ":limit": limit})?
        }
        None => statement.query(named_params! {":since": since, ":limit": limit})?,
    };
    let mut found = Listing::default();
    while let Some(row) = rows.next()? {
        let id = row.get("execution_id")?;
        let step = CheckpointedRecord::read(row).and_then(|record| Ok(record.into_checkpointed()?));
        found.push(listed(Listed::numbered("execution", id), step)?);
    }
    Ok(found)
}

pub(super) fn checkpointed_statement(is_of_tenant: bool) -> String {
    let (index, condition) = match is_of_tenant {
        true => ("job_executions_leased", "e.tenant = :tenant AND"),
        false => ("job_executions_by_lease", ""),
    };
    format!(
        "SELECT {CHECKPOINTED} FROM job_executions e INDEXED BY {index}
         JOIN step_executions s ON s.tenant = e.tenant AND s.execution_id = e.id
         WHERE {condition} e.lease_expires_at IS NOT NULL AND e.ended_at IS NULL
           AND s.ended_at IS NULL AND s.updated_at >= :since
         ORDER BY s.updated_at, s.execution_id, s.position LIMIT :limit"
    )
}

/// The last of the oldest events that are dropped together; `None` if no event must be dropped. The check does not
/// hold up writers.
pub(super) fn old_ones(db: &Db, before: Timestamp, kept_max: u64) -> Outcome<Option<i64>> {
    let beyond = last(db)?.saturating_sub(stored(kept_max));
    let last = db.prepare_cached(OLD_ONES)?.query_row(
        named_params! {":before": before.0, ":beyond": beyond, ":limit": stored(DROPPED_TOGETHER)},
        |row| row.get(0),
    )?;
    Ok(last)
}

pub(super) const OLD_ONES: &str = "SELECT max(number) FROM (
         SELECT number, at FROM execution_events ORDER BY number LIMIT :limit)
     WHERE at < :before OR number <= :beyond";

/// Deletes the events up to a number, and notes that a reader may miss some.
pub(super) fn drop_up_to(db: &Db, last: i64) -> Outcome<u64> {
    let gone = db
        .prepare_cached("DELETE FROM execution_events WHERE number <= :last")?
        .execute(named_params! {":last": last})?;
    db.prepare_cached("UPDATE execution_event_stream SET dropped = max(dropped, :last)")?
        .execute(named_params! {":last": last})?;
    Ok(gone as u64)
}
