//! How an execution is begun: claimed by its number, or in its turn. It has the same table of contents as
//! `sqlite/claim.rs`.
//!
//! A claim in turn takes three round trips, for any number of executions: what waits, taking it, and the disk. The
//! process that chooses holds a lock, since it counts what runs. SQLite needs no lock: one process writes at a time.

use std::collections::BTreeMap;

use stepbox_batch::actor::Actor;
use stepbox_batch::audit::Deed;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::fairness::{Contender, Head, Lane, choose};
use stepbox_batch::execution::queue::QueueFilter;
use stepbox_batch::execution::status::BatchStatus;
use stepbox_batch::name::{InstanceCode, JobExecutionId, TenantId};
use stepbox_batch::ports::RepositoryError;
use tokio_postgres::Row as SqlRow;

use super::connection::{Db, Named};
use super::trouble::Outcome;
use super::value::{Value, named};
use super::{audit, executions, locks, pauses, queue};
use crate::numbers::{claimed, waiting};
use crate::record::audit::AuditRecord;
use crate::record::columns::Columns;
use crate::record::execution::{COLUMNS, not_found};
use crate::record::{Row, job, stored, stored_id};
use crate::save::{ClaimRecord, ClaimedExecution};

pub(super) const RUNNING: &str = "SELECT id FROM job_executions
               WHERE tenant = :tenant AND instance = :instance AND is_running AND lease_expires_at > :now
                 AND partition_of IS NULL
               ORDER BY id LIMIT :max";

/// Refuses to begin an execution of an instance that is full. The caller holds the lock, so no other one begins
/// meanwhile.
pub(super) async fn check_concurrency(
    db: &Db,
    tenant: &str,
    instance: &InstanceCode,
    max: u32,
    now: i64,
) -> Outcome<()> {
    let values = named! {
        "tenant": tenant, "instance": instance.as_str(), "now": now, "max": i64::from(max),
    };
    let running = db.rows(RUNNING, &values).await?;
    match running.first() {
        Some(first) if running.len() >= max as usize => {
            let id = JobExecutionId(first.number("id")?.unsigned_abs());
            Err(RepositoryError::ConcurrencyReached { instance: instance.clone(), max, id }.into())
        }
        _ => Ok(()),
    }
}

/// Takes the lease; returns its token.
pub(super) async fn by_number(
    db: &Db,
    tenant: &TenantId,
    id: JobExecutionId,
    claim: &ClaimRecord,
    by: &Actor,
) -> Outcome<u64> {
    db.run(locks::CLAIMS).await?;
    let known = stored_id(id);
    let standing = executions::standing(db, tenant.as_str(), known).await?;
    standing.claim(Timestamp(claim.now))?;
    if standing.status == BatchStatus::Paused {
        audit::append(db, tenant, &Deed::execution_resumed(id, &claim.worker), by).await?;
    }
    check_concurrency_of(db, tenant, known, claim).await?;
    if standing.requests.pause {
        pauses::resume(db, tenant.as_str(), known, Timestamp(claim.now)).await?;
    }
    queue::mark_claimed(db, tenant.as_str(), known).await?;
    let sql = "UPDATE job_executions
               SET lease_token = lease_token + 1, lease_expires_at = :lease_expires_at,
                   heartbeat_at = :now, updated_at = :now, worker = :worker, attempt = attempt + 1
               WHERE tenant = :tenant AND id = :id AND ended_at IS NULL
               RETURNING lease_token";
    let values = named! {
        "lease_expires_at": claim.lease_expires_at, "now": claim.now, "worker": &claim.worker,
        "tenant": tenant.as_str(), "id": known,
    };
    let taken = db.row(sql, &values).await?.ok_or_else(|| not_found(known))?;
    Ok(Row(format!("execution {id}")).count("lease_token", taken.number("lease_token")?)?)
}

/// The limit of executions of one instance at a time also applies to a claim by number.
async fn check_concurrency_of(db: &Db, tenant: &TenantId, id: i64, claim: &ClaimRecord) -> Outcome<()> {
    let sql = "SELECT instance, job FROM job_executions
               WHERE tenant = :tenant AND id = :id AND partition_of IS NULL";
    let Some(found) = db.row(sql, &named! {"tenant": tenant.as_str(), "id": id}).await? else {
        return Ok(());
    };
    let row = Row(format!("execution {id}"));
    let instance: InstanceCode = row.name("instance", found.text("instance")?)?;
    match job::decode(&row, "job", &found.text("job")?)?.concurrency {
        Some(max) => check_concurrency(db, tenant.as_str(), &instance, max, claim.now).await,
        None => Ok(()),
    }
}

/// The first entries of each lane that the worker wants, in their order.
pub(super) const HEADS: &str = concat!(
    "SELECT l.tenant, l.id AS lane, heads.execution_id, heads.priority, heads.turn,
           l.running_max - (
               SELECT count(*) FROM job_executions e
               WHERE e.tenant = l.tenant AND e.instance = l.instance AND e.is_running
                 AND e.partition_of IS NULL AND l.running_max IS NOT NULL) AS room
    FROM queue_lanes l
    CROSS JOIN LATERAL (
        SELECT execution_id, priority, turn FROM queue_entries
        WHERE lane = l.id AND state = ",
    waiting!(),
    " ORDER BY priority DESC, turn, execution_id LIMIT :limit) heads
    WHERE l.tenant = ANY(:tenants)
      AND (cardinality(CAST(:jobs AS TEXT[])) = 0 OR l.job = ANY(:jobs))
      AND (cardinality(CAST(:types AS TEXT[])) = 0 OR l.type = ANY(:types))
    ORDER BY l.id, heads.priority DESC, heads.turn, heads.execution_id"
);

/// How many executions of each tenant run, and when the tenant was served last.
pub(super) const STANDINGS: &str = "
    SELECT wanted.tenant,
           (SELECT count(*) FROM job_executions e
            WHERE e.tenant = wanted.tenant AND e.is_running) AS running,
           coalesce((SELECT served FROM queue_tenants s WHERE s.tenant = wanted.tenant), 0) AS served
    FROM unnest(CAST(:tenants AS TEXT[])) AS wanted (tenant)";

/// Takes the chosen executions, but not those that are being stopped or claimed by number at this moment.
///
/// Each row is looked up by itself; `OFFSET 0` prevents a join. Otherwise a server that has counted the queue while
/// it was empty compares the list of ids with all entries of a tenant.
pub(super) fn take_statement() -> String {
    format!(
        "WITH wanted AS (SELECT * FROM unnest(CAST(:owners AS TEXT[]), CAST(:ids AS BIGINT[])) AS w (tenant, id)),
         chosen AS (
             SELECT w.tenant, w.id, e.status FROM wanted w
             CROSS JOIN LATERAL (
                 SELECT status, ended_at FROM job_executions WHERE tenant = w.tenant AND id = w.id
                 OFFSET 0 FOR NO KEY UPDATE SKIP LOCKED) e
             CROSS JOIN LATERAL (
                 SELECT state FROM queue_entries WHERE tenant = w.tenant AND execution_id = w.id
                 OFFSET 0 FOR NO KEY UPDATE SKIP LOCKED) q
             WHERE q.state = {waiting} AND e.ended_at IS NULL),
         taken AS (
             UPDATE job_executions e
             SET lease_token = lease_token + 1, lease_expires_at = :lease_expires_at, heartbeat_at = :now,
                 updated_at = :now, worker = :worker, attempt = attempt + 1
             FROM chosen c WHERE e.tenant = c.tenant AND e.id = c.id
             RETURNING {COLUMNS}, e.lease_token),
         entries AS (
             UPDATE queue_entries q SET state = {claimed} FROM taken t
             WHERE q.tenant = t.tenant AND q.execution_id = t.id),
         served AS (
             UPDATE queue_tenants t
             SET served = turn.number + (SELECT coalesce(max(served), 0) FROM queue_tenants)
             FROM unnest(CAST(:served AS TEXT[])) WITH ORDINALITY AS turn (tenant, number)
             WHERE t.tenant = turn.tenant),
         events AS (
             INSERT INTO audit_events (tenant, at, user_name, action, subject, detail)
             SELECT tenant, :now, :event_user, :event_action, CAST(id AS TEXT), :event_detail
             FROM chosen WHERE status = :paused AND id = ANY(ARRAY(SELECT id FROM taken)))
         SELECT * FROM taken",
        waiting = waiting!(),
        claimed = claimed!(),
    )
}

/// Begins a claim: no other process chooses meanwhile.
///
/// A claimer that the network has cut off holds up the others for at most two seconds. The commit itself does not
/// wait for the disk, so that the next claimer can choose at once; [`DURABLE`] waits.
const BEGIN: &str = "BEGIN; SET LOCAL synchronous_commit = off;
                     SET LOCAL idle_in_transaction_session_timeout = 2000";

/// Commits only a mark in the log. The mark reaches the disk after everything before it.
const DURABLE: &str = "SELECT pg_logical_emit_message(TRUE, 'stepbox', '')";

/// An execution that was claimed and cannot be read.
#[derive(Debug)]
pub(super) struct Damaged {
    pub tenant: String,
    pub id: i64,
    pub token: i64,
    pub reason: String,
}

/// Claims entries in turn, in three round trips: what waits, taking it, and the disk. An execution that cannot be
/// read is claimed as well, and the caller must set it aside.
pub(super) async fn next(
    db: &Db,
    claim: &ClaimRecord,
    tenants: &[(TenantId, u64)],
    filter: &QueueFilter,
    limit: u32,
) -> Outcome<(Vec<ClaimedExecution>, Vec<Damaged>)> {
    let values = named! {
        "now": claim.now,
        "limit": i64::from(limit),
        "tenants": tenants.iter().map(|(tenant, _)| tenant.as_str()).collect::<Value<'_>>(),
        "jobs": filter.jobs.iter().map(|job| job.as_str()).collect::<Value<'_>>(),
        "types": filter.types.iter().collect::<Value<'_>>(),
    };
    let statements = [queue::PROMOTE, HEADS, STANDINGS].map(|sql| (sql, &values[..]));
    db.prepare_all(statements.into_iter()).await?;
    let (_, _, _, heads, standings) = tokio::try_join!(
        biased;
        db.run(BEGIN),
        db.run(locks::CLAIMS),
        db.execute(queue::PROMOTE, &values),
        db.rows(HEADS, &values),
        db.rows(STANDINGS, &values),
    )?;
    let contenders = contenders(tenants, &heads, &standings)?;
    let names: Vec<_> = contenders.iter().map(|(tenant, _)| *tenant).collect();
    let contenders = contenders.into_iter().map(|(_, contender)| contender).collect();
    let chosen: Vec<_> = choose(contenders, limit as usize);
    let chosen: Vec<_> = chosen.into_iter().map(|(index, id)| (names[index], id)).collect();
    match chosen.is_empty() {
        true => db.run("COMMIT").await.map(|()| Default::default()),
        false => take(db, claim, &chosen).await,
    }
}

/// The waiting entries of each tenant, without tenants that have none.
fn contenders<'a>(
    tenants: &'a [(TenantId, u64)],
    heads: &[SqlRow],
    standings: &[SqlRow],
) -> Outcome<Vec<(&'a TenantId, Contender)>> {
    let mut lanes: BTreeMap<String, BTreeMap<i64, Lane>> = BTreeMap::new();
    for row in heads {
        let room = row.maybe_number("room")?.map(|room| u64::try_from(room).unwrap_or(0));
        let head = Head {
            id: row.number("execution_id")?,
            priority: row.number("priority")?,
            turn: row.number("turn")?,
        };
        let lanes = lanes.entry(row.text("tenant")?).or_default();
        let lane =
            lanes.entry(row.number("lane")?).or_insert_with(|| Lane { room, heads: Default::default() });
        lane.heads.push_back(head);
    }
    let mut contenders = Vec::new();
    for ((tenant, running_max), row) in tenants.iter().zip(standings) {
        let Some(lanes) = lanes.remove(tenant.as_str()) else { continue };
        let contender = Contender {
            running: u64::try_from(row.number("running")?).unwrap_or(0),
            running_max: *running_max,
            served: row.number("served")?,
            lanes: lanes.into_values().collect(),
        };
        contenders.push((tenant, contender));
    }
    Ok(contenders)
}

async fn take(
    db: &Db,
    claim: &ClaimRecord,
    chosen: &[(&TenantId, i64)],
) -> Outcome<(Vec<ClaimedExecution>, Vec<Damaged>)> {
    // Each tenant once, the one that was served last at the end.
    let mut served: Vec<&str> = Vec::new();
    for (tenant, _) in chosen {
        served.retain(|earlier| *earlier != tenant.as_str());
        served.push(tenant.as_str());
    }
    // The events differ only in their subjects, which the statement inserts.
    let by = Actor::stepbox(Timestamp(claim.now));
    let event = AuditRecord::new(&Deed::execution_resumed(JobExecutionId(0), &claim.worker), &by);
    let ids: Vec<_> = chosen.iter().map(|(_, id)| *id).collect();
    let values = named! {
        "owners": chosen.iter().map(|(tenant, _)| tenant.as_str()).collect::<Value<'_>>(),
        "ids": ids.clone(),
        "lease_expires_at": claim.lease_expires_at,
        "now": claim.now,
        "worker": &claim.worker,
        "served": served.iter().copied().collect::<Value<'_>>(),
        "paused": i64::from(BatchStatus::Paused.number()),
        "event_user": &event.user_name,
        "event_action": &event.action,
        "event_detail": &event.detail,
    };
    let sql = take_statement();
    let statements: [(&str, Named<'_, '_>); 3] = [(&sql, &values), (STEPS, &values), (DURABLE, &[])];
    db.prepare_all(statements.into_iter()).await?;
    let (taken, steps, _, _) = tokio::try_join!(
        biased;
        db.rows(&sql, &values),
        db.rows(STEPS, &values),
        db.run("COMMIT"),
        db.rows(DURABLE, &[]),
    )?;
    let mut steps_of: BTreeMap<i64, Vec<SqlRow>> = BTreeMap::new();
    for step in steps {
        steps_of.entry(step.number("execution_id")?).or_default().push(step);
    }
    let (mut claimed, mut damaged) = (Vec::new(), Vec::new());
    for row in &taken {
        let (tenant, id, token) = (row.text("tenant")?, row.number("id")?, row.number("lease_token")?);
        match executed(row, token, &steps_of.remove(&id).unwrap_or_default()) {
            Ok(one) => claimed.push(one),
            Err(trouble) if trouble.is_of_one_row() => {
                damaged.push(Damaged { tenant, id, token, reason: trouble.reason() });
            }
            Err(trouble) => return Err(trouble),
        }
    }
    claimed.sort_by_key(|claimed| ids.iter().position(|id| *id == stored(claimed.execution.id.0)));
    Ok((claimed, damaged))
}

/// An execution that was just claimed.
fn executed(row: &SqlRow, token: i64, steps: &[SqlRow]) -> Outcome<ClaimedExecution> {
    let mut executions = executions::with_steps(std::slice::from_ref(row), steps)?;
    let execution = executions.pop().ok_or_else(|| not_found(0))?;
    let token = Row(format!("execution {}", execution.id)).count("lease_token", token)?;
    Ok(ClaimedExecution { execution, token })
}

/// The steps of the chosen executions, of several tenants.
pub(super) const STEPS: &str = "
    SELECT s.* FROM unnest(CAST(:owners AS TEXT[]), CAST(:ids AS BIGINT[])) AS w (tenant, id)
    CROSS JOIN LATERAL (
        SELECT * FROM step_executions WHERE tenant = w.tenant AND execution_id = w.id OFFSET 0) s
    ORDER BY s.execution_id, s.position";
