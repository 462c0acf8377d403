//! What lost workers have left behind: queued again as long as it has not cost too many of them, ended otherwise.
//! Of all tenants, on purpose: the watchdog is nobody's.

use rusqlite::{Connection as Db, named_params};
use stepbox_batch::audit::{Actor, Deed};
use stepbox_batch::clock::Timestamp;
use stepbox_batch::queue::Rescued;
use stepbox_batch::status::BatchStatus;

use super::endings::end;
use super::trouble::Outcome;
use super::{audit, queue};
use crate::record::Row;
use crate::standing::{Loss, Lost};

/// Deals with each execution whose lease has run out.
pub(super) fn rescue_lost(db: &Db, now: Timestamp) -> Outcome<Vec<Rescued>> {
    let lost = lost(db, now)?;
    lost.into_iter().map(|lost| rescue(db, lost, now)).collect()
}

/// Whether there is anything to deal with. Looking keeps nobody from writing.
pub(super) fn has_lost(db: &Db, now: Timestamp) -> Outcome<bool> {
    Ok(db.prepare_cached(HAS_LOST)?.exists(named_params! {":now": now.0})?)
}

pub(super) const HAS_LOST: &str =
    "SELECT 1 FROM job_executions WHERE lease_expires_at <= :now AND ended_at IS NULL LIMIT 1";

fn lost(db: &Db, now: Timestamp) -> Outcome<Vec<Lost>> {
    let mut statement = db.prepare_cached(
        "SELECT e.tenant, e.id, coalesce(e.worker, '') AS worker, e.lease_expires_at,
                coalesce(e.heartbeat_at, e.lease_expires_at) AS heartbeat_at,
                e.stop_requested_at IS NOT NULL AS is_stopping, q.losses, q.attempts_max
         FROM job_executions e LEFT JOIN queue_entries q ON q.execution_id = e.id
         WHERE e.lease_expires_at <= :now AND e.ended_at IS NULL
         ORDER BY e.lease_expires_at, e.id",
    )?;
    let rows = statement.query_map(named_params! {":now": now.0}, |row| {
        let losses: Option<i64> = row.get("losses")?;
        let attempts_max: Option<i64> = row.get("attempts_max")?;
        Ok(Lost {
            tenant: row.get("tenant")?,
            id: row.get("id")?,
            worker: row.get("worker")?,
            heartbeat_at: row.get("heartbeat_at")?,
            lease_expires_at: row.get("lease_expires_at")?,
            is_stopping: row.get("is_stopping")?,
            losses: losses.zip(attempts_max),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn rescue(db: &Db, lost: Lost, now: Timestamp) -> Outcome<Rescued> {
    let row = Row(format!("execution {}", lost.id));
    let id = row.id("id", lost.id)?;
    let loss = Loss::new(lost.losses(&row)?, lost.is_stopping, now);
    match lost.ending(id, &loss, now) {
        Some(ending) => end(db, &lost.tenant, lost.id, &ending)?,
        None => {
            rest(db, &lost.tenant, lost.id, now)?;
            queue::requeue(db, lost.id, &loss, now)?;
        }
    }
    let tenant = row.name("tenant", lost.tenant)?;
    let deed = Deed::execution_lost(id, &lost.worker, loss.fate);
    audit::append(db, &tenant, &deed, &Actor::stepbox(now))?;
    Ok(Rescued { tenant, id, fate: loss.fate })
}

/// Brings an execution to rest at its last checkpoint. Its token grows, so that whoever still believes to hold
/// the lease is fenced at once. One that was claimed and not begun waits as before.
fn rest(db: &Db, tenant: &str, id: i64, now: Timestamp) -> Outcome<()> {
    let execution = "
        UPDATE job_executions
        SET status = iif(status = :starting, :starting, :paused), updated_at = :now,
            lease_expires_at = NULL, lease_token = lease_token + 1
        WHERE tenant = :tenant AND id = :id";
    let steps = "
        UPDATE step_executions SET status = iif(status = :starting, :starting, :paused), updated_at = :now
        WHERE tenant = :tenant AND execution_id = :id AND ended_at IS NULL";
    for sql in [execution, steps] {
        db.prepare_cached(sql)?.execute(named_params! {
            ":starting": BatchStatus::Starting.number(), ":paused": BatchStatus::Paused.number(),
            ":now": now.0, ":tenant": tenant, ":id": id,
        })?;
    }
    Ok(())
}
