//! The workers, and the executions that each holds.

use stepbox_batch::clock::Timestamp;
use stepbox_batch::ports::Listing;
use stepbox_batch::worker::{Held, Worker};

use super::connection::Db;
use super::trouble::{Outcome, listed};
use super::value::named;
use crate::record::Listed;
use crate::record::columns::Columns;
use crate::record::worker::{COLUMNS, FORGOTTEN_MS, WorkerRecord, held as read_held};

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
    let sql = format!("SELECT {COLUMNS} FROM workers ORDER BY name");
    let mut found = Listing::default();
    for row in db.rows(&sql, &[]).await? {
        let worker = WorkerRecord::read(&row).and_then(|record| Ok(record.into_worker()?));
        found.push(listed(Listed::named("worker", row.text("name")?), worker)?);
    }
    Ok(found)
}

pub(super) const HELD: &str =
    "SELECT coalesce(worker, '') AS worker, tenant, id, instance FROM job_executions
    WHERE is_running AND lease_expires_at > :now
    ORDER BY coalesce(worker, '') COLLATE \"C\", id";

/// The leased executions. For all tenants, on purpose: a process works for all of them.
pub(super) async fn held(db: &Db, now: Timestamp) -> Outcome<Listing<Held>> {
    let mut held = Listing::default();
    for row in db.rows(HELD, &named! {"now": now.0}).await? {
        held.push(listed(Listed::numbered("execution", row.number("id")?), read_held(&row))?);
    }
    Ok(held)
}
