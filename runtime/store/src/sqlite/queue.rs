//! The queue: entries come in with their executions, are claimed in turn, and go when these have ended.

use rusqlite::{Connection as Db, OptionalExtension, Row as SqlRow, named_params};
use stepbox_batch::actor::Actor;
use stepbox_batch::audit::Deed;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::NewJobExecution;
use stepbox_batch::execution::fairness::{Contender, Head, Lane, choose};
use stepbox_batch::execution::queue::{Enqueue, QueueDepth, QueueEntry, QueueFilter, QueueState};
use stepbox_batch::execution::rescue::Loss;
use stepbox_batch::execution::status::BatchStatus;
use stepbox_batch::name::{InstanceCode, JobExecutionId, TenantId};
use stepbox_batch::ports::RepositoryError;

use super::trouble::{Outcome, legible, listed};
use super::{audit, executions, rescue};
use crate::record::{Listed, Row, stored, stored_id};
use crate::save::{ClaimRecord, ClaimedExecution};

/// Puts an execution that was just accepted into the queue.
pub(super) fn enqueue(db: &Db, id: i64, new: &NewJobExecution, queue: &Enqueue) -> Outcome<()> {
    let lane = lane_of(db, new)?;
    let state = if queue.available_at > new.by.at { QueueState::Delayed } else { QueueState::Waiting };
    db.prepare_cached(
        "INSERT INTO queue_entries
             (execution_id, tenant, lane, state, priority, turn, available_at, losses, attempts_max)
         VALUES (:id, :tenant, :lane, :state, :priority, :turn, :available_at, 0, :attempts_max)",
    )?
    .execute(named_params! {
        ":id": id, ":tenant": new.tenant.as_str(), ":lane": lane, ":state": state.number(),
        ":priority": queue.priority, ":turn": new.partition.map_or(id, |partition| stored_id(partition.of)),
        ":available_at": queue.available_at.0, ":attempts_max": queue.attempts_max.max(1),
    })?;
    db.prepare_cached(
        "INSERT INTO queue_tenants (tenant, served) VALUES (:tenant, 0) ON CONFLICT DO NOTHING",
    )?
    .execute(named_params! {":tenant": new.tenant.as_str()})?;
    Ok(())
}

/// The lane of an execution, made if it is the first one there.
fn lane_of(db: &Db, new: &NewJobExecution) -> Outcome<i64> {
    // A part runs under the roof of the whole, which has its place already.
    let limit = new.job.concurrency.filter(|_| new.partition.is_none());
    let instance = if limit.is_some() { new.instance.as_str() } else { "" };
    let lane = db
        .prepare_cached(
            "INSERT INTO queue_lanes (tenant, type, job, instance, running_max)
             VALUES (:tenant, :type, :job, :instance, :running_max)
             ON CONFLICT (tenant, type, job, instance) DO UPDATE SET running_max = excluded.running_max
             RETURNING id",
        )?
        .query_row(
            named_params! {
                ":tenant": new.tenant.as_str(), ":type": new.job.job_type, ":job": new.job.name.as_str(),
                ":instance": instance, ":running_max": limit,
            },
            |row| row.get(0),
        )?;
    Ok(lane)
}

/// Refuses what the queue has no room for, and a double of what has not ended.
pub(super) fn check_room(
    db: &Db,
    new: &NewJobExecution,
    parameters_key: &str,
    queue: &Enqueue,
) -> Outcome<()> {
    let tenant = new.tenant.as_str();
    if queue.is_unique {
        let double: Option<i64> = db
            .prepare_cached(
                "SELECT id FROM job_executions INDEXED BY job_executions_open
                 WHERE tenant = :tenant AND instance = :instance AND parameters_key = :key
                   AND ended_at IS NULL AND partition_of IS NULL
                 ORDER BY id LIMIT 1",
            )?
            .query_row(
                named_params! {":tenant": tenant, ":instance": new.instance.as_str(), ":key": parameters_key},
                |row| row.get(0),
            )
            .optional()?;
        if let Some(id) = double {
            return Err(RepositoryError::NotUnique { id: JobExecutionId(id.unsigned_abs()) }.into());
        }
    }
    let Some(max) = queue.queued_max else { return Ok(()) };
    let is_full = db
        .prepare_cached(
            "SELECT 1 FROM queue_entries WHERE tenant = :tenant AND state IN (0, 1) LIMIT 1 OFFSET :before",
        )?
        .exists(named_params! {":tenant": tenant, ":before": stored(max.saturating_sub(1))})?;
    if max == 0 || is_full { Err(RepositoryError::QueueFull { max }.into()) } else { Ok(()) }
}

/// Refuses to begin an execution of an instance that is full.
pub(super) fn check_concurrency(
    db: &Db,
    tenant: &str,
    instance: &InstanceCode,
    max: u32,
    now: i64,
) -> Outcome<()> {
    let running: Vec<i64> = db
        .prepare_cached(RUNNING)?
        .query_map(
            named_params! {":tenant": tenant, ":instance": instance.as_str(), ":now": now, ":max": max},
            |row| row.get(0),
        )?
        .collect::<Result<_, _>>()?;
    match running.first() {
        Some(id) if running.len() >= max as usize => {
            let (instance, id) = (instance.clone(), JobExecutionId(id.unsigned_abs()));
            Err(RepositoryError::ConcurrencyReached { instance, max, id }.into())
        }
        _ => Ok(()),
    }
}

pub(super) const RUNNING: &str = "SELECT id FROM job_executions INDEXED BY job_executions_leased
     WHERE tenant = :tenant AND instance = :instance AND lease_expires_at > :now
       AND ended_at IS NULL AND partition_of IS NULL
     ORDER BY id LIMIT :max";

/// Says that an entry is a worker's, if there is one.
pub(super) fn mark_claimed(db: &Db, id: i64) -> Outcome<()> {
    db.prepare_cached("UPDATE queue_entries SET state = 2 WHERE execution_id = :id")?
        .execute(named_params! {":id": id})?;
    Ok(())
}

/// What becomes of an entry whose execution nobody holds any more: one that has ended goes, one that rests
/// waits for the next worker.
pub(super) fn let_go(db: &Db, id: i64) -> Outcome<()> {
    db.prepare_cached(
        "DELETE FROM queue_entries WHERE execution_id = :id
           AND EXISTS (SELECT 1 FROM job_executions WHERE id = :id AND ended_at IS NOT NULL)",
    )?
    .execute(named_params! {":id": id})?;
    db.prepare_cached(
        "UPDATE queue_entries
         SET state = 0, available_at = (SELECT updated_at FROM job_executions WHERE id = :id)
         WHERE execution_id = :id",
    )?
    .execute(named_params! {":id": id})?;
    Ok(())
}

/// Whether a claim would have something to choose from.
pub(super) fn has_work(db: &Db, now: i64) -> Outcome<bool> {
    let has_work = db
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM queue_entries INDEXED BY queue_entries_waiting WHERE state = 0)
                 OR EXISTS (SELECT 1 FROM queue_entries WHERE state = 1 AND available_at <= :now)",
        )?
        .query_row(named_params! {":now": now}, |row| row.get(0))?;
    Ok(has_work)
}

/// Claims entries in turn.
pub(super) fn claim_next(
    db: &Db,
    claim: &ClaimRecord,
    tenants: &[(TenantId, u64)],
    filter: &QueueFilter,
    limit: u32,
) -> Outcome<Vec<ClaimedExecution>> {
    promote(db, claim.now)?;
    let limit = limit as usize;
    let mut claimed = Vec::new();
    // Again for each one that cannot be read, which is in nobody's way any more then.
    loop {
        let wanted = limit - claimed.len();
        let mut waiting: Vec<(&TenantId, Contender)> = Vec::new();
        for (tenant, running_max) in tenants {
            if let Some(contender) = contender(db, tenant, *running_max, filter, wanted)? {
                waiting.push((tenant, contender));
            }
        }
        let contenders = waiting.iter().map(|(_, contender)| contender.clone()).collect();
        let mut has_made_way = false;
        for (index, id) in choose(contenders, wanted) {
            let tenant = waiting[index].0;
            match rescue::attempt(db, || claim_one(db, tenant, id, claim))? {
                Ok(one) => claimed.push(one),
                Err(reason) => {
                    let now = Timestamp(claim.now);
                    has_made_way |= rescue::set_aside(db, tenant.as_str(), id, &reason, now)?.is_some();
                }
            }
        }
        if !has_made_way || claimed.len() == limit {
            return Ok(claimed);
        }
    }
}

/// Delayed entries whose time has come wait from now on.
fn promote(db: &Db, now: i64) -> Outcome<()> {
    db.prepare_cached("UPDATE queue_entries SET state = 0 WHERE state = 1 AND available_at <= :now")?
        .execute(named_params! {":now": now})?;
    Ok(())
}

pub(super) const LANES: &str = "SELECT id, type, job, running_max - (
            SELECT count(*) FROM job_executions INDEXED BY job_executions_leased
            WHERE tenant = queue_lanes.tenant AND instance = queue_lanes.instance
              AND lease_expires_at IS NOT NULL AND ended_at IS NULL AND partition_of IS NULL) AS room
 FROM queue_lanes
 WHERE tenant = :tenant AND EXISTS (
     SELECT 1 FROM queue_entries INDEXED BY queue_entries_waiting WHERE lane = queue_lanes.id AND state = 0)";

/// What waits of a tenant; none if nothing does.
fn contender(
    db: &Db,
    tenant: &TenantId,
    running_max: u64,
    filter: &QueueFilter,
    limit: usize,
) -> Outcome<Option<Contender>> {
    let mut statement = db.prepare_cached(LANES)?;
    let lanes = statement.query_map(named_params! {":tenant": tenant.as_str()}, |row| {
        Ok((row.get("id")?, row.get("type")?, row.get("job")?, row.get("room")?))
    })?;
    let mut open = Vec::new();
    for lane in lanes {
        let (id, job_type, job, room): (i64, String, String, Option<i64>) = lane?;
        let room = room.map(|room| u64::try_from(room).unwrap_or(0));
        let is_wanted = (filter.jobs.is_empty() || filter.jobs.iter().any(|wanted| wanted.as_str() == job))
            && (filter.types.is_empty() || filter.types.contains(&job_type));
        if is_wanted && room != Some(0) {
            open.push(Lane { room, heads: heads(db, id, limit)?.into() });
        }
    }
    if open.is_empty() {
        return Ok(None);
    }
    let (running, served): (i64, i64) = db
        .prepare_cached(
            "SELECT (SELECT count(*) FROM job_executions INDEXED BY job_executions_leased
                     WHERE tenant = :tenant AND lease_expires_at IS NOT NULL AND ended_at IS NULL),
                    coalesce((SELECT served FROM queue_tenants WHERE tenant = :tenant), 0)",
        )?
        .query_row(named_params! {":tenant": tenant.as_str()}, |row| Ok((row.get(0)?, row.get(1)?)))?;
    let running = u64::try_from(running).unwrap_or(0);
    Ok(Some(Contender { running, running_max, served, lanes: open }))
}

fn heads(db: &Db, lane: i64, limit: usize) -> Outcome<Vec<Head>> {
    let mut statement = db.prepare_cached(
        "SELECT execution_id, priority, turn FROM queue_entries INDEXED BY queue_entries_waiting
         WHERE lane = :lane AND state = 0 ORDER BY priority DESC, turn, execution_id LIMIT :limit",
    )?;
    let heads = statement
        .query_map(named_params! {":lane": lane, ":limit": stored(limit as u64)}, |row| {
            Ok(Head { id: row.get(0)?, priority: row.get(1)?, turn: row.get(2)? })
        })?;
    Ok(heads.collect::<Result<_, _>>()?)
}

fn claim_one(db: &Db, tenant: &TenantId, id: i64, claim: &ClaimRecord) -> Outcome<ClaimedExecution> {
    let known = Row(format!("execution {id}")).id("id", id)?;
    let standing = executions::standing(db, tenant.as_str(), id)?;
    if standing.status == BatchStatus::Paused {
        let by = Actor::stepbox(Timestamp(claim.now));
        audit::append(db, tenant, &Deed::execution_resumed(known, &claim.worker), &by)?;
    }
    let token = super::leases::take(db, tenant.as_str(), id, claim)?;
    mark_claimed(db, id)?;
    db.prepare_cached(
        "UPDATE queue_tenants SET served = (SELECT max(served) + 1 FROM queue_tenants) WHERE tenant = :tenant",
    )?
    .execute(named_params! {":tenant": tenant.as_str()})?;
    let execution = executions::get(db, tenant, known)?.ok_or_else(|| executions::not_found(id))?;
    Ok(ClaimedExecution { execution, token })
}

/// Has an entry wait again after its worker was lost.
pub(super) fn requeue(db: &Db, id: i64, loss: &Loss, now: Timestamp) -> Outcome<()> {
    let available_at = loss.available_at(now);
    let state = if available_at > now { QueueState::Delayed } else { QueueState::Waiting };
    db.prepare_cached(
        "UPDATE queue_entries SET state = :state, losses = :losses, available_at = :available_at
         WHERE execution_id = :id",
    )?
    .execute(named_params! {
        ":state": state.number(), ":losses": loss.losses, ":available_at": available_at.0, ":id": id,
    })?;
    Ok(())
}

pub(super) fn entry(db: &Db, tenant: &TenantId, id: i64) -> Outcome<Option<QueueEntry>> {
    let found = db
        .prepare_cached(
            "SELECT state, priority, available_at, losses, attempts_max FROM queue_entries
             WHERE tenant = :tenant AND execution_id = :id",
        )?
        .query_row(named_params! {":tenant": tenant.as_str(), ":id": id}, entry_columns)
        .optional()?;
    let row = Row(format!("queue entry {id}"));
    let entry = |(state, priority, available_at, losses, attempts_max)| {
        Ok(QueueEntry {
            state: row.queue_state(state)?,
            priority: row.count("priority", priority)?,
            available_at: Timestamp(available_at),
            losses: row.count("losses", losses)?,
            attempts_max: row.count("attempts_max", attempts_max)?,
        })
    };
    found.map(entry).transpose()
}

fn entry_columns(row: &SqlRow<'_>) -> rusqlite::Result<(i64, i64, i64, i64, i64)> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
}

/// How much is in the queue. Of all tenants, on purpose: whoever operates the machine looks at it.
pub(super) fn depths(db: &Db) -> Outcome<Vec<QueueDepth>> {
    let mut statement = db.prepare_cached(DEPTHS)?;
    let mut rows = statement.query([])?;
    let mut depths = Vec::new();
    while let Some(row) = rows.next()? {
        let depth = depth(row);
        depths.extend(listed(Listed::named("queue", legible(row, "tenant")?), depth)?.ok());
    }
    Ok(depths)
}

pub(super) const DEPTHS: &str =
    "SELECT tenant, state, count(*) AS count, min(available_at) AS oldest FROM queue_entries
     WHERE execution_id NOT IN (SELECT id FROM job_executions WHERE set_aside IS NOT NULL)
     GROUP BY tenant, state ORDER BY tenant, state";

fn depth(row: &SqlRow<'_>) -> Outcome<QueueDepth> {
    let tenant: String = row.get("tenant")?;
    let name = Row(format!("the queue of `{tenant}`"));
    Ok(QueueDepth {
        state: name.queue_state(row.get("state")?)?,
        count: name.count("count", row.get("count")?)?,
        oldest: Timestamp(row.get("oldest")?),
        tenant: name.name("tenant", tenant)?,
    })
}
