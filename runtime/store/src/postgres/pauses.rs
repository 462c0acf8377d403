//! How an execution pauses on request, and waits for a worker again. The parts of its steps pause and wait with it.
//! This file has the same table of contents as `sqlite/pauses.rs`.
//!
//! The row of the whole is locked first, and then its parts in the order of their ids, as everywhere.

use stepbox_batch::actor::Actor;
use stepbox_batch::audit::Deed;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::PauseRequest;
use stepbox_batch::execution::queue::QueueState;
use stepbox_batch::execution::status::BatchStatus;
use stepbox_batch::name::{JobExecutionId, TenantId};

use super::connection::Db;
use super::trouble::Outcome;
use super::value::named;
use super::{audit, executions, lanes, outbox, queue};
use crate::numbers::{delayed, paused, waiting};
use crate::record::columns::Columns;
use crate::record::event::NewEvent;
use crate::record::execution::not_found;
use crate::record::stored_id;

/// Records the request. Pauses the execution here if no worker holds it.
pub(super) async fn request(
    db: &Db,
    tenant: &TenantId,
    id: JobExecutionId,
    by: &Actor,
) -> Outcome<PauseRequest> {
    let (known, now) = (stored_id(id), by.at);
    let standing = executions::standing(db, tenant.as_str(), known).await?;
    let pause = standing.pause(now)?;
    audit::append(db, tenant, &Deed::execution_pause_requested(id), by).await?;
    ask(db, tenant.as_str(), known, now).await?;
    if pause == PauseRequest::PausedAtOnce {
        pause_at_once(db, tenant.as_str(), known, standing.status, now).await?;
    }
    pause_parts(db, tenant.as_str(), known, now).await?;
    Ok(pause)
}

async fn ask(db: &Db, tenant: &str, id: i64, now: Timestamp) -> Outcome<()> {
    let sql = "UPDATE job_executions
               SET pause_requested_at = coalesce(pause_requested_at, :now), updated_at = :now
               WHERE tenant = :tenant AND id = :id AND ended_at IS NULL";
    db.execute(sql, &named! {"now": now.0, "tenant": tenant, "id": id}).await.map(drop)
}

/// Pauses an execution that no worker holds. A worker that still believes to hold it is fenced.
async fn pause_at_once(db: &Db, tenant: &str, id: i64, status: BatchStatus, now: Timestamp) -> Outcome<()> {
    let sql = "UPDATE job_executions
               SET status = :paused, lease_expires_at = NULL,
                   worker = CASE status WHEN :starting THEN NULL ELSE worker END
               WHERE tenant = :tenant AND id = :id AND ended_at IS NULL";
    let values = named! {
        "paused": i64::from(BatchStatus::Paused.number()), "starting": i64::from(BatchStatus::Starting.number()),
        "tenant": tenant, "id": id,
    };
    db.execute(sql, &values).await?;
    let sql = concat!(
        "UPDATE queue_entries SET state = ",
        paused!(),
        " WHERE tenant = :tenant AND execution_id = :id"
    );
    db.execute(sql, &named! {"tenant": tenant, "id": id}).await?;
    if status != BatchStatus::Paused
        && let Some(event) = NewEvent::of_status(id, BatchStatus::Paused, now.0)
    {
        outbox::append(db, tenant, event).await?;
    }
    Ok(())
}

/// The open parts pause with their whole: at once, or when their workers hear of it.
pub(super) async fn pause_parts(db: &Db, tenant: &str, of: i64, now: Timestamp) -> Outcome<()> {
    for part in db.rows(OPEN_PARTS, &named! {"tenant": tenant, "of": of}).await? {
        let id = part.number("id")?;
        ask(db, tenant, id, now).await?;
        let standing = executions::standing(db, tenant, id).await?;
        if standing.is_free_to_begin(now) {
            pause_at_once(db, tenant, id, standing.status, now).await?;
        }
    }
    Ok(())
}

pub(super) const OPEN_PARTS: &str = "SELECT id FROM job_executions
     WHERE tenant = :tenant AND partition_of = :of AND ended_at IS NULL AND set_aside IS NULL ORDER BY id
     FOR NO KEY UPDATE";

/// Makes an execution that is PAUSED wait in the queue.
pub(super) async fn enqueue(db: &Db, tenant: &TenantId, id: JobExecutionId, by: &Actor) -> Outcome<()> {
    let (known, now) = (stored_id(id), by.at);
    let standing = executions::standing(db, tenant.as_str(), known).await?;
    let entry = queue::entry(db, tenant, known).await?;
    let waits = |state| matches!(state, QueueState::Waiting | QueueState::Delayed);
    standing.resume(entry.as_ref().is_some_and(|entry| waits(entry.state)), now)?;
    audit::append(db, tenant, &Deed::execution_resumed_in_queue(id), by).await?;
    if entry.is_none() {
        let execution = executions::locked(db, tenant, known).await?.ok_or_else(|| not_found(known))?;
        lanes::enqueue_again(db, &execution, now).await?;
    }
    resume(db, tenant.as_str(), known, now).await
}

/// Ends the pause of an execution and of its open parts: their entries wait again.
pub(super) async fn resume(db: &Db, tenant: &str, id: i64, now: Timestamp) -> Outcome<()> {
    let values = named! {"now": now.0, "tenant": tenant, "id": id, "of": id};
    let sql = "UPDATE job_executions SET pause_requested_at = NULL, updated_at = :now
               WHERE tenant = :tenant AND id = :id AND ended_at IS NULL";
    db.execute(sql, &values).await?;
    // The rows of the parts are locked in the order of their ids before they are changed.
    db.rows(OPEN_PARTS, &values).await?;
    let sql = "UPDATE job_executions SET pause_requested_at = NULL, updated_at = :now
               WHERE tenant = :tenant AND partition_of = :of AND ended_at IS NULL
                 AND pause_requested_at IS NOT NULL";
    db.execute(sql, &values).await?;
    let sql = concat!(
        "UPDATE queue_entries SET state = CASE WHEN available_at > :now THEN ",
        delayed!(),
        " ELSE ",
        waiting!(),
        " END WHERE tenant = :tenant AND state = ",
        paused!(),
        " AND execution_id = ANY(ARRAY(
              SELECT CAST(:id AS BIGINT) UNION ALL
              SELECT id FROM job_executions
              WHERE tenant = :tenant AND partition_of = :of AND ended_at IS NULL))"
    );
    db.execute(sql, &values).await.map(drop)
}
