//! How an execution is ended by other processes than its worker: by a stop, or because a person abandons it.
//! `rescue.rs` handles the loss of a worker.

use rusqlite::{Connection as Db, named_params};
use stepbox_batch::actor::Actor;
use stepbox_batch::audit::Deed;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::StopRequest;
use stepbox_batch::execution::ending::Ending;
use stepbox_batch::execution::part::PartOfEnded;
use stepbox_batch::execution::status::{BatchStatus, ExitStatus};
use stepbox_batch::name::{JobExecutionId, TenantId};

use super::trouble::Outcome;
use super::{aside, audit, executions, outbox, queue};
use crate::record::event::NewEvent;
use crate::record::failure::failure as stored_failure;
use crate::record::stored_id;

/// Records the request. Ends the execution here if no worker holds it.
pub(super) fn request_stop(
    db: &Db,
    tenant: &TenantId,
    id: JobExecutionId,
    by: &Actor,
) -> Outcome<StopRequest> {
    audit::append(db, tenant, &Deed::execution_stop_requested(id), by)?;
    let (tenant, id, now) = (tenant.as_str(), stored_id(id), by.at);
    let stop = executions::standing(db, tenant, id)?.stop(now)?;
    db.prepare_cached(
        "UPDATE job_executions
         SET stop_requested_at = coalesce(stop_requested_at, :now), updated_at = :now
         WHERE tenant = :tenant AND id = :id AND ended_at IS NULL",
    )?
    .execute(named_params! {":now": now.0, ":tenant": tenant, ":id": id})?;
    if stop == StopRequest::StoppedAtOnce {
        end(db, tenant, id, &Ending::stopped(now))?;
    }
    Ok(stop)
}

/// Abandons an execution. An execution that has ended before keeps its exit status and its end time.
pub(super) fn abandon(db: &Db, tenant: &TenantId, id: JobExecutionId, by: &Actor) -> Outcome<()> {
    audit::append(db, tenant, &Deed::execution_abandoned(id), by)?;
    let (tenant, id, now) = (tenant.as_str(), stored_id(id), by.at);
    let standing = executions::standing(db, tenant, id)?;
    standing.abandon(now)?;
    if standing.status.has_ended() {
        db.prepare_cached(
            "UPDATE job_executions SET status = :status, updated_at = :now
             WHERE tenant = :tenant AND id = :id",
        )?
        .execute(named_params! {
            ":status": BatchStatus::Abandoned.number(), ":now": now.0, ":tenant": tenant, ":id": id,
        })?;
        tell(db, tenant, id, BatchStatus::Abandoned, now)?;
        return stop_partitions(db, tenant, id, now);
    }
    end(db, tenant, id, &Ending::abandoned(now))
}

/// Ends an execution and those of its steps that have not ended, takes its lease from a worker that still
/// believes to hold it, and takes it out of the queue.
pub(super) fn end(db: &Db, tenant: &str, id: i64, ending: &Ending) -> Outcome<()> {
    let Ending { status, exit_status: ExitStatus { code, description }, failure, now } = ending;
    end_steps(db, tenant, id, ending)?;
    let execution = "
        UPDATE job_executions
        SET status = :status, exit_code = :exit_code, exit_description = :exit_description,
            ended_at = :now, updated_at = :now, lease_expires_at = NULL, set_aside = NULL,
            failures = iif(:failure IS NULL, failures, json_insert(failures, '$[#]', json(:failure)))
        WHERE tenant = :tenant AND id = :id AND ended_at IS NULL";
    let ended = db.prepare_cached(execution)?.execute(named_params! {
        ":status": status.number(), ":exit_code": code, ":exit_description": description,
        ":now": now.0, ":failure": failure.as_ref().map(stored_failure), ":tenant": tenant, ":id": id,
    })?;
    if ended > 0 {
        tell(db, tenant, id, *status, *now)?;
    }
    queue::let_go(db, id)?;
    stop_partitions(db, tenant, id, *now)
}

/// Writes the event of an execution's new status.
fn tell(db: &Db, tenant: &str, id: i64, status: BatchStatus, now: Timestamp) -> Outcome<()> {
    match NewEvent::of_status(id, status, now.0) {
        Some(event) => outbox::append(db, tenant, event),
        None => Ok(()),
    }
}

/// Ends the steps of an execution that have not ended.
pub(super) fn end_steps(db: &Db, tenant: &str, id: i64, ending: &Ending) -> Outcome<()> {
    let Ending { status, exit_status: ExitStatus { code, description }, failure, now } = ending;
    let mut statement = db.prepare_cached(
        "UPDATE step_executions
         SET status = :status, exit_code = :exit_code, exit_description = :exit_description,
             ended_at = :now, updated_at = :now,
             failures = iif(:failure IS NULL, failures, json_insert(failures, '$[#]', json(:failure)))
         WHERE tenant = :tenant AND execution_id = :id AND ended_at IS NULL
         RETURNING position",
    )?;
    let values = named_params! {
        ":status": status.number(), ":exit_code": code, ":exit_description": description,
        ":now": now.0, ":failure": failure.as_ref().map(stored_failure), ":tenant": tenant, ":id": id,
    };
    let mut ended: Vec<i64> = statement.query_map(values, |row| row.get(0))?.collect::<Result<_, _>>()?;
    ended.sort_unstable();
    for position in ended {
        outbox::append(db, tenant, NewEvent::step_ended(id, position, status.number().into(), now.0))?;
    }
    Ok(())
}

/// Ends or stops the open parts of an execution that has ended, or that ends after its last words.
pub(super) fn stop_partitions(db: &Db, tenant: &str, of: i64, now: Timestamp) -> Outcome<()> {
    let left: Vec<(i64, Option<i64>)> = db
        .prepare_cached(OPEN_PARTITIONS)?
        .query_map(named_params! {":of": of}, |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (id, lease_expires_at) in left {
        let stopped = aside::attempt(db, || {
            aside::ask_to_stop(db, tenant, id, now)?;
            match PartOfEnded::new(lease_expires_at.map(Timestamp), now) {
                PartOfEnded::Ends => end(db, tenant, id, &PartOfEnded::ending(now)),
                PartOfEnded::IsAsked => Ok(()),
            }
        })?;
        // A damaged part does not prevent the end of the whole or of the other parts.
        if let Err(reason) = stopped {
            aside::set_aside(db, tenant, id, &reason, now)?;
        }
    }
    Ok(())
}

pub(super) const OPEN_PARTITIONS: &str = "SELECT id, lease_expires_at FROM job_executions
     WHERE partition_of = :of AND ended_at IS NULL ORDER BY id";
