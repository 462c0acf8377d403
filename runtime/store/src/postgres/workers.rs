//! The workers, and what each holds.

use stepbox_batch::clock::Timestamp;
use stepbox_batch::ports::Listing;
use stepbox_batch::worker::{Held, Worker};
use tokio_postgres::Row as SqlRow;

use super::connection::Db;
use super::trouble::{Outcome, listed};
use super::value::{Columns, named};
use crate::record::worker::{FORGOTTEN_MS, WorkerRecord};
use crate::record::{Listed, Row};

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

pub(super) async fn list(db: &Db) -> Outcome<Listing<Worker>> {
    let sql = "SELECT name, started_at, seen_at, concurrency, is_stopping, takes, clock_skew_ms
               FROM workers ORDER BY name";
    let mut found = Listing::default();
    for row in db.rows(sql, &[]).await? {
        let worker = record(&row).and_then(|record| Ok(record.into_worker()?));
        found.push(listed(Listed::named("worker", row.text("name")?), worker)?);
    }
    Ok(found)
}

fn record(row: &SqlRow) -> Outcome<WorkerRecord> {
    Ok(WorkerRecord {
        name: row.text("name")?,
        started_at: row.number("started_at")?,
        seen_at: row.number("seen_at")?,
        concurrency: row.number("concurrency")?,
        is_stopping: row.flag("is_stopping")?,
        takes: row.text("takes")?,
        clock_skew_ms: row.maybe_number("clock_skew_ms")?,
    })
}

pub(super) const HELD: &str =
    "SELECT coalesce(worker, '') AS worker, tenant, id, instance FROM job_executions
    WHERE is_running AND lease_expires_at > :now
    ORDER BY coalesce(worker, '') COLLATE \"C\", id";

/// What is leased. Of all tenants, on purpose: a process works for all of them.
pub(super) async fn held(db: &Db, now: Timestamp) -> Outcome<Listing<Held>> {
    let mut held = Listing::default();
    for row in db.rows(HELD, &named! {"now": now.0}).await? {
        held.push(listed(Listed::numbered("execution", row.number("id")?), held_one(&row))?);
    }
    Ok(held)
}

fn held_one(row: &SqlRow) -> Outcome<Held> {
    let id = row.number("id")?;
    let name = Row(format!("execution {id}"));
    Ok(Held {
        worker: row.text("worker")?,
        tenant: name.name("tenant", row.text("tenant")?)?,
        id: name.id("id", id)?,
        instance: name.name("instance", row.text("instance")?)?,
    })
}
