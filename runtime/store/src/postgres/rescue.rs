//! What lost workers have left behind: queued again as long as it has not cost too many of them, ended otherwise.
//! Of all tenants, on purpose: the watchdog is nobody's.

use stepbox_batch::audit::{Actor, Deed};
use stepbox_batch::clock::Timestamp;
use stepbox_batch::queue::Rescued;
use stepbox_batch::status::BatchStatus;
use tokio_postgres::Row as SqlRow;

use super::connection::Db;
use super::endings::end;
use super::trouble::Outcome;
use super::value::{Columns, named};
use super::{audit, queue};
use crate::record::Row;
use crate::standing::{Loss, Lost};

/// Each one is locked, so that nobody else deals with it; what somebody else deals with is left to them.
pub(super) const LOST: &str = "
    SELECT e.tenant, e.id, coalesce(e.worker, '') AS worker, e.lease_expires_at,
           coalesce(e.heartbeat_at, e.lease_expires_at) AS heartbeat_at,
           e.stop_requested_at IS NOT NULL AS is_stopping, q.losses, q.attempts_max
    FROM job_executions e
    LEFT JOIN LATERAL (
        SELECT losses, attempts_max FROM queue_entries
        WHERE tenant = e.tenant AND execution_id = e.id OFFSET 0) q ON TRUE
    WHERE e.is_running AND e.lease_expires_at <= :now
    ORDER BY e.lease_expires_at, e.id FOR NO KEY UPDATE OF e SKIP LOCKED";

/// Deals with each execution whose lease has run out.
pub(super) async fn rescue_lost(db: &Db, now: Timestamp) -> Outcome<Vec<Rescued>> {
    let mut rescued = Vec::new();
    for row in db.rows(LOST, &named! {"now": now.0}).await? {
        rescued.push(rescue(db, lost(&row)?, now).await?);
    }
    Ok(rescued)
}

fn lost(row: &SqlRow) -> Outcome<Lost> {
    Ok(Lost {
        tenant: row.text("tenant")?,
        id: row.number("id")?,
        worker: row.text("worker")?,
        heartbeat_at: row.number("heartbeat_at")?,
        lease_expires_at: row.number("lease_expires_at")?,
        is_stopping: row.flag("is_stopping")?,
        losses: row.maybe_number("losses")?.zip(row.maybe_number("attempts_max")?),
    })
}

async fn rescue(db: &Db, lost: Lost, now: Timestamp) -> Outcome<Rescued> {
    let row = Row(format!("execution {}", lost.id));
    let id = row.id("id", lost.id)?;
    let loss = Loss::new(lost.losses(&row)?, lost.is_stopping, now);
    match lost.ending(id, &loss, now) {
        Some(ending) => end(db, &lost.tenant, lost.id, &ending).await?,
        None => {
            rest(db, &lost.tenant, lost.id, now).await?;
            queue::requeue(db, &lost.tenant, lost.id, &loss, now).await?;
        }
    }
    let tenant = row.name("tenant", lost.tenant)?;
    let deed = Deed::execution_lost(id, &lost.worker, loss.fate);
    audit::append(db, &tenant, &deed, &Actor::stepbox(now)).await?;
    Ok(Rescued { tenant, id, fate: loss.fate })
}

/// Brings an execution to rest at its last checkpoint. Its token grows, so that whoever still believes to hold
/// the lease is fenced at once. One that was claimed and not begun waits as before.
async fn rest(db: &Db, tenant: &str, id: i64, now: Timestamp) -> Outcome<()> {
    let execution = "
        UPDATE job_executions
        SET status = CASE status WHEN :starting THEN status ELSE :paused END, updated_at = :now,
            lease_expires_at = NULL, lease_token = lease_token + 1
        WHERE tenant = :tenant AND id = :id";
    let steps = "
        UPDATE step_executions
        SET status = CASE status WHEN :starting THEN status ELSE :paused END, updated_at = :now
        WHERE tenant = :tenant AND execution_id = :id AND ended_at IS NULL";
    let values = named! {
        "starting": i64::from(BatchStatus::Starting.number()), "paused": i64::from(BatchStatus::Paused.number()),
        "now": now.0, "tenant": tenant, "id": id,
    };
    for sql in [execution, steps] {
        db.execute(sql, &values).await?;
    }
    Ok(())
}
