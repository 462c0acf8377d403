//! Executions of lost workers: they are queued again until they have lost too many workers, and end then. For all
//! tenants, on purpose: the watchdog belongs to no tenant.
//!
//! Each execution is rescued in a transaction of its own, by its stored state at that moment: another process may
//! have ended it since it was listed. An execution that cannot be rescued is set aside, and does not hold up the
//! others.

use rusqlite::{Connection as Db, OptionalExtension, named_params};
use stepbox_batch::actor::Actor;
use stepbox_batch::audit::Deed;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::ending::Ending;
use stepbox_batch::execution::event::EventKind;
use stepbox_batch::execution::rescue::{self, Lost, Rescue};
use stepbox_batch::execution::status::BatchStatus;
use stepbox_batch::execution::{Fate, Rescued};
use stepbox_batch::name::TenantId;

use super::aside::{ask_to_stop, attempt, set_aside};
use super::endings::{end, end_steps, stop_partitions};
use super::row::first;
use super::trouble::Outcome;
use super::{audit, outbox, queue};
use crate::record::event::NewEvent;
use crate::record::failure::failure;
use crate::record::lost::LostRecord;
use crate::record::{Row, job};

/// The executions that may be lost: those whose lease has expired, and open parts whose whole has ended or was
/// deleted. Each is returned with the worker that had it last. Wholes come before their parts.
pub(super) fn lost(db: &Db, now: Timestamp) -> Outcome<Vec<(String, i64, String)>> {
    let mut statement = db.prepare_cached(LOST)?;
    let rows = statement
        .query_map(named_params! {":now": now.0}, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) const LOST: &str =
    "SELECT tenant, id, coalesce(worker, ''), partition_of IS NOT NULL AS is_part, lease_expires_at
    FROM job_executions
    WHERE lease_expires_at <= :now AND ended_at IS NULL AND set_aside IS NULL
    UNION ALL
    SELECT p.tenant, p.id, coalesce(p.worker, ''), 1, 0 FROM job_executions p
    WHERE p.partition_of IS NOT NULL AND p.ended_at IS NULL AND p.set_aside IS NULL
      AND NOT EXISTS (SELECT 1 FROM job_executions w WHERE w.id = p.partition_of AND w.ended_at IS NULL)
      AND (p.lease_expires_at IS NULL OR p.lease_expires_at > :now AND p.stop_requested_at IS NULL)
    ORDER BY 4, 5, 2";

/// Rescues one execution, if it is still lost.
pub(super) fn rescue(db: &Db, tenant: &str, id: i64, now: Timestamp) -> Outcome<Option<Rescued>> {
    let rescued = attempt(db, || match look(db, tenant, id)? {
        Some(lost) => act(db, tenant, id, lost, now),
        None => Ok(None),
    })?;
    match rescued {
        Ok(rescued) => Ok(rescued),
        Err(reason) => set_aside(db, tenant, id, &reason, now),
    }
}

/// The state of an execution that has neither ended nor been set aside.
fn look(db: &Db, tenant: &str, id: i64) -> Outcome<Option<Lost>> {
    let mut statement = db.prepare_cached(
        "SELECT e.status, coalesce(e.worker, '') AS worker, e.lease_expires_at,
                coalesce(e.heartbeat_at, e.lease_expires_at, e.updated_at) AS heartbeat_at,
                e.stop_requested_at IS NOT NULL AS is_stopping,
                e.partition_of IS NOT NULL AND (w.id IS NULL OR w.ended_at IS NOT NULL) AS is_left_behind,
                q.losses, q.attempts_max
         FROM job_executions e
         LEFT JOIN queue_entries q ON q.execution_id = e.id
         LEFT JOIN job_executions w ON w.id = e.partition_of
         WHERE e.tenant = :tenant AND e.id = :id AND e.ended_at IS NULL AND e.set_aside IS NULL",
    )?;
    let rows = statement.query(named_params! {":tenant": tenant, ":id": id})?;
    let lost = first(rows, |row| LostRecord::read(id, row))?;
    Ok(lost.map(LostRecord::into_lost).transpose()?)
}

fn act(db: &Db, tenant: &str, id: i64, lost: Lost, now: Timestamp) -> Outcome<Option<Rescued>> {
    let (known, worker) = (lost.id, lost.worker.clone());
    let rescue = lost.rescue(now)?;
    let owner: TenantId = Row(format!("execution {id}")).name("tenant", tenant.to_owned())?;
    let fate = match rescue {
        Rescue::Nothing => return Ok(None),
        Rescue::AskToStop => return ask_to_stop(db, tenant, id, now).map(|()| None),
        Rescue::EndWithWhole(ending) => {
            end(db, tenant, id, &ending)?;
            return Ok(Some(Rescued { tenant: owner, id: known, fate: Fate::Stopped, reason: None }));
        }
        Rescue::End(loss, ending) if loss.allows_last_words && has_last_words(db, tenant, id)? => {
            let_speak(db, tenant, id, &ending)?;
            queue::requeue(db, id, &loss, now)?;
            Fate::Requeued(now)
        }
        Rescue::End(loss, ending) => {
            end(db, tenant, id, &ending)?;
            loss.fate
        }
        Rescue::Rest(loss) => {
            rest(db, tenant, id, now)?;
            queue::requeue(db, id, &loss, now)?;
            loss.fate
        }
    };
    audit::append(db, &owner, &Deed::execution_lost(known, &worker, fate), &Actor::stepbox(now))?;
    if matches!(fate, Fate::Requeued(_)) {
        outbox::append(db, tenant, NewEvent::of(known, EventKind::Rescued, now))?;
    }
    Ok(Some(Rescued { tenant: owner, id: known, fate, reason: None }))
}

/// Pauses an execution at its last checkpoint. Its token grows, so that a worker that still believes to hold the
/// lease is fenced at once. An execution that was claimed and not begun waits as before,
/// unless a pause was requested.
fn rest(db: &Db, tenant: &str, id: i64, now: Timestamp) -> Outcome<()> {
    let execution = "
        UPDATE job_executions
        SET status = iif(status = :starting AND pause_requested_at IS NULL, :starting, :paused), updated_at = :now,
            worker = iif(status = :starting, NULL, worker),
            lease_expires_at = NULL, lease_token = lease_token + 1
        WHERE tenant = :tenant AND id = :id AND ended_at IS NULL";
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

/// Whether the job has a step with `always` that has not begun. A job that cannot be read counts as having no such
/// step.
fn has_last_words(db: &Db, tenant: &str, id: i64) -> Outcome<bool> {
    let job: Option<String> = db
        .prepare_cached(
            "SELECT job FROM job_executions WHERE tenant = :tenant AND id = :id AND partition_of IS NULL",
        )?
        .query_row(named_params! {":tenant": tenant, ":id": id}, |row| row.get(0))
        .optional()?;
    let job = job.and_then(|job| job::decode(&Row(format!("execution {id}")), "job", &job).ok());
    let Some(job) = job else { return Ok(false) };
    let begun: Vec<u32> = db
        .prepare_cached(
            "SELECT position FROM step_executions
             WHERE tenant = :tenant AND execution_id = :id AND status <> :starting",
        )?
        .query_map(
            named_params! {":tenant": tenant, ":id": id, ":starting": BatchStatus::Starting.number()},
            |row| row.get(0),
        )?
        .collect::<Result<_, _>>()?;
    Ok(rescue::has_last_words(&job, &begun))
}

/// Ends the open steps, and pauses the execution: the next worker runs the steps with `always`, and ends the
/// execution.
fn let_speak(db: &Db, tenant: &str, id: i64, ending: &Ending) -> Outcome<()> {
    end_steps(db, tenant, id, ending)?;
    rest(db, tenant, id, ending.now)?;
    db.prepare_cached(
        "UPDATE job_executions
         SET failures = iif(:failure IS NULL, failures, json_insert(failures, '$[#]', json(:failure)))
         WHERE tenant = :tenant AND id = :id AND ended_at IS NULL",
    )?
    .execute(
        named_params! {":failure": ending.failure.as_ref().map(failure), ":tenant": tenant, ":id": id},
    )?;
    stop_partitions(db, tenant, id, ending.now)
}
