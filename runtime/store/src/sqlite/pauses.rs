//! How an execution pauses on request, and waits for a worker again. The parts of its steps pause and wait with it.
//! This file has the same table of contents as `postgres/pauses.rs`.

use rusqlite::{Connection as Db, named_params};
use stepbox_batch::actor::Actor;
use stepbox_batch::audit::Deed;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::PauseRequest;
use stepbox_batch::execution::queue::QueueState;
use stepbox_batch::execution::status::BatchStatus;
use stepbox_batch::name::{JobExecutionId, TenantId};

use super::trouble::Outcome;
use super::{audit, executions, lanes, outbox, queue};
use crate::numbers::{delayed, paused, waiting};
use crate::record::event::NewEvent;
use crate::record::execution::not_found;
use crate::record::stored_id;

/// Records the request. Pauses the execution here if no worker holds it.
pub(super) fn request(db: &Db, tenant: &TenantId, id: JobExecutionId, by: &Actor) -> Outcome<PauseRequest> {
    audit::append(db, tenant, &Deed::execution_pause_requested(id), by)?;
    let (tenant, id, now) = (tenant.as_str(), stored_id(id), by.at);
    let standing = executions::standing(db, tenant, id)?;
    let pause = standing.pause(now)?;
    ask(db, tenant, id, now)?;
    if pause == PauseRequest::PausedAtOnce {
        pause_at_once(db, tenant, id, standing.status, now)?;
    }
    pause_parts(db, tenant, id, now)?;
    Ok(pause)
}

fn ask(db: &Db, tenant: &str, id: i64, now: Timestamp) -> Outcome<()> {
    db.prepare_cached(
        "UPDATE job_executions
         SET pause_requested_at = coalesce(pause_requested_at, :now), updated_at = :now
         WHERE tenant = :tenant AND id = :id AND ended_at IS NULL",
    )?
    .execute(named_params! {":now": now.0, ":tenant": tenant, ":id": id})?;
    Ok(())
}

/// Pauses an execution that no worker holds. A worker that still believes to hold it is fenced.
fn pause_at_once(db: &Db, tenant: &str, id: i64, status: BatchStatus, now: Timestamp) -> Outcome<()> {
    db.prepare_cached(
        "UPDATE job_executions
         SET status = :paused, lease_expires_at = NULL, worker = iif(status = :starting, NULL, worker)
         WHERE tenant = :tenant AND id = :id AND ended_at IS NULL",
    )?
    .execute(named_params! {
        ":paused": BatchStatus::Paused.number(), ":starting": BatchStatus::Starting.number(),
        ":tenant": tenant, ":id": id,
    })?;
    db.prepare_cached(concat!("UPDATE queue_entries SET state = ", paused!(), " WHERE execution_id = :id"))?
        .execute(named_params! {":id": id})?;
    if status != BatchStatus::Paused
        && let Some(event) = NewEvent::of_status(id, BatchStatus::Paused, now.0)
    {
        outbox::append(db, tenant, event)?;
    }
    Ok(())
}

/// The open parts pause with their whole: at once, or when their workers hear of it.
pub(super) fn pause_parts(db: &Db, tenant: &str, of: i64, now: Timestamp) -> Outcome<()> {
    let parts: Vec<i64> = db
        .prepare_cached(OPEN_PARTS)?
        .query_map(named_params! {":of": of}, |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for id in parts {
        ask(db, tenant, id, now)?;
        let standing = executions::standing(db, tenant, id)?;
        if standing.is_free_to_begin(now) {
            pause_at_once(db, tenant, id, standing.status, now)?;
        }
    }
    Ok(())
}

pub(super) const OPEN_PARTS: &str = "SELECT id FROM job_executions
     WHERE partition_of = :of AND ended_at IS NULL AND set_aside IS NULL ORDER BY id";

/// Makes an execution that is PAUSED wait in the queue.
pub(super) fn enqueue(db: &Db, tenant: &TenantId, id: JobExecutionId, by: &Actor) -> Outcome<()> {
    audit::append(db, tenant, &Deed::execution_resumed_in_queue(id), by)?;
    let (known, now) = (stored_id(id), by.at);
    let standing = executions::standing(db, tenant.as_str(), known)?;
    let entry = queue::entry(db, tenant, known)?;
    let waits = |state| matches!(state, QueueState::Waiting | QueueState::Delayed);
    standing.resume(entry.as_ref().is_some_and(|entry| waits(entry.state)), now)?;
    if entry.is_none() {
        let execution = executions::get(db, tenant, id)?.ok_or_else(|| not_found(known))?;
        lanes::enqueue_again(db, &execution, now)?;
    }
    resume(db, tenant.as_str(), known, now)
}

/// Ends the pause of an execution and of its open parts: their entries wait again.
pub(super) fn resume(db: &Db, tenant: &str, id: i64, now: Timestamp) -> Outcome<()> {
    db.prepare_cached(
        "UPDATE job_executions SET pause_requested_at = NULL, updated_at = :now
         WHERE tenant = :tenant AND id = :id AND ended_at IS NULL",
    )?
    .execute(named_params! {":now": now.0, ":tenant": tenant, ":id": id})?;
    let parts = "UPDATE job_executions SET pause_requested_at = NULL, updated_at = :now
         WHERE partition_of = :id AND ended_at IS NULL AND pause_requested_at IS NOT NULL";
    db.prepare_cached(parts)?.execute(named_params! {":now": now.0, ":id": id})?;
    let entries = concat!(
        "UPDATE queue_entries SET state = iif(available_at > :now, ",
        delayed!(),
        ", ",
        waiting!(),
        ") WHERE state = ",
        paused!(),
        " AND execution_id IN (
              SELECT :id UNION ALL SELECT id FROM job_executions WHERE partition_of = :id AND ended_at IS NULL)"
    );
    db.prepare_cached(entries)?.execute(named_params! {":now": now.0, ":id": id})?;
    Ok(())
}
