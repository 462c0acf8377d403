//! What a worker does with its lease: the worker keeps it alive, and writes while it holds it.
//!
//! The token grows with each claim, and `lease_expires_at` is null while no worker holds the lease. So one
//! condition fences every write: `lease_token = :token AND lease_expires_at IS NOT NULL`. A lease that has expired
//! is still valid until the watchdog or another worker acts on it, because a slow worker is not a lost one.

use rusqlite::{Connection as Db, named_params};
use stepbox_batch::execution::standing::Standing;
use stepbox_batch::flow::Requests;
use stepbox_batch::name::JobExecutionId;
use stepbox_batch::ports::RepositoryError;

use super::row::first;
use super::trouble::Outcome;
use super::{executions, outbox, queue, steps};
use crate::record::event::NewEvent;
use crate::record::execution::{StateRecord, requests as read_requests};
use crate::record::step::{StepRecord, TrackingRecord};
use crate::save::{LeaseRecord, SaveRecord};

/// Prolongs a lease; returns what was requested.
pub(super) fn heartbeat(db: &Db, lease: &LeaseRecord, now: i64, lease_expires_at: i64) -> Outcome<Requests> {
    let mut statement = db.prepare_cached(
        "UPDATE job_executions SET lease_expires_at = :lease_expires_at, heartbeat_at = :now
         WHERE tenant = :tenant AND id = :id
           AND lease_token = :token AND lease_expires_at IS NOT NULL
         RETURNING stop_requested_at IS NOT NULL AS is_stopping, pause_requested_at IS NOT NULL AS is_pausing",
    )?;
    let rows = statement.query(named_params! {
        ":lease_expires_at": lease_expires_at, ":now": now,
        ":tenant": lease.tenant, ":id": lease.id, ":token": lease.token,
    })?;
    first(rows, |row| read_requests(row))?.ok_or_else(|| lost(lease).into())
}

/// Ends the leases of a worker now. For all tenants, on purpose: a process works for all of them.
pub(super) fn expire(db: &Db, worker: &str, now: i64) -> Outcome<()> {
    db.prepare_cached(EXPIRE)?.execute(named_params! {":now": now, ":worker": worker})?;
    Ok(())
}

/// Shortens leases that were written by a clock that was ahead. For all tenants, on purpose: all tenants share the
/// clock.
pub(super) fn cut(db: &Db, now: i64) -> Outcome<()> {
    db.prepare_cached(
        "UPDATE job_executions
         SET lease_expires_at = :now + (lease_expires_at - heartbeat_at), heartbeat_at = :now
         WHERE lease_expires_at > :now AND heartbeat_at > :now AND ended_at IS NULL",
    )?
    .execute(named_params! {":now": now})?;
    Ok(())
}

/// Whether a clock that was ahead has written a lease. The check does not hold up writers.
pub(super) fn has_future(db: &Db, now: i64) -> Outcome<bool> {
    Ok(db.prepare_cached(FUTURE)?.exists(named_params! {":now": now})?)
}

/// Whether a worker has a lease that has not expired.
pub(super) fn has_any(db: &Db, worker: &str, now: i64) -> Outcome<bool> {
    Ok(db.prepare_cached(HELD)?.exists(named_params! {":now": now, ":worker": worker})?)
}

pub(super) const HELD: &str = "SELECT 1 FROM job_executions
     WHERE worker = :worker AND lease_expires_at > :now AND ended_at IS NULL LIMIT 1";

pub(super) const FUTURE: &str = "SELECT 1 FROM job_executions
     WHERE lease_expires_at > :now AND heartbeat_at > :now AND ended_at IS NULL LIMIT 1";

pub(super) const EXPIRE: &str = "UPDATE job_executions SET lease_expires_at = :now
     WHERE worker = :worker AND lease_expires_at > :now AND ended_at IS NULL";

/// What was requested.
pub(super) fn requests(db: &Db, lease: &LeaseRecord) -> Outcome<Requests> {
    let mut statement = db.prepare_cached(
        "SELECT stop_requested_at IS NOT NULL AS is_stopping, pause_requested_at IS NOT NULL AS is_pausing
         FROM job_executions
         WHERE tenant = :tenant AND id = :id
           AND lease_token = :token AND lease_expires_at IS NOT NULL",
    )?;
    let rows =
        statement.query(named_params! {":tenant": lease.tenant, ":id": lease.id, ":token": lease.token})?;
    first(rows, |row| read_requests(row))?.ok_or_else(|| lost(lease).into())
}

/// Writes a worker's save.
pub(super) fn save(db: &Db, lease: &LeaseRecord, save: &SaveRecord) -> Outcome<()> {
    let standing = fence(db, lease)?;
    if let Some(step) = &save.step {
        put_step(db, lease, step)?;
    }
    if let Some((next, state)) = &save.execution {
        standing.become_status(*next)?;
        put_state(db, lease, state)?;
        if standing.status != *next
            && let Some(event) = NewEvent::of_status(lease.id, *next, state.updated_at)
        {
            outbox::append(db, &lease.tenant, event)?;
        }
    }
    if let Some(context) = &save.context {
        put_context(db, lease, context)?;
    }
    for warning in &save.warnings {
        steps::add_warning(db, &lease.tenant, lease.id, warning)?;
    }
    if save.is_last {
        give_back(db, lease)?;
    }
    Ok(())
}

/// Writes a step's row. The end of a step is one event, even if it is saved again.
fn put_step(db: &Db, lease: &LeaseRecord, step: &StepRecord) -> Outcome<()> {
    let ends = step.ended_at.is_some() && !steps::has_ended(db, &lease.tenant, lease.id, step.position)?;
    steps::put(db, &lease.tenant, lease.id, step)?;
    if ends {
        let event = NewEvent::step_ended(lease.id, step.position, step.status, step.updated_at);
        outbox::append(db, &lease.tenant, event)?;
    }
    Ok(())
}

/// Writes only a step's progress.
pub(super) fn save_tracking(
    db: &Db,
    lease: &LeaseRecord,
    position: u32,
    tracking: TrackingRecord,
    now: i64,
) -> Outcome<()> {
    fence(db, lease)?;
    steps::put_tracking(db, &lease.tenant, lease.id, position, tracking, now)
}

/// Fails unless the caller holds the lease. The answer stays true until the commit, because no other transaction
/// has written since this one began.
pub(super) fn fence(db: &Db, lease: &LeaseRecord) -> Outcome<Standing> {
    let is_held = db
        .prepare_cached(
            "SELECT 1 FROM job_executions
             WHERE tenant = :tenant AND id = :id
               AND lease_token = :token AND lease_expires_at IS NOT NULL",
        )?
        .exists(named_params! {":tenant": lease.tenant, ":id": lease.id, ":token": lease.token})?;
    if is_held { executions::standing(db, &lease.tenant, lease.id) } else { Err(lost(lease).into()) }
}

fn lost(lease: &LeaseRecord) -> RepositoryError {
    RepositoryError::LeaseLost { id: JobExecutionId(lease.id.unsigned_abs()) }
}

fn put_state(db: &Db, lease: &LeaseRecord, state: &StateRecord) -> Outcome<()> {
    let StateRecord { status, exit_code, exit_description, started_at, ended_at, updated_at, failures } =
        state;
    db.prepare_cached(
        "UPDATE job_executions
         SET status = :status, exit_code = :exit_code, exit_description = :exit_description,
             started_at = :started_at, ended_at = :ended_at, updated_at = :updated_at,
             failures = :failures
         WHERE tenant = :tenant AND id = :id AND lease_token = :token",
    )?
    .execute(named_params! {
        ":status": status, ":exit_code": exit_code, ":exit_description": exit_description,
        ":started_at": started_at, ":ended_at": ended_at, ":updated_at": updated_at,
        ":failures": failures, ":tenant": lease.tenant, ":id": lease.id, ":token": lease.token,
    })?;
    Ok(())
}

fn put_context(db: &Db, lease: &LeaseRecord, context: &str) -> Outcome<()> {
    db.prepare_cached(
        "UPDATE job_executions SET context = :context
         WHERE tenant = :tenant AND id = :id AND lease_token = :token",
    )?
    .execute(named_params! {
        ":context": context, ":tenant": lease.tenant, ":id": lease.id, ":token": lease.token,
    })?;
    Ok(())
}

fn give_back(db: &Db, lease: &LeaseRecord) -> Outcome<()> {
    db.prepare_cached(
        "UPDATE job_executions SET lease_expires_at = NULL
         WHERE tenant = :tenant AND id = :id AND lease_token = :token",
    )?
    .execute(named_params! {":tenant": lease.tenant, ":id": lease.id, ":token": lease.token})?;
    queue::let_go(db, lease.id)
}
