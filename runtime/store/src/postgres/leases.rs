//! What a worker does with its lease: the worker keeps it alive, and writes while it holds it. `saves.rs` has the
//! saves.
//!
//! The token grows with each claim, and `lease_expires_at` is null while no worker holds the lease. So one
//! condition fences every write: `lease_token = :token AND lease_expires_at IS NOT NULL`. A lease that has expired
//! is still valid until the watchdog or another worker acts on it, because a slow worker is not a lost one. Each
//! write under the lease locks the execution's row, so no other worker takes the lease in between.

use stepbox_batch::flow::Requests;
use stepbox_batch::name::JobExecutionId;
use stepbox_batch::ports::RepositoryError;

use super::connection::Db;
use super::trouble::{Outcome, Trouble};
use super::value::named;
use crate::record::columns::Columns;
use crate::record::execution::requests as read_requests;
use crate::record::step::TrackingRecord;
use crate::save::LeaseRecord;

/// The condition of every fenced statement: the worker holds the lease.
pub(super) const HELD: &str =
    "tenant = :tenant AND id = :id AND lease_token = :token AND lease_expires_at IS NOT NULL";

/// Prolongs a lease; returns what was requested.
pub(super) async fn heartbeat(
    db: &Db,
    lease: &LeaseRecord,
    now: i64,
    lease_expires_at: i64,
) -> Outcome<Requests> {
    let values = named! {
        "lease_expires_at": lease_expires_at, "now": now,
        "tenant": &lease.tenant, "id": lease.id, "token": lease.token,
    };
    read_requests(&db.row(HEARTBEAT, &values).await?.ok_or_else(|| lost(lease))?)
}

pub(super) const HEARTBEAT: &str = "
    UPDATE job_executions SET lease_expires_at = :lease_expires_at, heartbeat_at = :now
    WHERE tenant = :tenant AND id = :id AND lease_token = :token AND lease_expires_at IS NOT NULL
    RETURNING stop_requested_at IS NOT NULL AS is_stopping, pause_requested_at IS NOT NULL AS is_pausing";

/// Ends the leases of a worker now. For all tenants, on purpose: a process works for all of them.
pub(super) async fn expire(db: &Db, worker: &str, now: i64) -> Outcome<()> {
    let sql = "UPDATE job_executions SET lease_expires_at = :now
               WHERE is_running AND worker = :worker AND lease_expires_at > :now";
    db.execute(sql, &named! {"now": now, "worker": worker}).await.map(drop)
}

/// Shortens leases that were written by a clock that was ahead. For all tenants, on purpose: all tenants share the
/// clock.
pub(super) async fn cut(db: &Db, now: i64) -> Outcome<()> {
    let sql = "UPDATE job_executions
               SET lease_expires_at = :now + (lease_expires_at - heartbeat_at), heartbeat_at = :now
               WHERE is_running AND heartbeat_at > :now";
    db.execute(sql, &named! {"now": now}).await.map(drop)
}

/// What was requested.
pub(super) async fn requests(db: &Db, lease: &LeaseRecord) -> Outcome<Requests> {
    let values = named! {"tenant": &lease.tenant, "id": lease.id, "token": lease.token};
    read_requests(&db.row(REQUESTS, &values).await?.ok_or_else(|| lost(lease))?)
}

pub(super) const REQUESTS: &str = "
    SELECT stop_requested_at IS NOT NULL AS is_stopping, pause_requested_at IS NOT NULL AS is_pausing
    FROM job_executions
    WHERE tenant = :tenant AND id = :id AND lease_token = :token AND lease_expires_at IS NOT NULL";

/// Writes only a step's progress. Its commit does not wait for the disk.
pub(super) async fn save_tracking(
    db: &Db,
    lease: &LeaseRecord,
    position: u32,
    tracking: TrackingRecord,
    now: i64,
) -> Outcome<()> {
    let values = named! {
        "tenant": &lease.tenant, "id": lease.id, "token": lease.token, "position": i64::from(position),
        "processed": tracking.processed, "total": tracking.total, "is_estimate": tracking.is_estimate,
        "now": now,
    };
    let answer = db.row(SAVE_TRACKING, &values).await?;
    let answer = answer.ok_or_else(|| Trouble::Unfit("it gave no answer to a save".to_owned()))?;
    match (answer.flag("is_held")?, answer.flag("is_there")?) {
        (false, _) => Err(lost(lease).into()),
        (true, true) => Ok(()),
        (true, false) => {
            let name = format!("{position} of execution {}", lease.id);
            Err(RepositoryError::NotFound { kind: "step", name }.into())
        }
    }
}

pub(super) const SAVE_TRACKING: &str = "
    WITH held AS (
        SELECT FROM job_executions
        WHERE tenant = :tenant AND id = :id AND lease_token = :token AND lease_expires_at IS NOT NULL FOR NO KEY UPDATE),
    step AS (
        UPDATE step_executions s
        SET tracking_processed = :processed, tracking_total = :total, tracking_is_estimate = :is_estimate,
            updated_at = :now
        WHERE s.tenant = :tenant AND s.execution_id = :id AND s.position = :position
          AND EXISTS (SELECT FROM held)
        RETURNING s.position)
    SELECT EXISTS (SELECT FROM held) AS is_held, EXISTS (SELECT FROM step) AS is_there,
           set_config('synchronous_commit', 'off', TRUE)";

pub(super) fn lost(lease: &LeaseRecord) -> RepositoryError {
    RepositoryError::LeaseLost { id: JobExecutionId(lease.id.unsigned_abs()) }
}
