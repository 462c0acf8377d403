//! The entries of the queue. `submit.rs` puts them in and chooses among them.

use rusqlite::{Connection as Db, named_params};
use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::queue::{QueueDepth, QueueEntry, QueueState};
use stepbox_batch::execution::rescue::Loss;
use stepbox_batch::name::TenantId;

use super::row::first;
use super::trouble::{Outcome, legible, listed};
use crate::numbers::{claimed, delayed, paused, waiting};
use crate::record::Listed;
use crate::record::queue::{ENTRY_COLUMNS, depth, entry as read_entry};

/// Marks the entry of an execution as claimed, if there is an entry.
pub(super) fn mark_claimed(db: &Db, id: i64) -> Outcome<()> {
    db.prepare_cached(concat!("UPDATE queue_entries SET state = ", claimed!(), " WHERE execution_id = :id"))?
        .execute(named_params! {":id": id})?;
    Ok(())
}

/// Releases the entry of an execution that no worker holds any more. It is deleted if the execution has ended. Else it
/// waits for the next worker or, after a pause request, until the execution is resumed.
pub(super) fn let_go(db: &Db, id: i64) -> Outcome<()> {
    db.prepare_cached(
        "DELETE FROM queue_entries WHERE execution_id = :id
           AND EXISTS (SELECT 1 FROM job_executions WHERE id = :id AND ended_at IS NOT NULL)",
    )?
    .execute(named_params! {":id": id})?;
    db.prepare_cached(concat!(
        "UPDATE queue_entries
         SET state = iif(e.pause_requested_at IS NULL, ",
        waiting!(),
        ", ",
        paused!(),
        "), available_at = e.updated_at
         FROM job_executions e WHERE e.id = :id AND execution_id = :id"
    ))?
    .execute(named_params! {":id": id})?;
    Ok(())
}

/// Whether a claim would find an entry.
pub(super) fn has_work(db: &Db, now: i64) -> Outcome<bool> {
    let has_work = db
        .prepare_cached(concat!(
            "SELECT EXISTS (SELECT 1 FROM queue_entries INDEXED BY queue_entries_waiting WHERE state = ",
            waiting!(),
            ") OR EXISTS (SELECT 1 FROM queue_entries WHERE state = ",
            delayed!(),
            " AND available_at <= :now)"
        ))?
        .query_row(named_params! {":now": now}, |row| row.get(0))?;
    Ok(has_work)
}

/// Makes an entry wait again after its worker was lost; after a pause request, until the execution is resumed.
pub(super) fn requeue(db: &Db, id: i64, loss: &Loss, now: Timestamp) -> Outcome<()> {
    let available_at = loss.available_at(now);
    let state = if available_at > now { QueueState::Delayed } else { QueueState::Waiting };
    db.prepare_cached(concat!(
        "UPDATE queue_entries
         SET state = iif(e.pause_requested_at IS NULL, :state, ",
        paused!(),
        "), losses = :losses, available_at = :available_at
         FROM job_executions e WHERE e.id = :id AND execution_id = :id"
    ))?
    .execute(named_params! {
        ":state": state.number(), ":losses": loss.losses, ":available_at": available_at.0, ":id": id,
    })?;
    Ok(())
}

pub(super) fn entry(db: &Db, tenant: &TenantId, id: i64) -> Outcome<Option<QueueEntry>> {
    let sql =
        format!("SELECT {ENTRY_COLUMNS} FROM queue_entries WHERE tenant = :tenant AND execution_id = :id");
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query(named_params! {":tenant": tenant.as_str(), ":id": id})?;
    first(rows, |row| read_entry(id, row))
}

/// How many entries are in the queue. For all tenants, on purpose: this is for the operator.
pub(super) fn depths(db: &Db) -> Outcome<Vec<QueueDepth>> {
    let mut statement = db.prepare_cached(DEPTHS)?;
    let mut rows = statement.query([])?;
    let mut depths = Vec::new();
    while let Some(row) = rows.next()? {
        let depth = depth(row);
        depths.extend(listed(Listed::named("queue", legible(row, "tenant")?), depth)?.ok());
    }
    Ok(depths)
}

pub(super) const DEPTHS: &str =
    "SELECT tenant, state, count(*) AS count, min(available_at) AS oldest FROM queue_entries
     WHERE execution_id NOT IN (SELECT id FROM job_executions WHERE set_aside IS NOT NULL)
     GROUP BY tenant, state ORDER BY tenant, state";

/// Delayed entries whose time has come are waiting from now on.
pub(super) fn promote(db: &Db, now: i64) -> Outcome<()> {
    db.prepare_cached(concat!(
        "UPDATE queue_entries SET state = ",
        waiting!(),
        " WHERE state = ",
        delayed!(),
        " AND available_at <= :now"
    ))?
    .execute(named_params! {":now": now})?;
    Ok(())
}
