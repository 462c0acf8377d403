//! The workers, and what each holds.

use rusqlite::{Connection as Db, named_params};
use stepbox_batch::clock::Timestamp;
use stepbox_batch::queue::{Held, Worker};

use super::trouble::Outcome;
use crate::record::Row;
use crate::record::worker::{FORGOTTEN_MS, WorkerRecord};

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

pub(super) fn forget(db: &Db, name: &str) -> Outcome<()> {
    db.prepare_cached("DELETE FROM workers WHERE name = :name")?.execute(named_params! {":name": name})?;
    Ok(())
}

pub(super) fn list(db: &Db) -> Outcome<Vec<Worker>> {
    let mut statement = db.prepare_cached(
        "SELECT name, started_at, seen_at, concurrency, is_stopping, takes, clock_skew_ms FROM workers ORDER BY name",
    )?;
    let records = statement.query_map([], |row| {
        Ok(WorkerRecord {
            name: row.get(0)?,
            started_at: row.get(1)?,
            seen_at: row.get(2)?,
            concurrency: row.get(3)?,
            is_stopping: row.get(4)?,
            takes: row.get(5)?,
            clock_skew_ms: row.get(6)?,
        })
    })?;
    records.map(|record| Ok(record?.into_worker()?)).collect()
}

/// What is leased. Of all tenants, on purpose: a process works for all of them.
pub(super) fn held(db: &Db, now: Timestamp) -> Outcome<Vec<Held>> {
    let mut statement = db.prepare_cached(
        "SELECT coalesce(worker, '') AS worker, tenant, id, instance FROM job_executions
         WHERE lease_expires_at > :now AND ended_at IS NULL ORDER BY worker, id",
    )?;
    let rows = statement.query_map(named_params! {":now": now.0}, |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
    })?;
    let mut held = Vec::new();
    for found in rows {
        let (worker, tenant, id, instance): (String, String, i64, String) = found?;
        let row = Row(format!("execution {id}"));
        let (tenant, instance) = (row.name("tenant", tenant)?, row.name("instance", instance)?);
        held.push(Held { worker, tenant, id: row.id("id", id)?, instance });
    }
    Ok(held)
}
