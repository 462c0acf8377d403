//! The events of executions: each event is written in the transaction of its change, and numbered by its readers.
//!
//! Transactions take numbers from a sequence in one order and commit in another, so a reader that goes by such
//! numbers misses an event that commits late. To prevent that, writers would have to commit one after the other,
//! each with its own wait for the disk. So an event is written without a number (`new_execution_events`). A reader
//! that has read all numbered events gives numbers to the new ones that it sees, one reader at a time, and commits
//! that before it returns them. An event that commits later gets a later number. Writers never wait, and make no
//! more round trips.

use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::event::{Checkpointed, EVENTS_PAGE_MAX, EventNumber};
use stepbox_batch::name::TenantId;
use stepbox_batch::ports::{EventPage, Listing};

use super::connection::Db;
use super::trouble::{Outcome, listed};
use super::value::named;
use crate::record::columns::Columns;
use crate::record::event::{CHECKPOINTED, COLUMNS, CheckpointedRecord, EventRecord, NewEvent};
use crate::record::{Listed, Row, stored};

/// How many events are numbered, or deleted, in one transaction.
pub(super) const TOGETHER: i64 = 10_000;

/// The first part of the statement that inserts events; a list of columns and rows follows.
pub(super) const INSERT: &str =
    "INSERT INTO new_execution_events (tenant, execution_id, at, kind, status, position)";

/// Adds an event, in the transaction of its change.
pub(super) async fn append(db: &Db, tenant: &str, event: NewEvent) -> Outcome<()> {
    let NewEvent { execution_id, at, kind, status, position } = event;
    let sql = format!("{INSERT} VALUES (:tenant, :execution_id, :at, :kind, :status, :position)");
    let values = named! {
        "tenant": tenant, "execution_id": execution_id, "at": at, "kind": kind, "status": status,
        "position": position,
    };
    db.execute(&sql, &values).await.map(drop)
}

/// A page of events. New ones are numbered if there is room for them on the page.
pub(super) async fn after(
    db: &Db,
    tenant: Option<&TenantId>,
    after: EventNumber,
    limit: u32,
) -> Outcome<EventPage> {
    let limit = limit.min(EVENTS_PAGE_MAX);
    let page = numbered_after(db, tenant, after, limit).await?;
    if page.events.rows() >= limit as usize || !has_new(db).await? {
        return Ok(page);
    }
    number(db).await?;
    numbered_after(db, tenant, after, limit).await
}

/// Whether events wait for a number.
async fn has_new(db: &Db) -> Outcome<bool> {
    let row = db.row(HAS_NEW, &[]).await?;
    row.map_or(Ok(false), |row| row.flag("has_new"))
}

pub(super) const HAS_NEW: &str = "SELECT EXISTS (SELECT FROM new_execution_events) AS has_new";

/// No other process gives numbers, or drops events, before the transaction ends.
const LOCK: &str = "SELECT last FROM execution_event_stream WHERE is_here FOR UPDATE";

/// Gives numbers to new events, oldest first. The lock is taken in a statement of its own, so that the next
/// statement sees everything that the last holder of the lock has done.
async fn number(db: &Db) -> Outcome<()> {
    let values = named! {"limit": TOGETHER};
    db.prepare_all([(LOCK, &[][..]), (NUMBER, &values[..])].into_iter()).await?;
    tokio::try_join!(
        biased;
        db.run("BEGIN"),
        db.rows(LOCK, &[]),
        db.execute(NUMBER, &values),
        db.run("COMMIT"),
    )
    .map(drop)
}

pub(super) const NUMBER: &str = "
    WITH taken AS (
        DELETE FROM new_execution_events
        WHERE id = ANY(ARRAY(SELECT id FROM new_execution_events ORDER BY id LIMIT :limit))
        RETURNING id, tenant, execution_id, at, kind, status, position),
    numbered AS (
        INSERT INTO execution_events (number, tenant, execution_id, at, kind, status, position)
        SELECT (SELECT last FROM execution_event_stream WHERE is_here) + row_number() OVER (ORDER BY id),
               tenant, execution_id, at, kind, status, position
        FROM taken
        RETURNING number)
    UPDATE execution_event_stream SET last = (SELECT max(number) FROM numbered)
    WHERE is_here AND EXISTS (SELECT FROM numbered)";

/// A page of events that have numbers.
async fn numbered_after(
    db: &Db,
    tenant: Option<&TenantId>,
    after: EventNumber,
    limit: u32,
) -> Outcome<EventPage> {
    let after = stored(after.0);
    let stream = "SELECT last, dropped FROM execution_event_stream WHERE is_here";
    let (mut last, mut dropped) = (0, 0);
    if let Some(row) = db.row(stream, &[]).await? {
        (last, dropped) = (row.number("last")?, row.number("dropped")?);
    }
    // Only up to the last number that was read before. Otherwise a page could have an event that its `next` does
    // not cover.
    let mut values = Vec::from(named! {"after": after, "last": last, "limit": i64::from(limit)});
    if let Some(tenant) = tenant {
        values.push(("tenant", tenant.as_str().into()));
    }
    let (mut events, mut next) = (Listing::default(), after);
    for row in db.rows(&page_statement(tenant.is_some()), &values).await? {
        next = row.number("number")?;
        let event = EventRecord::read(&row).and_then(|record| Ok(record.into_event()?));
        events.push(listed(Listed::numbered("event", next), event)?);
    }
    if events.rows() < limit as usize {
        next = last.max(after);
    }
    let next = EventNumber(Row("the events".to_owned()).count("number", next)?);
    Ok(EventPage { events, next, is_complete: after >= dropped })
}

pub(super) fn page_statement(is_of_tenant: bool) -> String {
    let condition = if is_of_tenant { "v.tenant = :tenant AND" } else { "" };
    format!(
        "SELECT {COLUMNS} FROM execution_events v
         CROSS JOIN LATERAL (
             SELECT instance, partition_of, restart_of, exit_code FROM job_executions
             WHERE tenant = v.tenant AND id = v.execution_id OFFSET 0) e
         LEFT JOIN LATERAL (
             SELECT name FROM step_executions
             WHERE tenant = v.tenant AND execution_id = v.execution_id AND position = v.position OFFSET 0) s ON TRUE
         WHERE {condition} v.number > :after AND v.number <= :last ORDER BY v.number LIMIT :limit"
    )
}

/// Whether there may be an event after that number.
pub(super) async fn may_be_after(db: &Db, after: EventNumber) -> Outcome<bool> {
    let row = db.row(MAY_BE_AFTER, &named! {"after": stored(after.0)}).await?;
    row.map_or(Ok(false), |row| row.flag("may_be"))
}

pub(super) const MAY_BE_AFTER: &str = "
    SELECT EXISTS (SELECT FROM new_execution_events)
        OR EXISTS (SELECT FROM execution_event_stream WHERE is_here AND last > :after) AS may_be";

/// The steps of running executions that were saved at that moment or later.
pub(super) async fn checkpointed(
    db: &Db,
    tenant: Option<&TenantId>,
    since: Timestamp,
    limit: u32,
) -> Outcome<Listing<Checkpointed>> {
    let limit = i64::from(limit.min(EVENTS_PAGE_MAX));
    let mut values = Vec::from(named! {"since": since.0, "limit": limit});
    if let Some(tenant) = tenant {
        values.push(("tenant", tenant.as_str().into()));
    }
    let mut found = Listing::default();
    for row in db.rows(&checkpointed_statement(tenant.is_some()), &values).await? {
        let step = CheckpointedRecord::read(&row).and_then(|record| Ok(record.into_checkpointed()?));
        found.push(listed(Listed::numbered("execution", row.number("execution_id")?), step)?);
    }
    Ok(found)
}

pub(super) fn checkpointed_statement(is_of_tenant: bool) -> String {
    let condition = if is_of_tenant { "e.tenant = :tenant AND" } else { "" };
    format!(
        "SELECT {CHECKPOINTED} FROM job_executions e
         JOIN step_executions s ON s.tenant = e.tenant AND s.execution_id = e.id
         WHERE {condition} e.is_running AND s.ended_at IS NULL AND s.updated_at >= :since
         ORDER BY s.updated_at, s.execution_id, s.position LIMIT :limit"
    )
}

/// Deletes the oldest events, numbered or not, and notes that a reader may miss some. In a transaction.
pub(super) async fn drop_some(db: &Db, before: Timestamp, kept_max: u64) -> Outcome<u64> {
    db.rows(LOCK, &[]).await?;
    let values = named! {
        "before": before.0, "kept_max": stored(kept_max), "limit": TOGETHER,
    };
    let row = db.row(DROP_NUMBERED, &values).await?;
    let numbered = row.map_or(Ok(0), |row| row.number("gone"))?;
    let row = db.row(DROP_NEW, &values).await?;
    let new = row.map_or(Ok(0), |row| row.number("gone"))?;
    if new > 0 {
        // Their numbers would have followed all others. A number that no event has is used instead of them.
        let sql = "UPDATE execution_event_stream SET last = last + 1, dropped = last + 1 WHERE is_here";
        db.execute(sql, &[]).await?;
    }
    Ok(u64::try_from(numbered + new).unwrap_or(0))
}

pub(super) const DROP_NUMBERED: &str = "
    WITH oldest AS (SELECT number, at FROM execution_events ORDER BY number LIMIT :limit),
    gone AS (
        DELETE FROM execution_events WHERE number <= (
            SELECT max(o.number) FROM oldest o, execution_event_stream s
            WHERE o.at < :before
               OR o.number <= s.last - :kept_max
                  + coalesce((SELECT max(id) - min(id) + 1 FROM new_execution_events), 0))
        RETURNING number),
    noted AS (
        UPDATE execution_event_stream SET dropped = greatest(dropped, (SELECT max(number) FROM gone))
        WHERE is_here AND EXISTS (SELECT FROM gone))
    SELECT count(*) AS gone FROM gone";

pub(super) const DROP_NEW: &str = "
    WITH oldest AS (SELECT id, at FROM new_execution_events ORDER BY id LIMIT :limit),
    gone AS (
        DELETE FROM new_execution_events WHERE id <= (
            SELECT max(id) FROM oldest
            WHERE at < :before OR id <= (SELECT max(id) FROM new_execution_events) - :kept_max)
        RETURNING id)
    SELECT count(*) AS gone FROM gone";

/// Whether old events must be dropped. The check locks nothing.
pub(super) async fn has_old_ones(db: &Db, before: Timestamp, kept_max: u64) -> Outcome<bool> {
    let row = db.row(HAS_OLD_ONES, &named! {"before": before.0, "kept_max": stored(kept_max)}).await?;
    row.map_or(Ok(false), |row| row.flag("has_old_ones"))
}

pub(super) const HAS_OLD_ONES: &str = "
    SELECT coalesce((SELECT at < :before FROM execution_events ORDER BY number LIMIT 1), FALSE)
        OR coalesce((SELECT at < :before FROM new_execution_events ORDER BY id LIMIT 1), FALSE)
        OR coalesce((SELECT max(number) - min(number) + 1 FROM execution_events), 0)
           + coalesce((SELECT max(id) - min(id) + 1 FROM new_execution_events), 0) > :kept_max AS has_old_ones";
