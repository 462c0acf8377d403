//! Job executions: accepted, looked up, listed, purged.

use std::collections::BTreeMap;

use stepbox_batch::audit::{Actor, Deed};
use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::{JobExecution, StepExecution};
use stepbox_batch::name::{JobExecutionId, TenantId};
use stepbox_batch::repository::{ExecutionFilter, NewJobExecution, RepositoryError};
use tokio_postgres::Row as SqlRow;

use super::audit::limit_of;
use super::connection::{Db, Named};
use super::trouble::{Outcome, Trouble};
use super::value::{Columns, Value, named};
use super::{instances, locks, queue, steps};
use crate::record::audit::AuditRecord;
use crate::record::execution::{AcceptedRecord, ExecutionRecord, PartitionRecord, StateRecord};
use crate::record::{Row, stored_id};
use crate::save::{ClaimRecord, NewRecord};
use crate::standing::Standing;

/// Every column of [`ExecutionRecord`]. `job_executions` is called `e`.
pub(super) const COLUMNS: &str = "e.id, e.tenant, e.instance, e.stoppable, e.created_at, e.restart_of,
    e.user_name, e.parameters, e.parameters_key, e.job, e.partition_of, e.partition_step, e.partition_number,
    e.partition_count, e.status, e.exit_code, e.exit_description, e.started_at, e.ended_at, e.updated_at,
    e.failures, e.context, e.worker, e.attempt, e.stop_requested_at, e.set_aside";

/// How many executions one statement deletes, so that none takes long.
const PURGED_TOGETHER: usize = 500;

/// What reads more than one statement's worth sees one moment of it.
pub(super) const ONE_MOMENT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// Inserts an execution with its event and, if it is to wait, its entry: all that most executions need, in one
/// statement, which is a transaction in itself. The row of the instance is locked, so it stays.
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
             failures, context, parameters, parameters_key, job, partition_of, partition_step,
             partition_number, partition_count)
        SELECT :tenant, :instance, :status, :stoppable, :created_at, :updated_at, :attempt, :attempt,
               :lease_expires_at, :heartbeat_at, :restart_of, :user_name, :worker, :exit_code, :exit_description,
               :failures, :context, :parameters, :parameters_key, :job, :partition_of, :partition_step,
               :partition_number, :partition_count
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
        SELECT :tenant, :created_at, :user_name, :action, CAST(id AS TEXT), :detail FROM execution)
    SELECT (SELECT id FROM execution) AS id, EXISTS (SELECT FROM known) AS is_known,
           EXISTS (SELECT FROM lane) AS has_lane";

/// Whether one statement will do: nothing else has to be looked at, locked or written.
pub(super) fn is_plain(new: &NewJobExecution, claim: Option<&ClaimRecord>) -> bool {
    let is_unique = new.queue.as_ref().is_some_and(|queue| queue.is_unique);
    let is_limited = claim.is_some() && new.job.concurrency.is_some();
    new.restart_of.is_none() && new.steps.is_empty() && !is_unique && !is_limited
}

/// Accepts an execution; returns its id. In a transaction, unless it is plain.
pub(super) async fn create(
    db: &Db,
    new: &NewJobExecution,
    record: &NewRecord,
    claim: Option<&ClaimRecord>,
) -> Outcome<JobExecutionId> {
    if !is_plain(new, claim) {
        check(db, new, record, claim).await?;
    }
    let id = insert(db, new, record, claim).await?;
    for step in &record.steps {
        steps::put(db, &record.accepted.tenant, id, step).await?;
    }
    Ok(Row(format!("execution {id}")).id("id", id)?)
}

/// What needs locks of its own. Each is taken before anything is looked at.
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
    // Two unique ones at once wait for each other here.
    let sql = "SELECT FROM job_instances WHERE tenant = :tenant AND code = :code FOR NO KEY UPDATE";
    if db.row(sql, &named! {"tenant": tenant, "code": instance}).await?.is_none() {
        return Err(instances::not_found(instance).into());
    }
    if let Some(before) = restart_of {
        refuse_second_restart(db, tenant, *before).await?;
    }
    if let (Some(claim), Some(max)) = (claim, limit) {
        queue::check_concurrency(db, tenant, &new.instance, max, claim.now).await?;
    }
    match new.queue.as_ref().is_some_and(|queue| queue.is_unique) {
        true => queue::refuse_double(db, new, parameters_key).await,
        false => Ok(()),
    }
}

/// Two runs from the same checkpoint would write the same output, and one after the other would find
/// it changed: the chain goes on at its last execution only. Its row is locked, so that of two at once one finds
/// the other.
async fn refuse_second_restart(db: &Db, tenant: &str, before: i64) -> Outcome<()> {
    standing(db, tenant, before).await?.restart()?;
    let sql = "SELECT id FROM job_executions WHERE tenant = :tenant AND restart_of = :before LIMIT 1";
    match db.row(sql, &named! {"tenant": tenant, "before": before}).await? {
        None => Ok(()),
        Some(next) => {
            let user = format!("execution {}, which goes on from it", next.number("id")?);
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
    let place = queue::Place::new(new, claim.is_some());
    // The subject is the id, which the statement puts in.
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
        place.make_lane(db).await?;
    }
}

/// The parameters of [`ACCEPT`].
pub(super) fn values<'a>(
    place: &queue::Place<'a>,
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
            "partition_of": partition.map(|partition| partition.of),
            "partition_step": partition.map(|partition| partition.position),
            "partition_number": partition.map(|partition| partition.number),
            "partition_count": partition.map(|partition| partition.count),
            "action": &event.action,
            "detail": &event.detail,
    });
    values
}

/// How an execution stands, to decide what may happen to it. Nothing happens to it before the transaction ends.
pub(super) async fn standing(db: &Db, tenant: &str, id: i64) -> Outcome<Standing> {
    let sql = "SELECT status, stoppable, lease_expires_at, set_aside IS NOT NULL AS is_set_aside FROM job_executions
               WHERE tenant = :tenant AND id = :id FOR NO KEY UPDATE";
    let found = db.row(sql, &named! {"tenant": tenant, "id": id}).await?;
    let found = found.ok_or_else(|| not_found(id))?;
    let row = Row(format!("execution {id}"));
    Ok(Standing {
        id: row.id("id", id)?,
        status: row.status(found.number("status")?)?,
        stoppable: found.flag("stoppable")?,
        lease_expires_at: found.maybe_number("lease_expires_at")?.map(Timestamp),
        is_set_aside: found.flag("is_set_aside")?,
    })
}

pub(super) fn not_found(id: i64) -> RepositoryError {
    RepositoryError::NotFound { kind: "execution", name: id.to_string() }
}

/// An execution with its steps, of one moment, in one round trip.
pub(super) async fn get(db: &Db, tenant: &TenantId, id: JobExecutionId) -> Outcome<Option<JobExecution>> {
    let id = stored_id(id);
    let sql = format!("SELECT {COLUMNS} FROM job_executions e WHERE e.tenant = :tenant AND e.id = :id");
    let values = named! {"tenant": tenant.as_str(), "id": id, "ids": vec![id]};
    let statements: [(&str, Named<'_, '_>); 2] = [(&sql, &values), (steps::OF_EXECUTIONS, &values)];
    db.prepare_all(statements.into_iter()).await?;
    let (_, found, steps, _) = tokio::try_join!(
        biased;
        db.run(ONE_MOMENT),
        db.rows(&sql, &values),
        db.rows(steps::OF_EXECUTIONS, &values),
        db.run("COMMIT"),
    )?;
    Ok(with_steps(&found, &steps)?.pop())
}

/// Executions with their steps, of one moment.
pub(super) async fn list(db: &Db, tenant: &TenantId, filter: &ExecutionFilter) -> Outcome<Vec<JobExecution>> {
    let (conditions, mut values) = conditions(tenant, filter);
    values.push(("limit", limit_of(filter.limit)));
    let sql = list_statement(&conditions);
    db.prepare_all([(sql.as_str(), &values[..])].into_iter()).await?;
    let (_, found) = tokio::try_join!(biased; db.run(ONE_MOMENT), db.rows(&sql, &values))?;
    let ids = found.iter().map(|row| row.number("id")).collect::<Outcome<Vec<_>>>()?;
    let values = named! {"tenant": tenant.as_str(), "ids": ids};
    let (steps, _) = tokio::try_join!(biased; db.rows(steps::OF_EXECUTIONS, &values), db.run("COMMIT"))?;
    with_steps(&found, &steps)
}

pub(super) fn list_statement(conditions: &str) -> String {
    format!("SELECT {COLUMNS} FROM job_executions e WHERE {conditions} ORDER BY e.id DESC LIMIT :limit")
}

/// Deletes what has ended and matches, oldest first; steps and warnings go with it.
pub(super) async fn purge(
    db: &Db,
    tenant: &TenantId,
    filter: &ExecutionFilter,
    by: &Actor,
) -> Outcome<Vec<JobExecutionId>> {
    let (conditions, mut values) = conditions(tenant, filter);
    values.push(("limit", limit_of(filter.limit)));
    // An instance keeps its last success as long as it exists.
    let sql = format!(
        "SELECT e.id, e.instance, e.status FROM job_executions e
         WHERE {conditions} AND e.ended_at IS NOT NULL AND NOT EXISTS (
             SELECT FROM job_instances i WHERE e.status = 1 AND e.partition_of IS NULL
                AND i.tenant = e.tenant AND i.code = e.instance
                AND e.id = (SELECT max(id) FROM job_executions l
                            WHERE l.tenant = e.tenant AND l.instance = e.instance AND l.status = 1
                              AND l.partition_of IS NULL))
         ORDER BY e.id LIMIT :limit"
    );
    let mut purged = Vec::new();
    for together in db.rows(&sql, &values).await?.chunks(PURGED_TOGETHER) {
        let mut events = Vec::new();
        for found in together {
            let (id, instance) = (found.number("id")?, found.text("instance")?);
            let row = Row(format!("execution {id}"));
            let (known, status) = (row.id("id", id)?, row.status(found.number("status")?)?);
            events.push((id, AuditRecord::new(&Deed::execution_purged(known, &instance, status), by)));
            purged.push(known);
        }
        delete(db, tenant, &events).await?;
    }
    Ok(purged)
}

async fn delete(db: &Db, tenant: &TenantId, events: &[(i64, AuditRecord)]) -> Outcome<()> {
    let Some((_, first)) = events.first() else { return Ok(()) };
    let values = named! {
        "tenant": tenant.as_str(),
        "ids": events.iter().map(|(id, _)| *id).collect::<Vec<_>>(),
        "at": first.at,
        "user_name": &first.user_name,
        "action": &first.action,
        "subjects": events.iter().map(|(_, event)| &event.subject).collect::<Value<'_>>(),
        "details": events.iter().map(|(_, event)| &event.detail).collect::<Value<'_>>(),
    };
    let sql = "DELETE FROM job_executions e USING unnest(CAST(:ids AS BIGINT[])) AS purged (id)
               WHERE e.tenant = :tenant AND e.id = purged.id";
    db.execute(sql, &values).await?;
    let sql = "INSERT INTO audit_events (tenant, at, user_name, action, subject, detail)
               SELECT :tenant, :at, :user_name, :action, subject, detail
               FROM unnest(CAST(:subjects AS TEXT[]), CAST(:details AS TEXT[])) AS e (subject, detail)";
    db.execute(sql, &values).await.map(drop)
}

/// The filter as SQL. Only what is asked for is written, so that each form finds its index.
pub(super) fn conditions<'a>(
    tenant: &'a TenantId,
    filter: &'a ExecutionFilter,
) -> (String, Vec<(&'static str, Value<'a>)>) {
    let ExecutionFilter { instance, status, created_before, partitions_of, before, limit: _ } = filter;
    let wanted = [
        Some(("e.tenant = :tenant", "tenant", tenant.as_str().into())),
        instance.as_ref().map(|code| ("e.instance = :instance", "instance", code.as_str().into())),
        status.map(|status| ("e.status = :status", "status", i64::from(status.number()).into())),
        created_before.map(|moment| ("e.created_at < :created_before", "created_before", moment.0.into())),
        before.map(|id| ("e.id < :before", "before", stored_id(id).into())),
        partitions_of.map(|id| ("e.partition_of = :partitions_of", "partitions_of", stored_id(id).into())),
    ];
    let (mut texts, mut values) = (Vec::new(), Vec::new());
    for (text, name, value) in wanted.into_iter().flatten() {
        texts.push(text);
        values.push((name, value));
    }
    if partitions_of.is_none() {
        texts.push("e.partition_of IS NULL");
    }
    (texts.join(" AND "), values)
}

/// The executions of these rows, in their order, with the steps of those.
pub(super) fn with_steps(executions: &[SqlRow], steps: &[SqlRow]) -> Outcome<Vec<JobExecution>> {
    let mut of: BTreeMap<i64, Vec<StepExecution>> = BTreeMap::new();
    for row in steps {
        let (id, step) = steps::step(row)?;
        of.entry(id).or_default().push(step);
    }
    let execution = |row: &SqlRow| {
        let record = record(row)?;
        let steps = of.remove(&record.id).unwrap_or_default();
        Ok(record.into_execution(steps)?)
    };
    executions.iter().map(execution).collect()
}

fn record(row: &SqlRow) -> Outcome<ExecutionRecord> {
    Ok(ExecutionRecord {
        id: row.number("id")?,
        accepted: AcceptedRecord {
            tenant: row.text("tenant")?,
            instance: row.text("instance")?,
            stoppable: row.flag("stoppable")?,
            created_at: row.number("created_at")?,
            restart_of: row.maybe_number("restart_of")?,
            user_name: row.maybe_text("user_name")?,
            parameters: row.text("parameters")?,
            parameters_key: row.text("parameters_key")?,
            job: row.text("job")?,
            partition: partition(row)?,
        },
        state: StateRecord {
            status: row.number("status")?,
            exit_code: row.text("exit_code")?,
            exit_description: row.text("exit_description")?,
            started_at: row.maybe_number("started_at")?,
            ended_at: row.maybe_number("ended_at")?,
            updated_at: row.number("updated_at")?,
            failures: row.text("failures")?,
        },
        context: row.text("context")?,
        worker: row.maybe_text("worker")?,
        attempt: row.number("attempt")?,
        stop_requested_at: row.maybe_number("stop_requested_at")?,
        set_aside: row.maybe_text("set_aside")?,
    })
}

fn partition(row: &SqlRow) -> Outcome<Option<PartitionRecord>> {
    let Some(of) = row.maybe_number("partition_of")? else { return Ok(None) };
    Ok(Some(PartitionRecord {
        of,
        position: row.number("partition_step")?,
        number: row.number("partition_number")?,
        count: row.number("partition_count")?,
    }))
}
