//! How an execution is accepted, and put into the queue if it is to wait there. This file has the same table of
//! contents as `postgres/submit.rs`.
//!
//! SQLite lets one process write at a time, so nothing is locked here, and each check is a statement of its own. In
//! PostgreSQL, most executions are accepted in one statement, and locks protect checks that two calls could make at
//! once.

use rusqlite::{Connection as Db, OptionalExtension, named_params};
use stepbox_batch::audit::Deed;
use stepbox_batch::error_kind::ErrorKind;
use stepbox_batch::execution::NewJobExecution;
use stepbox_batch::execution::event::EventKind;
use stepbox_batch::execution::queue::{Enqueue, QueueState};
use stepbox_batch::name::JobExecutionId;
use stepbox_batch::ports::{RepositoryError, Result};

use super::trouble::{Outcome, Trouble};
use super::{audit, claim, executions, idempotency, instances, lanes, leases, outbox, pauses, queue, steps};
use crate::numbers::{delayed, paused, waiting};
use crate::record::event::NewEvent;
use crate::record::execution::AcceptedRecord;
use crate::record::idempotency::{KeyRecord, refuse};
use crate::record::{Row, stored, stored_id};
use crate::save::{ClaimRecord, LeaseRecord, NewRecord};

/// Accepts an execution; returns its id.
pub(super) fn create(
    db: &Db,
    new: &NewJobExecution,
    record: &NewRecord,
    claim: Option<&ClaimRecord>,
) -> Outcome<JobExecutionId> {
    let AcceptedRecord { tenant, instance, restart_of, .. } = &record.accepted;
    let key = new.idempotency.as_ref().map(|given| KeyRecord::new(&new.tenant, given, new.by.at));
    if let Some(key) = &key {
        refuse(idempotency::first(db, key)?)?;
    }
    if !instances::exists(db, tenant, instance)? {
        return Err(instances::not_found(instance).into());
    }
    if let Some(before) = restart_of {
        refuse_second_restart(db, tenant, *before)?;
    }
    if let (Some(claim), Some(max), None) = (claim, new.job.concurrency, new.partition) {
        claim::check_concurrency(db, tenant, &new.instance, max, claim.now)?;
    }
    if let Some(queue) = &new.queue {
        if queue.is_unique {
            refuse_double(db, new, &record.accepted.parameters_key)?;
        }
        check_room(db, new, queue)?;
    }
    let id = insert(db, record, claim)?;
    if let Some(queue) = &new.queue {
        enqueue(db, id, new, queue)?;
        if claim.is_some() {
            queue::mark_claimed(db, id)?;
        }
    }
    for step in &record.steps {
        steps::put(db, tenant, id, step)?;
    }
    let id = Row(format!("execution {id}")).id("id", id)?;
    if let Some(key) = &key {
        idempotency::keep(db, key, id)?;
    }
    audit::append(db, &new.tenant, &Deed::execution_submitted(id, new), &new.by)?;
    outbox::append(db, tenant, NewEvent::of(id, EventKind::Submitted, new.by.at))?;
    Ok(id)
}

/// Accepts executions, each in a savepoint of its own: what is refused is rolled back alone.
pub(super) fn create_each(
    db: &Db,
    executions: &[(NewJobExecution, NewRecord)],
) -> Outcome<Vec<Result<JobExecutionId>>> {
    let mut answers = Vec::new();
    for (new, record) in executions {
        db.prepare_cached("SAVEPOINT one")?.execute([])?;
        let answer = match create(db, new, record, None) {
            Ok(id) => Ok(id),
            Err(Trouble::Repository(refusal)) if refusal.kind() != ErrorKind::StoreUnavailable => {
                db.prepare_cached("ROLLBACK TO one")?.execute([])?;
                Err(refusal)
            }
            Err(trouble) => return Err(trouble),
        };
        db.prepare_cached("RELEASE one")?.execute([])?;
        answers.push(answer);
    }
    Ok(answers)
}

/// Accepts the parts of a step.
pub(super) fn create_partitions(
    db: &Db,
    lease: &LeaseRecord,
    parts: &[(NewJobExecution, NewRecord)],
) -> Outcome<()> {
    let whole = leases::fence(db, lease)?;
    for (new, record) in parts {
        create(db, new, record, None)?;
    }
    match parts.first() {
        // A pause that was requested since the worker asked last is one of the parts, too.
        Some((new, _)) if whole.requests.pause => pauses::pause_parts(db, &lease.tenant, lease.id, new.by.at),
        _ => Ok(()),
    }
}

/// Refuses a second restart of an execution: only the last execution of a chain may be continued. Two runs from the
/// same checkpoint at once would write the same output, and a later one would find the output changed.
fn refuse_second_restart(db: &Db, tenant: &str, before: i64) -> Outcome<()> {
    executions::standing(db, tenant, before)?.restart()?;
    let next: Option<i64> = db
        .prepare_cached(NEXT)?
        .query_row(named_params! {":tenant": tenant, ":before": before}, |row| row.get(0))
        .optional()?;
    match next {
        None => Ok(()),
        Some(id) => {
            let user = format!("execution {id}, which continues it");
            Err(RepositoryError::InUse { kind: "execution", name: before.to_string(), user }.into())
        }
    }
}

pub(super) const NEXT: &str = "SELECT id FROM job_executions INDEXED BY job_executions_by_restart
     WHERE tenant = :tenant AND restart_of = :before LIMIT 1";

fn insert(db: &Db, new: &NewRecord, claim: Option<&ClaimRecord>) -> Outcome<i64> {
    let accepted = &new.accepted;
    let state = &new.state;
    let mut statement = db.prepare_cached(
        "INSERT INTO job_executions
             (tenant, instance, status, stoppable, created_at, updated_at, attempt, lease_token,
              lease_expires_at, heartbeat_at, restart_of, user_name, worker, exit_code,
              exit_description, failures, context, parameters, parameters_key, job, job_name,
              job_type, connector, step_names, partition_of, partition_step, partition_number, partition_count)
         VALUES
             (:tenant, :instance, :status, :stoppable, :created_at, :updated_at, :attempt, :attempt,
              :lease_expires_at, :heartbeat_at, :restart_of, :user_name, :worker, :exit_code,
              :exit_description, :failures, :context, :parameters, :parameters_key, :job, :job_name,
              :job_type, :connector, :step_names, :partition_of, :partition_step, :partition_number, :partition_count)
         RETURNING id",
    )?;
    let id = statement.query_row(
        named_params! {
            ":tenant": accepted.tenant,
            ":instance": accepted.instance,
            ":status": state.status,
            ":stoppable": accepted.stoppable,
            ":created_at": accepted.created_at,
            ":updated_at": state.updated_at,
            ":attempt": i64::from(claim.is_some()),
            ":lease_expires_at": claim.map(|claim| claim.lease_expires_at),
            ":heartbeat_at": claim.map(|claim| claim.now),
            ":restart_of": accepted.restart_of,
            ":user_name": accepted.user_name,
            ":worker": claim.map(|claim| &claim.worker),
            ":exit_code": state.exit_code,
            ":exit_description": state.exit_description,
            ":failures": state.failures,
            ":context": new.context,
            ":parameters": accepted.parameters,
            ":parameters_key": accepted.parameters_key,
            ":partition_of": accepted.partition.map(|partition| partition.of),
            ":partition_step": accepted.partition.map(|partition| partition.position),
            ":partition_number": accepted.partition.map(|partition| partition.number),
            ":partition_count": accepted.partition.map(|partition| partition.count),
            ":job": accepted.job,
            ":job_name": accepted.job_name,
            ":job_type": accepted.job_type,
            ":connector": accepted.connector,
            ":step_names": accepted.step_names,
        },
        |row| row.get(0),
    )?;
    Ok(id)
}

pub(super) const DOUBLE: &str = "SELECT id FROM job_executions INDEXED BY job_executions_open
     WHERE tenant = :tenant AND instance = :instance AND parameters_key = :key
       AND ended_at IS NULL AND partition_of IS NULL
     ORDER BY id LIMIT 1";

/// Refuses an execution if another one with the same parameters has not ended.
fn refuse_double(db: &Db, new: &NewJobExecution, parameters_key: &str) -> Outcome<()> {
    let values = named_params! {
        ":tenant": new.tenant.as_str(), ":instance": new.instance.as_str(), ":key": parameters_key,
    };
    let double: Option<i64> = db.prepare_cached(DOUBLE)?.query_row(values, |row| row.get(0)).optional()?;
    match double {
        None => Ok(()),
        Some(id) => Err(RepositoryError::NotUnique { id: JobExecutionId(id.unsigned_abs()) }.into()),
    }
}

/// Refuses an entry for which the queue has no room.
fn check_room(db: &Db, new: &NewJobExecution, queue: &Enqueue) -> Outcome<()> {
    let tenant = new.tenant.as_str();
    let Some(max) = queue.queued_max else { return Ok(()) };
    let is_full = db
        .prepare_cached(concat!(
            "SELECT 1 FROM queue_entries WHERE tenant = :tenant AND state IN (",
            waiting!(),
            ", ",
            delayed!(),
            ", ",
            paused!(),
            ") LIMIT 1 OFFSET :before"
        ))?
        .exists(named_params! {":tenant": tenant, ":before": stored(max.saturating_sub(1))})?;
    if max == 0 || is_full { Err(RepositoryError::QueueFull { max }.into()) } else { Ok(()) }
}

/// Puts an execution that was just accepted into the queue.
fn enqueue(db: &Db, id: i64, new: &NewJobExecution, queue: &Enqueue) -> Outcome<()> {
    let lane = lanes::lane_of(db, &new.tenant, &new.instance, &new.job, new.partition.is_some())?;
    let state = if queue.available_at > new.by.at { QueueState::Delayed } else { QueueState::Waiting };
    let turn = new.partition.map_or(id, |partition| stored_id(partition.of));
    lanes::put_entry(db, new.tenant.as_str(), id, lane, queue, state, turn)
}
