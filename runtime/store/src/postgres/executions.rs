//! Job executions: accepted, looked up, listed, purged.

use std::collections::BTreeMap;

use stepbox_batch::audit::Deed;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::standing::Standing;
use stepbox_batch::execution::{
    Ancestor, ExecutionFilter, ExecutionSummary, JobExecution, NewJobExecution, Remains, StepExecution,
};
use stepbox_batch::name::{JobExecutionId, TenantId};
use stepbox_batch::ports::{Listing, RepositoryError};
use tokio_postgres::Row as SqlRow;

use super::audit::limit_of;
use super::connection::{Db, Named};
use super::trouble::{Outcome, Trouble, listed};
use super::value::{Columns, Value, named};
use super::{instances, locks, queue, steps};
use crate::record::audit::AuditRecord;
use crate::record::execution::{AcceptedRecord, ExecutionRecord, Jobs, PartitionRecord, StateRecord};
use crate::record::{Listed, Row, stored_id};
use crate::save::{ClaimRecord, NewRecord};

/// Every column of [`ExecutionRecord`]. `job_executions` is called `e`.
pub(super) const COLUMNS: &str = "e.id, e.tenant, e.instance, e.stoppable, e.created_at, e.restart_of,
    e.user_name, e.parameters, e.parameters_key, e.job, e.partition_of, e.partition_step, e.partition_number,
    e.partition_count, e.status, e.exit_code, e.exit_description, e.started_at, e.ended_at, e.updated_at,
    e.failures, e.context, e.worker, e.attempt, e.stop_requested_at, e.set_aside";

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

/// As lists show them, of one moment. No context and no checkpoint is read.
pub(super) async fn list(
    db: &Db,
    tenant: &TenantId,
    filter: &ExecutionFilter,
) -> Outcome<Listing<ExecutionSummary>> {
    let (conditions, mut values) = conditions(tenant, filter);
    values.push(("limit", limit_of(filter.limit)));
    let sql = list_statement(&conditions);
    db.prepare_all([(sql.as_str(), &values[..])].into_iter()).await?;
    let (_, found) = tokio::try_join!(biased; db.run(ONE_MOMENT), db.rows(&sql, &values))?;
    let ids = found.iter().map(|row| row.number("id")).collect::<Outcome<Vec<_>>>()?;
    let values = named! {"tenant": tenant.as_str(), "ids": ids};
    let (steps, _) = tokio::try_join!(biased; db.rows(steps::SHOWN, &values), db.run("COMMIT"))?;
    let mut of: BTreeMap<i64, Vec<&SqlRow>> = BTreeMap::new();
    for row in &steps {
        of.entry(row.number("execution_id")?).or_default().push(row);
    }
    let (mut listing, mut jobs) = (Listing::default(), Jobs::default());
    for row in &found {
        let id = row.number("id")?;
        let summary = summary(row, &of.remove(&id).unwrap_or_default(), &mut jobs);
        listing.push(listed(Listed::numbered("execution", id), summary)?);
    }
    Ok(listing)
}

fn summary(row: &SqlRow, steps: &[&SqlRow], jobs: &mut Jobs) -> Outcome<ExecutionSummary> {
    let steps = steps.iter().map(|row| Ok(steps::step(row)?.1)).collect::<Outcome<_>>()?;
    Ok(record(row)?.into_summary(steps, jobs)?)
}

pub(super) fn list_statement(conditions: &str) -> String {
    let columns = COLUMNS.replace("e.context", "'' AS context");
    format!("SELECT {columns} FROM job_executions e WHERE {conditions} ORDER BY e.id DESC LIMIT :limit")
}

/// An execution goes on from an older one, so a damaged number leads nowhere twice.
pub(super) const ANCESTRY: &str = "WITH RECURSIVE line (id, started_at, restart_of) AS (
         SELECT id, started_at, restart_of FROM job_executions WHERE tenant = :tenant AND id = :id
         UNION ALL
         SELECT e.id, e.started_at, e.restart_of FROM line JOIN job_executions e
             ON e.tenant = :tenant AND e.id = line.restart_of AND line.restart_of < line.id)
     SELECT id, started_at, restart_of FROM line ORDER BY id DESC";

/// An execution and those it goes on from.
pub(super) async fn ancestry(db: &Db, tenant: &TenantId, id: JobExecutionId) -> Outcome<Vec<Ancestor>> {
    let mut line = Vec::new();
    for found in db.rows(ANCESTRY, &named! {"tenant": tenant.as_str(), "id": stored_id(id)}).await? {
        let id = found.number("id")?;
        let row = Row(format!("execution {id}"));
        line.push(Ancestor {
            id: row.id("id", id)?,
            started_at: found.maybe_number("started_at")?.map(Timestamp),
            restart_of: found.maybe_number("restart_of")?.map(|id| row.id("restart_of", id)).transpose()?,
        });
    }
    Ok(line)
}

/// What is left of a damaged execution.
pub(super) async fn remains(db: &Db, tenant: &TenantId, id: JobExecutionId) -> Outcome<Option<Remains>> {
    let values = named! {"tenant": tenant.as_str(), "id": stored_id(id), "ids": vec![stored_id(id)]};
    let sql = "SELECT * FROM job_executions WHERE tenant = :tenant AND id = :id";
    let Some(row) = db.row(sql, &values).await? else { return Ok(None) };
    let mut remains = Remains { damage: Vec::new(), fields: fields(&row, "") };
    let whole = record(&row).and_then(|record| Ok(record.into_execution(Vec::new())?));
    let damaged = listed(Listed::numbered("execution", stored_id(id)), whole)?.err();
    remains.damage.extend(damaged.map(|row| row.reason));
    for row in db.rows(steps::OF_EXECUTIONS, &values).await? {
        let position = row.number("position")?;
        let damaged = listed(Listed::numbered("step", position), steps::step(&row))?.err();
        remains.damage.extend(damaged.map(|row| row.reason));
        remains.fields.extend(fields(&row, &format!("step {position} ")));
    }
    Ok(Some(remains))
}

/// The columns of a row that hold something.
fn fields(row: &SqlRow, of: &str) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    for column in row.columns() {
        let name = column.name();
        let text = match row.maybe_text(name) {
            Ok(text) => text,
            Err(_) => match (row.maybe_number(name), row.flag(name), row.maybe_bytes(name)) {
                (Ok(number), ..) => number.map(|number| number.to_string()),
                (_, Ok(flag), _) => Some(flag.to_string()),
                (.., Ok(bytes)) => bytes.map(|bytes| format!("{} bytes", bytes.len())),
                _ => None,
            },
        };
        fields.extend(text.map(|text| (format!("{of}{name}"), text)));
    }
    fields
}

/// The filter as SQL. Only what is asked for is written, so that each form finds its index.
pub(super) fn conditions<'a>(
    tenant: &'a TenantId,
    filter: &'a ExecutionFilter,
) -> (String, Vec<(&'static str, Value<'a>)>) {
    let ExecutionFilter { instance, status, created_before, before, limit: _ } = filter;
    let wanted = [
        Some(("e.tenant = :tenant", "tenant", tenant.as_str().into())),
        instance.as_ref().map(|code| ("e.instance = :instance", "instance", code.as_str().into())),
        status.map(|status| ("e.status = :status", "status", i64::from(status.number()).into())),
        created_before.map(|moment| ("e.created_at < :created_before", "created_before", moment.0.into())),
        before.map(|id| ("e.id < :before", "before", stored_id(id).into())),
    ];
    let (mut texts, mut values) = (Vec::new(), Vec::new());
    for (text, name, value) in wanted.into_iter().flatten() {
        texts.push(text);
        values.push((name, value));
    }
    texts.push("e.partition_of IS NULL");
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

pub(super) fn partition(row: &SqlRow) -> Outcome<Option<PartitionRecord>> {
    let Some(of) = row.maybe_number("partition_of")? else { return Ok(None) };
    Ok(Some(PartitionRecord {
        of,
        position: row.number("partition_step")?,
        number: row.number("partition_number")?,
        count: row.number("partition_count")?,
    }))
}
