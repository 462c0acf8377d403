//! The workers, and the executions that each holds.

use rusqlite::{Connection as Db, named_params};
use stepbox_batch::clock::Timestamp;
use stepbox_batch::ports::Listing;
use stepbox_batch::worker::{Held, Worker};

use super::trouble::{Outcome, legible, listed};
use crate::record::Listed;
use crate::record::worker::{COLUMNS, FORGOTTEN_MS, WorkerRecord, held as read_held};

pub(super) fn beat(db: &Db, worker: &WorkerRecord) -> Outcome<()> {
    let WorkerRecord { name, started_at, seen_at, concurrency, is_stopping, takes, clock_skew_ms } = worker;
    db.prepare_cached(
        "INSERT INTO workers (name, started_at, seen_at, concurrency, is_stopping, takes, clock_skew_ms)
         VALUES (:name, :started_at, :seen_at, :concurrency, :is_stopping, :takes, :clock_skew_ms)
         ON CONFLICT (name) DO UPDATE SET seen_at = excluded.seen_at, concurrency = excluded.concurrency,
             is_stopping = excluded.is_stopping, takes = excluded.takes,
             clock_skew_ms = excluded.clock_skew_ms",
    )?
    .execute(named_params! {
        ":name": name, ":started_at": started_at, ":seen_at": seen_at,
        ":concurrency": concurrency, ":is_stopping": is_stopping, ":takes": takes,
        ":clock_skew_ms": clock_skew_ms,
    })?;
    db.prepare_cached("DELETE FROM workers WHERE seen_at < :before")?
        .execute(named_params! {":before": seen_at - FORGOTTEN_MS})?;
    Ok(())
}

/// Whether a worker is listed as alive.
pub(super) fn is_listed(db: &Db, name: &str) -> Outcome<bool> {
    Ok(db
        .prepare_cached("SELECT 1 FROM workers WHERE name = :name")?
        .exists(named_params! {":name": name})?)
}

pub(super) fn forget(db: &Db, name: &str) -> Outcome<()> {
    db.prepare_cached("DELETE FROM workers WHERE name = :name")?.execute(named_params! {":name": name})?;
    Ok(())
}

pub(super) fn list(db: &Db) -> Outcome<Listing<Worker>> {
    let mut statement = db.prepare_cached(&format!("SELECT {COLUMNS} FROM workers ORDER BY name"))?;
    let mut rows = statement.query([])?;
    let mut found = Listing::default();
    while let Some(row) = rows.next()? {
        let worker = WorkerRecord::read(row).and_then(|record| Ok(record.into_worker()?));
        found.push(listed(Listed::named("worker", legible(row, "name")?), worker)?);
    }
    Ok(found)
}

/// The leased executions. For all tenants, on purpose: a process works for all of them.
pub(super) fn held(db: &Db, now: Timestamp) -> Outcome<Listing<Held>> {
    let mut statement = db.prepare_cached(
        "SELECT coalesce(worker, '') AS worker, tenant, id, instance FROM job_executions
         WHERE lease_expires_at > :now AND ended_at IS NULL ORDER BY worker, id",
    )?;
    let mut rows = statement.query(named_params! {":now": now.0})?;
    let mut found = Listing::default();
    while let Some(row) = rows.next()? {
        found.push(listed(Listed::numbered("execution", row.get("id")?), read_held(row))?);
    }
    Ok(found)
}
