//! The workers, and what each holds.

use stepbox_batch::clock::Timestamp;
use stepbox_batch::queue::{Held, Worker};

use super::connection::Db;
use super::trouble::Outcome;
use super::value::{Columns, named};
use crate::record::Row;
use crate::record::worker::{FORGOTTEN_MS, WorkerRecord};

pub(super) async fn beat(db: &Db, worker: &WorkerRecord) -> Outcome<()> {
    let WorkerRecord { name, started_at, seen_at, concurrency, is_stopping, takes, clock_skew_ms } = worker;
    let sql = "WITH forgotten AS (DELETE FROM workers WHERE seen_at < :before AND name <> :name)
               INSERT INTO workers (name, started_at, seen_at, concurrency, is_stopping, takes, clock_skew_ms)
               VALUES (:name, :started_at, :seen_at, :concurrency, :is_stopping, :takes, :clock_skew_ms)
               ON CONFLICT (name) DO UPDATE SET seen_at = excluded.seen_at,
                   concurrency = excluded.concurrency, is_stopping = excluded.is_stopping,
                   takes = excluded.takes, clock_skew_ms = excluded.clock_skew_ms";
    let values = named! {
        "name": name, "started_at": *started_at, "seen_at": *seen_at, "concurrency": *concurrency,
        "is_stopping": *is_stopping, "takes": takes, "clock_skew_ms": *clock_skew_ms,
        "before": seen_at - FORGOTTEN_MS,
    };
    db.execute(sql, &values).await.map(drop)
}

pub(super) async fn forget(db: &Db, name: &str) -> Outcome<()> {
    db.execute("DELETE FROM workers WHERE name = :name", &named! {"name": name}).await.map(drop)
}

pub(super) async fn list(db: &Db) -> Outcome<Vec<Worker>> {
    let sql = "SELECT name, started_at, seen_at, concurrency, is_stopping, takes, clock_skew_ms FROM workers ORDER BY name";
    let mut workers = Vec::new();
    for row in db.rows(sql, &[]).await? {
        let record = WorkerRecord {
            name: row.text("name")?,
            started_at: row.number("started_at")?,
            seen_at: row.number("seen_at")?,
            concurrency: row.number("concurrency")?,
            is_stopping: row.flag("is_stopping")?,
            takes: row.text("takes")?,
            clock_skew_ms: row.maybe_number("clock_skew_ms")?,
        };
        workers.push(record.into_worker()?);
    }
    Ok(workers)
}

pub(super) const HELD: &str =
    "SELECT coalesce(worker, '') AS worker, tenant, id, instance FROM job_executions
    WHERE is_running AND lease_expires_at > :now
    ORDER BY coalesce(worker, '') COLLATE \"C\", id";

/// What is leased. Of all tenants, on purpose: a process works for all of them.
pub(super) async fn held(db: &Db, now: Timestamp) -> Outcome<Vec<Held>> {
    let mut held = Vec::new();
    for found in db.rows(HELD, &named! {"now": now.0}).await? {
        let id = found.number("id")?;
        let row = Row(format!("execution {id}"));
        let (tenant, instance) =
            (row.name("tenant", found.text("tenant")?)?, row.name("instance", found.text("instance")?)?);
        held.push(Held { worker: found.text("worker")?, tenant, id: row.id("id", id)?, instance });
    }
    Ok(held)
}
