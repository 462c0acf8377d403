//! How an execution is accepted, and put into the queue if it is to wait there. This file has the same table of
//! contents as `sqlite/submit.rs`.
//!
//! A round trip costs more than a statement here, so most executions are accepted in one statement, which is a
//! transaction in itself. Locks prevent that two calls at once both find the same place free. SQLite needs no
//! locks: one process writes at a time.

use stepbox_batch::audit::Deed;
use stepbox_batch::error_kind::ErrorKind;
use stepbox_batch::execution::NewJobExecution;
use stepbox_batch::execution::event::EventKind;
use stepbox_batch::execution::queue::QueueState;
use stepbox_batch::name::JobExecutionId;
use stepbox_batch::ports::{RepositoryError, Result};

use super::connection::Db;
use super::lanes::Lane;
use super::leases::HELD;
use super::trouble::{Outcome, Trouble};
use super::value::{Value, named};
use super::{claim, executions, idempotency, instances, leases, locks, pauses, steps};
use crate::record::audit::AuditRecord;
use crate::record::columns::Columns;
use crate::record::execution::AcceptedRecord;
use crate::record::idempotency::{KeyRecord, refuse};
use crate::record::{Row, stored};
use crate::save::{ClaimRecord, LeaseRecord, NewRecord};

/// Inserts an execution with its events and, if it is to wait, its entry. Most executions need nothing else, so
/// this one statement is the whole transaction. The row of the instance is locked, so it is not deleted meanwhile.
///
/// Nothing is inserted if there is no such instance, no such lane, or no room.
pub(super) const ACCEPT: &str = "
    WITH known AS (SELECT FROM job_instances WHERE tenant = :tenant AND code = :instance FOR KEY SHARE),
    lane AS (
        SELECT id FROM queue_lanes
        WHERE :is_queued AND tenant = :tenant AND type = :lane_type AND job = :lane_job
          AND instance = :lane_instance AND running_max IS NOT DISTINCT FROM CAST(:running_max AS BIGINT)),
    room AS (
        SELECT :has_room AND (CAST(:queued_before AS BIGINT) IS NULL OR NOT EXISTS (
            SELECT FROM queue_entries WHERE tenant = :tenant AND is_queued
            OFFSET CAST(:queued_before AS BIGINT))) AS is_free),
    execution AS (
        INSERT INTO job_executions
            (tenant, instance, status, stoppable, created_at, updated_at, attempt, lease_token,
             lease_expires_at, heartbeat_at, restart_of, user_name, worker, exit_code, exit_description,
             failures, context, parameters, parameters_key, job, job_name, job_type, connector, step_names,
             partition_of, partition_step, partition_number, partition_count)
        SELECT :tenant, :instance, :status, :stoppable, :created_at, :updated_at, :attempt, :attempt,
               :lease_expires_at, :heartbeat_at, :restart_of, :user_name, :worker, :exit_code, :exit_description,
               :failures, :context, :parameters, :parameters_key, :job, :job_name, :job_type, :connector, :step_names,
               :partition_of, :partition_step, :partition_number, :partition_count
        FROM known, room WHERE is_free AND (NOT :is_queued OR EXISTS (SELECT FROM lane))
        RETURNING id),
    entry AS (
        INSERT INTO queue_entries
            (tenant, execution_id, lane, state, priority, turn, available_at, losses, attempts_max)
        SELECT :tenant, execution.id, lane.id, :state, :priority, coalesce(CAST(:partition_of AS BIGINT), execution.id),
               :available_at, 0, :attempts_max
        FROM execution, lane),
    event AS (
        INSERT INTO audit_events (tenant, at, user_name, action, subject, detail)
        SELECT :tenant, :created_at, :user_name, :action, CAST(id AS TEXT), :detail FROM execution),
    outbox AS (
        INSERT INTO new_execution_events (tenant, execution_id, at, kind)
        SELECT :tenant, id, :created_at, :event_kind FROM execution)
    SELECT (SELECT id FROM execution) AS id, EXISTS (SELECT FROM known) AS is_known,
           EXISTS (SELECT FROM lane) AS has_lane";

/// Whether one statement is enough: nothing else must be read, locked or written.
pub(super) fn is_plain(new: &NewJobExecution, claim: Option<&ClaimRecord>) -> bool {
    new.steps.is_empty() && new.idempotency.is_none() && !needs_check(new, claim)
}

/// Whether something must be read under a lock of its own.
fn needs_check(new: &NewJobExecution, claim: Option<&ClaimRecord>) -> bool {
    let is_unique = new.queue.as_ref().is_some_and(|queue| queue.is_unique);
    let is_limited = claim.is_some() && new.job.concurrency.is_some();
    new.restart_of.is_some() || is_unique || is_limited
}

/// Accepts an execution; returns its id. In a transaction, unless it is plain.
pub(super) async fn create(
    db: &Db,
    new: &NewJobExecution,
    record: &NewRecord,
    claim: Option<&ClaimRecord>,
) -> Outcome<JobExecutionId> {
    let key = new.idempotency.as_ref().map(|given| KeyRecord::new(&new.tenant, given, new.by.at));
    if let Some(key) = &key {
        // The second of two requests at once waits here, and then sees the first.
        locks::by_name(db, &new.tenant, &key.key).await?;
        refuse(idempotency::first(db, key).await?)?;
    }
    if needs_check(new, claim) {
        check(db, new, record, claim).await?;
    }
    let id = insert(db, new, record, claim).await?;
    for step in &record.steps {
        steps::put(db, &record.accepted.tenant, id, step).await?;
    }
    let id = Row(format!("execution {id}")).id("id", id)?;
    if let Some(key) = &key {
        idempotency::keep(db, key, id).await?;
    }
    Ok(id)
}

/// Accepts executions in a transaction, each in a savepoint of its own: what is refused is rolled back alone.
pub(super) async fn create_each(
    db: &Db,
    executions: &[(&NewJobExecution, NewRecord)],
) -> Outcome<Vec<Result<JobExecutionId>>> {
    let mut answers = Vec::new();
    for (new, record) in executions {
        db.run("SAVEPOINT one").await?;
        let answer = match create(db, new, record, None).await {
            Ok(id) => {
                db.run("RELEASE SAVEPOINT one").await?;
                Ok(id)
            }
            Err(Trouble::Repository(refusal)) if refusal.kind() != ErrorKind::StoreUnavailable => {
                db.run("ROLLBACK TO SAVEPOINT one").await?;
                Err(refusal)
            }
            Err(trouble) => return Err(trouble),
        };
        answers.push(answer);
    }
    Ok(answers)
}

/// Accepts the parts of a step, in a transaction in which no other worker gets the lease.
pub(super) async fn create_partitions(
    db: &Db,
    lease: &LeaseRecord,
    parts: &[(&NewJobExecution, NewRecord)],
) -> Outcome<()> {
    let sql = format!(
        "SELECT pause_requested_at IS NOT NULL AS is_pausing FROM job_executions WHERE {HELD} FOR NO KEY UPDATE"
    );
    let values = named! {"tenant": &lease.tenant, "id": lease.id, "token": lease.token};
    let whole = db.row(&sql, &values).await?.ok_or_else(|| leases::lost(lease))?;
    for (new, record) in parts {
        create(db, new, record, None).await?;
    }
    match parts.first() {
        // A pause that was requested since the worker asked last is one of the parts, too.
        Some((new, _)) if whole.flag("is_pausing")? => {
            pauses::pause_parts(db, &lease.tenant, lease.id, new.by.at).await
        }
        _ => Ok(()),
    }
}

/// Checks that need locks of their own. Each lock is taken before anything is read.
async fn check(
    db: &Db,
    new: &NewJobExecution,
    record: &NewRecord,
    claim: Option<&ClaimRecord>,
) -> Outcome<()> {
    let AcceptedRecord { tenant, instance, restart_of, parameters_key, .. } = &record.accepted;
    let limit = new.job.concurrency.filter(|_| claim.is_some() && new.partition.is_none());
    if limit.is_some() {
        db.run(locks::CLAIMS).await?;
    }
    // Two unique executions at once wait for each other here.
    let sql = "SELECT FROM job_instances WHERE tenant = :tenant AND code = :code FOR NO KEY UPDATE";
    if db.row(sql, &named! {"tenant": tenant, "code": instance}).await?.is_none() {
        return Err(instances::not_found(instance).into());
    }
    if let Some(before) = restart_of {
        refuse_second_restart(db, tenant, *before).await?;
    }
    if let (Some(claim), Some(max)) = (claim, limit) {
        claim::check_concurrency(db, tenant, &new.instance, max, claim.now).await?;
    }
    match new.queue.as_ref().is_some_and(|queue| queue.is_unique) {
        true => refuse_double(db, new, parameters_key).await,
        false => Ok(()),
    }
}

/// Refuses a second restart of an execution: only the last execution of a chain may be continued.
///
/// Two runs from the same checkpoint at once would write the same output, and a later one would find the output
/// changed. The row is locked, so that the second of two calls at once sees the first.
async fn refuse_second_restart(db: &Db, tenant: &str, before: i64) -> Outcome<()> {
    executions::standing(db, tenant, before).await?.restart()?;
    let sql = "SELECT id FROM job_executions WHERE tenant = :tenant AND restart_of = :before LIMIT 1";
    match db.row(sql, &named! {"tenant": tenant, "before": before}).await? {
        None => Ok(()),
        Some(next) => {
            let user = format!("execution {}, which continues it", next.number("id")?);
            Err(RepositoryError::InUse { kind: "execution", name: before.to_string(), user }.into())
        }
    }
}

async fn insert(
    db: &Db,
    new: &NewJobExecution,
    record: &NewRecord,
    claim: Option<&ClaimRecord>,
) -> Outcome<i64> {
    let place = Place::new(new, claim.is_some());
    // The subject is the id, which the statement inserts.
    let event = AuditRecord::new(&Deed::execution_submitted(JobExecutionId(0), new), &new.by);
    let values = values(&place, record, claim, &event);
    loop {
        let row = db.row(ACCEPT, &values).await?;
        let row = row.ok_or_else(|| Trouble::Unfit("it gave no answer to an insertion".to_owned()))?;
        if let Some(id) = row.maybe_number("id")? {
            return Ok(id);
        }
        if !row.flag("is_known")? {
            return Err(instances::not_found(&record.accepted.instance).into());
        }
        if row.flag("has_lane")? || !place.is_queued {
            return Err(place.full().into());
        }
        place.lane.make(db).await?;
    }
}

/// The parameters of [`ACCEPT`].
pub(super) fn values<'a>(
    place: &Place<'a>,
    record: &'a NewRecord,
    claim: Option<&'a ClaimRecord>,
    event: &'a AuditRecord,
) -> Vec<(&'static str, Value<'a>)> {
    let NewRecord { accepted, state, context, .. } = record;
    let partition = accepted.partition;
    let mut values = place.values();
    values.extend(named! {
            "tenant": &accepted.tenant,
            "instance": &accepted.instance,
            "status": state.status,
            "stoppable": accepted.stoppable,
            "created_at": accepted.created_at,
            "updated_at": state.updated_at,
            "attempt": i64::from(claim.is_some()),
            "lease_expires_at": claim.map(|claim| claim.lease_expires_at),
            "heartbeat_at": claim.map(|claim| claim.now),
            "restart_of": accepted.restart_of,
            "user_name": &accepted.user_name,
            "worker": claim.map(|claim| claim.worker.as_str()),
            "exit_code": &state.exit_code,
            "exit_description": &state.exit_description,
            "failures": &state.failures,
            "context": context,
            "parameters": &accepted.parameters,
            "parameters_key": &accepted.parameters_key,
            "job": &accepted.job,
            "job_name": &accepted.job_name,
        "job_type": &accepted.job_type,
        "connector": &accepted.connector,
        "step_names": &accepted.step_names,
            "partition_of": partition.map(|partition| partition.of),
            "partition_step": partition.map(|partition| partition.position),
            "partition_number": partition.map(|partition| partition.number),
            "partition_count": partition.map(|partition| partition.count),
            "event_kind": i64::from(EventKind::Submitted.number()),
            "action": &event.action,
            "detail": &event.detail,
    });
    values
}

/// The lane in which an execution that is about to be accepted will wait.
#[derive(Debug)]
pub(super) struct Place<'a> {
    new: &'a NewJobExecution,
    pub is_queued: bool,
    is_claimed: bool,
    lane: Lane<'a>,
}

impl<'a> Place<'a> {
    pub(super) fn new(new: &'a NewJobExecution, is_claimed: bool) -> Self {
        let lane = Lane::new(&new.tenant, &new.instance, &new.job, new.partition.is_some());
        Self { new, is_queued: new.queue.is_some(), is_claimed, lane }
    }

    /// The values of the execution's place in the queue, for a statement.
    pub(super) fn values(&self) -> Vec<(&'static str, Value<'a>)> {
        let queue = self.new.queue.as_ref();
        let now = self.new.by.at;
        let available_at = queue.map_or(now, |queue| queue.available_at);
        let state = match (self.is_claimed, available_at > now) {
            (true, _) => QueueState::Claimed,
            (false, true) => QueueState::Delayed,
            (false, false) => QueueState::Waiting,
        };
        // The limit counts this entry, too: the last entry with room finds one entry less than the limit.
        let max = queue.and_then(|queue| queue.queued_max);
        let mut values = Vec::from(named! {
            "is_queued": self.is_queued,
            "state": i64::from(state.number()),
            "priority": i64::from(queue.map_or(0, |queue| queue.priority)),
            "available_at": available_at.0,
            "attempts_max": i64::from(queue.map_or(1, |queue| queue.attempts_max.max(1))),
            "queued_before": max.map(|max| stored(max.saturating_sub(1))),
            "has_room": max != Some(0),
        });
        values.extend(self.lane.values());
        values
    }

    pub(super) fn full(&self) -> RepositoryError {
        RepositoryError::QueueFull {
            max: self.new.queue.as_ref().and_then(|queue| queue.queued_max).unwrap_or(0),
        }
    }
}

pub(super) const DOUBLE: &str = "SELECT id FROM job_executions
               WHERE tenant = :tenant AND instance = :instance AND parameters_key = :key
                 AND ended_at IS NULL AND partition_of IS NULL
               ORDER BY id LIMIT 1";

/// Refuses an execution if another one with the same parameters has not ended.
async fn refuse_double(db: &Db, new: &NewJobExecution, parameters_key: &str) -> Outcome<()> {
    let values = named! {
        "tenant": new.tenant.as_str(), "instance": new.instance.as_str(), "key": parameters_key,
    };
    match db.row(DOUBLE, &values).await? {
        None => Ok(()),
        Some(double) => {
            Err(RepositoryError::NotUnique { id: JobExecutionId(double.number("id")?.unsigned_abs()) }.into())
        }
    }
}
