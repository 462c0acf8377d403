//! How an execution is begun: claimed by its number, or in its turn. It has the same table of contents as
//! `postgres/claim.rs`.

use rusqlite::{Connection as Db, named_params};
use stepbox_batch::actor::Actor;
use stepbox_batch::audit::Deed;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::fairness::{Contender, Head, Lane, choose};
use stepbox_batch::execution::queue::QueueFilter;
use stepbox_batch::execution::status::BatchStatus;
use stepbox_batch::name::{InstanceCode, JobExecutionId, TenantId};
use stepbox_batch::ports::RepositoryError;

use super::trouble::Outcome;
use super::{aside, audit, executions, pauses, queue};
use crate::numbers::waiting;
use crate::record::execution::not_found;
use crate::record::{Row, stored, stored_id};
use crate::save::{ClaimRecord, ClaimedExecution};

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

/// Takes the lease; returns its token.
pub(super) fn by_number(
    db: &Db,
    tenant: &TenantId,
    id: JobExecutionId,
    claim: &ClaimRecord,
    by: &Actor,
) -> Outcome<u64> {
    let standing = executions::standing(db, tenant.as_str(), stored_id(id))?;
    standing.claim(Timestamp(claim.now))?;
    if standing.status == BatchStatus::Paused {
        audit::append(db, tenant, &Deed::execution_resumed(id, &claim.worker), by)?;
    }
    let execution = executions::get(db, tenant, id)?.ok_or_else(|| not_found(stored_id(id)))?;
    if let (Some(max), None) = (execution.job.concurrency, execution.partition) {
        check_concurrency(db, tenant.as_str(), &execution.instance, max, claim.now)?;
    }
    if standing.requests.pause {
        pauses::resume(db, tenant.as_str(), stored_id(id), Timestamp(claim.now))?;
    }
    queue::mark_claimed(db, stored_id(id))?;
    take(db, tenant.as_str(), stored_id(id), claim)
}

/// Gives the lease to the worker; returns its token.
fn take(db: &Db, tenant: &str, id: i64, claim: &ClaimRecord) -> Outcome<u64> {
    let token: i64 = db
        .prepare_cached(
            "UPDATE job_executions
             SET lease_token = lease_token + 1, lease_expires_at = :lease_expires_at,
                 heartbeat_at = :now, updated_at = :now, worker = :worker, attempt = attempt + 1
             WHERE tenant = :tenant AND id = :id AND ended_at IS NULL
             RETURNING lease_token",
        )?
        .query_row(
            named_params! {
                ":lease_expires_at": claim.lease_expires_at, ":now": claim.now,
                ":worker": claim.worker, ":tenant": tenant, ":id": id,
            },
            |row| row.get(0),
        )?;
    Ok(Row(format!("execution {id}")).count("lease_token", token)?)
}

/// Claims entries in turn.
pub(super) fn next(
    db: &Db,
    claim: &ClaimRecord,
    tenants: &[(TenantId, u64)],
    filter: &QueueFilter,
    limit: u32,
) -> Outcome<Vec<ClaimedExecution>> {
    queue::promote(db, claim.now)?;
    let limit = limit as usize;
    let mut claimed = Vec::new();
    // Claims once more if an execution could not be read. It is set aside, so it is not in the way any more.
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
            match aside::attempt(db, || claim_one(db, tenant, id, claim))? {
                Ok(one) => claimed.push(one),
                Err(reason) => {
                    let now = Timestamp(claim.now);
                    has_made_way |= aside::set_aside(db, tenant.as_str(), id, &reason, now)?.is_some();
                }
            }
        }
        if !has_made_way || claimed.len() == limit {
            return Ok(claimed);
        }
    }
}

pub(super) const LANES: &str = concat!(
    "SELECT id, type, job, running_max - (
            SELECT count(*) FROM job_executions INDEXED BY job_executions_leased
            WHERE tenant = queue_lanes.tenant AND instance = queue_lanes.instance
              AND lease_expires_at IS NOT NULL AND ended_at IS NULL AND partition_of IS NULL) AS room
 FROM queue_lanes
 WHERE tenant = :tenant AND EXISTS (
     SELECT 1 FROM queue_entries INDEXED BY queue_entries_waiting WHERE lane = queue_lanes.id AND state = ",
    waiting!(),
    ")"
);

/// The entries of a tenant that wait; `None` if no entry does.
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
    let mut statement = db.prepare_cached(concat!(
        "SELECT execution_id, priority, turn FROM queue_entries INDEXED BY queue_entries_waiting
         WHERE lane = :lane AND state = ",
        waiting!(),
        " ORDER BY priority DESC, turn, execution_id LIMIT :limit"
    ))?;
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
    let token = take(db, tenant.as_str(), id, claim)?;
    queue::mark_claimed(db, id)?;
    db.prepare_cached(
        "UPDATE queue_tenants SET served = (SELECT max(served) + 1 FROM queue_tenants) WHERE tenant = :tenant",
    )?
    .execute(named_params! {":tenant": tenant.as_str()})?;
    let execution = executions::get(db, tenant, known)?.ok_or_else(|| not_found(id))?;
    Ok(ClaimedExecution { execution, token })
}
