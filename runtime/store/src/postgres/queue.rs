//! The queue: entries come in with their executions, are claimed in turn, and go when these have ended.

use std::collections::BTreeMap;

use stepbox_batch::actor::Actor;
use stepbox_batch::audit::Deed;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::NewJobExecution;
use stepbox_batch::execution::fairness::{Contender, Head, Lane, choose};
use stepbox_batch::execution::queue::{QueueDepth, QueueEntry, QueueFilter, QueueState};
use stepbox_batch::execution::rescue::Loss;
use stepbox_batch::name::{InstanceCode, JobExecutionId, TenantId};
use stepbox_batch::ports::RepositoryError;
use tokio_postgres::Row as SqlRow;

use super::connection::{Db, Named};
use super::trouble::{Outcome, listed};
use super::value::{Columns, Value, named};
use super::{executions, locks};
use crate::record::audit::AuditRecord;
use crate::record::{Listed, Row, stored};
use crate::save::{ClaimRecord, ClaimedExecution};

/// Where an execution that is about to be accepted will wait.
#[derive(Debug)]
pub(super) struct Place<'a> {
    new: &'a NewJobExecution,
    pub is_queued: bool,
    is_claimed: bool,
    /// How many executions of the instance may run.
    limit: Option<u32>,
}

impl<'a> Place<'a> {
    pub(super) fn new(new: &'a NewJobExecution, is_claimed: bool) -> Self {
        // A part runs under the roof of the whole, which has its place already.
        let limit = new.job.concurrency.filter(|_| new.partition.is_none());
        Self { new, is_queued: new.queue.is_some(), is_claimed, limit }
    }

    fn lane(&self) -> [(&'static str, Value<'a>); 4] {
        let job = &self.new.job;
        named! {
            "lane_type": &job.job_type,
            "lane_job": job.name.as_str(),
            "lane_instance": if self.limit.is_some() { self.new.instance.as_str() } else { "" },
            "running_max": self.limit.map(i64::from),
        }
    }

    /// All that a statement has to know of it.
    pub(super) fn values(&self) -> Vec<(&'static str, Value<'a>)> {
        let queue = self.new.queue.as_ref();
        let now = self.new.by.at;
        let available_at = queue.map_or(now, |queue| queue.available_at);
        let state = match (self.is_claimed, available_at > now) {
            (true, _) => QueueState::Claimed,
            (false, true) => QueueState::Delayed,
            (false, false) => QueueState::Waiting,
        };
        // The last one for which there is room finds one less than may wait.
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
        values.extend(self.lane());
        values
    }

    /// Makes the lane, or gives it another limit.
    pub(super) async fn make_lane(&self, db: &Db) -> Outcome<()> {
        let mut values = vec![("tenant", self.new.tenant.as_str().into())];
        values.extend(self.lane());
        let lane = "INSERT INTO queue_lanes (tenant, type, job, instance, running_max)
                    VALUES (:tenant, :lane_type, :lane_job, :lane_instance, :running_max)
                    ON CONFLICT (tenant, type, job, instance) DO UPDATE SET running_max = excluded.running_max";
        let tenant = "INSERT INTO queue_tenants (tenant, served) VALUES (:tenant, 0) ON CONFLICT DO NOTHING";
        for sql in [tenant, lane] {
            db.execute(sql, &values).await?;
        }
        Ok(())
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

/// Refuses a double of what has not ended.
pub(super) async fn refuse_double(db: &Db, new: &NewJobExecution, parameters_key: &str) -> Outcome<()> {
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

pub(super) const RUNNING: &str = "SELECT id FROM job_executions
               WHERE tenant = :tenant AND instance = :instance AND is_running AND lease_expires_at > :now
                 AND partition_of IS NULL
               ORDER BY id LIMIT :max";

/// Refuses to begin an execution of an instance that is full. Nobody else may begin one meanwhile.
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

/// Says that an entry is a worker's, if there is one.
pub(super) async fn mark_claimed(db: &Db, tenant: &str, id: i64) -> Outcome<()> {
    let sql = "UPDATE queue_entries SET state = 2 WHERE tenant = :tenant AND execution_id = :id";
    db.execute(sql, &named! {"tenant": tenant, "id": id}).await.map(drop)
}

/// Whether a claim would have something to choose from. Of all tenants, on purpose: it is only a hint.
pub(super) async fn has_work(db: &Db, now: i64) -> Outcome<bool> {
    let row = db.row(HAS_WORK, &named! {"now": now}).await?;
    row.map_or(Ok(false), |row| row.flag("has_work"))
}

pub(super) const HAS_WORK: &str = "
    SELECT EXISTS (SELECT FROM queue_entries WHERE state = 0)
        OR EXISTS (SELECT FROM queue_entries WHERE state = 1 AND available_at <= :now) AS has_work";

/// Delayed entries whose time has come wait from now on.
pub(super) const PROMOTE: &str = "
    UPDATE queue_entries SET state = 0 WHERE state = 1 AND available_at <= :now";

/// The first entries of each lane that somebody wants, in their order.
pub(super) const HEADS: &str = "
    SELECT l.tenant, l.id AS lane, heads.execution_id, heads.priority, heads.turn,
           l.running_max - (
               SELECT count(*) FROM job_executions e
               WHERE e.tenant = l.tenant AND e.instance = l.instance AND e.is_running
                 AND e.partition_of IS NULL AND l.running_max IS NOT NULL) AS room
    FROM queue_lanes l
    CROSS JOIN LATERAL (
        SELECT execution_id, priority, turn FROM queue_entries
        WHERE lane = l.id AND state = 0 ORDER BY priority DESC, turn, execution_id LIMIT :limit) heads
    WHERE l.tenant = ANY(:tenants)
      AND (cardinality(CAST(:jobs AS TEXT[])) = 0 OR l.job = ANY(:jobs))
      AND (cardinality(CAST(:types AS TEXT[])) = 0 OR l.type = ANY(:types))
    ORDER BY l.id, heads.priority DESC, heads.turn, heads.execution_id";

/// What runs of each tenant, and when it was served last.
pub(super) const STANDINGS: &str = "
    SELECT wanted.tenant,
           (SELECT count(*) FROM job_executions e
            WHERE e.tenant = wanted.tenant AND e.is_running) AS running,
           coalesce((SELECT served FROM queue_tenants s WHERE s.tenant = wanted.tenant), 0) AS served
    FROM unnest(CAST(:tenants AS TEXT[])) AS wanted (tenant)";

/// Takes what was chosen, but for what somebody is just stopping or taking by its number.
///
/// Each row is looked up by itself (`OFFSET 0` keeps these apart): a list of ids would be compared with all entries
/// of a tenant by a server that has counted the queue while it was empty.
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
             WHERE q.state = 0 AND e.ended_at IS NULL),
         taken AS (
             UPDATE job_executions e
             SET lease_token = lease_token + 1, lease_expires_at = :lease_expires_at, heartbeat_at = :now,
                 updated_at = :now, worker = :worker, attempt = attempt + 1
             FROM chosen c WHERE e.tenant = c.tenant AND e.id = c.id
             RETURNING {}, e.lease_token),
         entries AS (
             UPDATE queue_entries q SET state = 2 FROM taken t
             WHERE q.tenant = t.tenant AND q.execution_id = t.id),
         served AS (
             UPDATE queue_tenants t
             SET served = turn.number + (SELECT coalesce(max(served), 0) FROM queue_tenants)
             FROM unnest(CAST(:served AS TEXT[])) WITH ORDINALITY AS turn (tenant, number)
             WHERE t.tenant = turn.tenant),
         events AS (
             INSERT INTO audit_events (tenant, at, user_name, action, subject, detail)
             SELECT tenant, :now, :event_user, :event_action, CAST(id AS TEXT), :event_detail
             FROM chosen WHERE status = 10 AND id = ANY(ARRAY(SELECT id FROM taken)))
         SELECT * FROM taken",
        executions::COLUMNS
    )
}

/// Begins a claim: nobody else chooses meanwhile, and a claimer that the network has cut off holds up the others
/// for no more than two seconds. The commit itself waits for no disk, so that the next one can choose at once;
/// [`DURABLE`] waits.
const BEGIN: &str = "BEGIN; SET LOCAL synchronous_commit = off;
                     SET LOCAL idle_in_transaction_session_timeout = 2000";

/// A commit of nothing but a mark in the log, which reaches the disk after everything that came before it.
const DURABLE: &str = "SELECT pg_logical_emit_message(TRUE, 'stepbox', '')";

/// An execution that was claimed and cannot be read.
#[derive(Debug)]
pub(super) struct Damaged {
    pub tenant: String,
    pub id: i64,
    pub token: i64,
    pub reason: String,
}

/// Claims entries in turn, in three round trips: what waits, taking it, and the disk. What cannot be read is claimed
/// as well, and has to be set aside.
pub(super) async fn claim_next(
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
    let statements = [PROMOTE, HEADS, STANDINGS].map(|sql| (sql, &values[..]));
    db.prepare_all(statements.into_iter()).await?;
    let (_, _, _, heads, standings) = tokio::try_join!(
        biased;
        db.run(BEGIN),
        db.run(locks::CLAIMS),
        db.execute(PROMOTE, &values),
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

/// What waits of each tenant, but for those of which nothing does.
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
    // Each tenant once, whoever was served last at the end.
    let mut served: Vec<&str> = Vec::new();
    for (tenant, _) in chosen {
        served.retain(|earlier| *earlier != tenant.as_str());
        served.push(tenant.as_str());
    }
    // Only the subject of the event differs, which the statement puts in.
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
    let execution = executions.pop().ok_or_else(|| executions::not_found(0))?;
    let token = Row(format!("execution {}", execution.id)).count("lease_token", token)?;
    Ok(ClaimedExecution { execution, token })
}

/// The steps of what was chosen, of several tenants.
pub(super) const STEPS: &str = "
    SELECT s.* FROM unnest(CAST(:owners AS TEXT[]), CAST(:ids AS BIGINT[])) AS w (tenant, id)
    CROSS JOIN LATERAL (
        SELECT * FROM step_executions WHERE tenant = w.tenant AND execution_id = w.id OFFSET 0) s
    ORDER BY s.execution_id, s.position";

/// Has an entry wait again after its worker was lost.
pub(super) async fn requeue(db: &Db, tenant: &str, id: i64, loss: &Loss, now: Timestamp) -> Outcome<()> {
    let available_at = loss.available_at(now);
    let state = if available_at > now { QueueState::Delayed } else { QueueState::Waiting };
    let sql = "UPDATE queue_entries SET state = :state, losses = :losses, available_at = :available_at
               WHERE tenant = :tenant AND execution_id = :id";
    let values = named! {
        "state": i64::from(state.number()), "losses": i64::from(loss.losses), "available_at": available_at.0,
        "tenant": tenant, "id": id,
    };
    db.execute(sql, &values).await.map(drop)
}

pub(super) const ENTRY: &str = "SELECT state, priority, available_at, losses, attempts_max FROM queue_entries
               WHERE tenant = :tenant AND execution_id = :id";

pub(super) async fn entry(db: &Db, tenant: &TenantId, id: i64) -> Outcome<Option<QueueEntry>> {
    let Some(found) = db.row(ENTRY, &named! {"tenant": tenant.as_str(), "id": id}).await? else {
        return Ok(None);
    };
    let row = Row(format!("queue entry {id}"));
    Ok(Some(QueueEntry {
        state: row.queue_state(found.number("state")?)?,
        priority: row.count("priority", found.number("priority")?)?,
        available_at: Timestamp(found.number("available_at")?),
        losses: row.count("losses", found.number("losses")?)?,
        attempts_max: row.count("attempts_max", found.number("attempts_max")?)?,
    }))
}

/// How much is in the queue. Of all tenants, on purpose: whoever operates the machine looks at it.
pub(super) async fn depths(db: &Db) -> Outcome<Vec<QueueDepth>> {
    let sql = "SELECT tenant, state, count(*) AS count, min(available_at) AS oldest FROM queue_entries q
               WHERE NOT EXISTS (SELECT FROM job_executions e WHERE e.set_aside IS NOT NULL
                                   AND e.tenant = q.tenant AND e.id = q.execution_id)
               GROUP BY tenant, state ORDER BY tenant, state";
    let mut depths = Vec::new();
    for row in db.rows(sql, &[]).await? {
        depths.extend(listed(Listed::named("queue", row.text("tenant")?), depth(&row))?.ok());
    }
    Ok(depths)
}

fn depth(row: &SqlRow) -> Outcome<QueueDepth> {
    let tenant = row.text("tenant")?;
    let name = Row(format!("the queue of `{tenant}`"));
    Ok(QueueDepth {
        state: name.queue_state(row.number("state")?)?,
        count: name.count("count", row.number("count")?)?,
        oldest: Timestamp(row.number("oldest")?),
        tenant: name.name("tenant", tenant)?,
    })
}
