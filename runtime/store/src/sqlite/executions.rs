//! Job executions: accepted, looked up, listed, purged.

use rusqlite::types::Value;
use rusqlite::{Connection as Db, OptionalExtension, Row as SqlRow, named_params, params_from_iter};
use stepbox_batch::actor::Actor;
use stepbox_batch::audit::Deed;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::standing::Standing;
use stepbox_batch::execution::{
    Ancestor, ExecutionFilter, ExecutionSummary, JobExecution, NewJobExecution, PartitionState, Purgeable,
    Remains,
};
use stepbox_batch::name::{JobExecutionId, TenantId};
use stepbox_batch::ports::{Listing, RepositoryError};

use super::trouble::{Outcome, legible, listed};
use super::{audit, instances, queue, steps};
use crate::record::execution::{
    AcceptedRecord, ExecutionRecord, Jobs, PartitionRecord, PartitionStateRecord, PartitionStepRecord,
    StateRecord,
};
use crate::record::step::TrackingRecord;
use crate::record::{Listed, Row, stored_id};
use crate::save::{ClaimRecord, NewRecord};

const COLUMNS: &str = "id, tenant, instance, stoppable, created_at, restart_of, user_name, parameters,
    parameters_key, job, partition_of, partition_step, partition_number, partition_count, status, exit_code, exit_description, started_at, ended_at, updated_at, failures,
    context, worker, attempt, stop_requested_at, set_aside";

/// Accepts an execution; returns its id.
pub(super) fn create(
    db: &Db,
    new: &NewJobExecution,
    record: &NewRecord,
    claim: Option<&ClaimRecord>,
) -> Outcome<JobExecutionId> {
    let AcceptedRecord { tenant, instance, restart_of, .. } = &record.accepted;
    if !instances::exists(db, tenant, instance)? {
        return Err(instances::not_found(instance).into());
    }
    if let Some(before) = restart_of {
        refuse_second_restart(db, tenant, *before)?;
    }
    if let (Some(claim), Some(max), None) = (claim, new.job.concurrency, new.partition) {
        queue::check_concurrency(db, tenant, &new.instance, max, claim.now)?;
    }
    if let Some(queue) = &new.queue {
        queue::check_room(db, new, &record.accepted.parameters_key, queue)?;
    }
    let id = insert(db, record, claim)?;
    if let Some(queue) = &new.queue {
        queue::enqueue(db, id, new, queue)?;
        if claim.is_some() {
            queue::mark_claimed(db, id)?;
        }
    }
    for step in &record.steps {
        steps::put(db, tenant, id, step)?;
    }
    let id = Row(format!("execution {id}")).id("id", id)?;
    audit::append(db, &new.tenant, &Deed::execution_submitted(id, new), &new.by)?;
    Ok(id)
}

/// Two runs from the same checkpoint would write the same output, and one after the other would find
/// it changed: the chain goes on at its last execution only.
fn refuse_second_restart(db: &Db, tenant: &str, before: i64) -> Outcome<()> {
    standing(db, tenant, before)?.restart()?;
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
              exit_description, failures, context, parameters, parameters_key, job,
              partition_of, partition_step, partition_number, partition_count)
         VALUES
             (:tenant, :instance, :status, :stoppable, :created_at, :updated_at, :attempt, :attempt,
              :lease_expires_at, :heartbeat_at, :restart_of, :user_name, :worker, :exit_code,
              :exit_description, :failures, :context, :parameters, :parameters_key, :job,
              :partition_of, :partition_step, :partition_number, :partition_count)
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
        },
        |row| row.get(0),
    )?;
    Ok(id)
}

pub(super) const STANDING: &str = "SELECT status, stoppable, lease_expires_at, set_aside IS NOT NULL
     FROM job_executions WHERE tenant = :tenant AND id = :id";

/// How an execution stands, to decide what may happen to it.
pub(super) fn standing(db: &Db, tenant: &str, id: i64) -> Outcome<Standing> {
    let found: Option<(i64, bool, Option<i64>, bool)> = db
        .prepare_cached(STANDING)?
        .query_row(named_params! {":tenant": tenant, ":id": id}, |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .optional()?;
    let (status, stoppable, lease_expires_at, is_set_aside) = found.ok_or_else(|| not_found(id))?;
    let row = Row(format!("execution {id}"));
    Ok(Standing {
        id: row.id("id", id)?,
        status: row.status(status)?,
        stoppable,
        lease_expires_at: lease_expires_at.map(Timestamp),
        is_set_aside,
    })
}

pub(super) fn not_found(id: i64) -> RepositoryError {
    RepositoryError::NotFound { kind: "execution", name: id.to_string() }
}

pub(super) fn get(db: &Db, tenant: &TenantId, id: JobExecutionId) -> Outcome<Option<JobExecution>> {
    let sql = format!("SELECT {COLUMNS} FROM job_executions WHERE tenant = :tenant AND id = :id");
    let found = db
        .prepare_cached(&sql)?
        .query_row(named_params! {":tenant": tenant.as_str(), ":id": stored_id(id)}, record)
        .optional()?;
    found.map(|record| with_steps(db, tenant, record)).transpose()
}

/// As lists show them. No context and no checkpoint is read.
pub(super) fn list(
    db: &Db,
    tenant: &TenantId,
    filter: &ExecutionFilter,
) -> Outcome<Listing<ExecutionSummary>> {
    let (sql, values) = list_statement(tenant, filter);
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let (mut found, mut jobs) = (Listing::default(), Jobs::default());
    while let Some(row) = rows.next()? {
        let id = row.get("id")?;
        let summary = summary(db, tenant, row, &mut jobs);
        found.push(listed(Listed::numbered("execution", id), summary)?);
    }
    Ok(found)
}

fn summary(db: &Db, tenant: &TenantId, row: &SqlRow<'_>, jobs: &mut Jobs) -> Outcome<ExecutionSummary> {
    let record = record(row)?;
    let steps = steps::shown(db, tenant, record.id)?;
    Ok(record.into_summary(steps, jobs)?)
}

/// What a list is asked with.
pub(super) fn list_statement(tenant: &TenantId, filter: &ExecutionFilter) -> (String, Vec<Value>) {
    let (source, conditions, values) = conditions(tenant, filter);
    let columns = COLUMNS.replace("context", "'' AS context");
    let limit = limit(filter);
    (format!("SELECT {columns} FROM {source} WHERE {conditions} ORDER BY id DESC LIMIT {limit}"), values)
}

/// The parts of an execution, by step and number.
pub(super) fn partitions(db: &Db, tenant: &TenantId, of: JobExecutionId) -> Outcome<Vec<JobExecution>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM job_executions INDEXED BY job_executions_by_partition
         WHERE partition_of = :of AND tenant = :tenant ORDER BY partition_step, partition_number"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let values = named_params! {":of": stored_id(of), ":tenant": tenant.as_str()};
    let records = statement.query_map(values, record)?;
    records.map(|record| with_steps(db, tenant, record?)).collect()
}

pub(super) const PARTITION_STATES: &str =
    "SELECT e.id, e.partition_of, e.partition_step, e.partition_number, e.partition_count, e.status,
            e.ended_at IS NOT NULL AS has_ended, e.set_aside, e.worker, e.failures, s.tracking_processed, s.tracking_total,
            s.tracking_is_estimate, s.skipped_count, s.failures AS step_failures
     FROM job_executions e INDEXED BY job_executions_by_partition
     LEFT JOIN step_executions s
         ON s.tenant = e.tenant AND s.execution_id = e.id AND s.position = e.partition_step
     WHERE e.partition_of = :of AND e.partition_step = :position AND e.tenant = :tenant
     ORDER BY e.partition_number";

/// How the parts of a step stand, by number.
pub(super) fn partition_states(
    db: &Db,
    tenant: &TenantId,
    of: JobExecutionId,
    position: u32,
) -> Outcome<Vec<PartitionState>> {
    let mut statement = db.prepare_cached(PARTITION_STATES)?;
    let values = named_params! {":of": stored_id(of), ":position": position, ":tenant": tenant.as_str()};
    let records = statement.query_map(values, state_record)?;
    records.map(|record| Ok(record?.into_state()?)).collect()
}

fn state_record(row: &SqlRow<'_>) -> rusqlite::Result<PartitionStateRecord> {
    let step = match row.get("tracking_processed")? {
        None => None,
        Some(processed) => Some(PartitionStepRecord {
            tracking: TrackingRecord {
                processed,
                total: row.get("tracking_total")?,
                is_estimate: row.get("tracking_is_estimate")?,
            },
            skipped: row.get("skipped_count")?,
            failures: row.get("step_failures")?,
        }),
    };
    Ok(PartitionStateRecord {
        id: row.get("id")?,
        partition: PartitionRecord {
            of: row.get("partition_of")?,
            position: row.get("partition_step")?,
            number: row.get("partition_number")?,
            count: row.get("partition_count")?,
        },
        status: row.get("status")?,
        has_ended: row.get("has_ended")?,
        set_aside: row.get("set_aside")?,
        worker: row.get("worker")?,
        failures: row.get("failures")?,
        step,
    })
}

/// An execution goes on from an older one, so a damaged number leads nowhere twice.
pub(super) const ANCESTRY: &str = "WITH RECURSIVE line (id, started_at, restart_of) AS (
         SELECT id, started_at, restart_of FROM job_executions WHERE tenant = :tenant AND id = :id
         UNION ALL
         SELECT e.id, e.started_at, e.restart_of FROM line JOIN job_executions e
             ON e.tenant = :tenant AND e.id = line.restart_of AND line.restart_of < line.id)
     SELECT id, started_at, restart_of FROM line ORDER BY id DESC";

/// An execution and those it goes on from.
pub(super) fn ancestry(db: &Db, tenant: &TenantId, id: JobExecutionId) -> Outcome<Vec<Ancestor>> {
    let mut statement = db.prepare_cached(ANCESTRY)?;
    let values = named_params! {":tenant": tenant.as_str(), ":id": stored_id(id)};
    let rows = statement.query_map(values, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let mut line = Vec::new();
    for found in rows {
        let (id, started_at, restart_of): (i64, Option<i64>, Option<i64>) = found?;
        let row = Row(format!("execution {id}"));
        line.push(Ancestor {
            id: row.id("id", id)?,
            started_at: started_at.map(Timestamp),
            restart_of: restart_of.map(|id| row.id("restart_of", id)).transpose()?,
        });
    }
    Ok(line)
}

/// What is left of a damaged execution.
pub(super) fn remains(db: &Db, tenant: &TenantId, id: JobExecutionId) -> Outcome<Option<Remains>> {
    let mut statement =
        db.prepare_cached("SELECT * FROM job_executions WHERE tenant = :tenant AND id = :id")?;
    let mut rows = statement.query(named_params! {":tenant": tenant.as_str(), ":id": stored_id(id)})?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let mut remains = Remains { damage: Vec::new(), fields: fields(row, "")? };
    let whole = record(row).map_err(Into::into).and_then(|record| Ok(record.into_execution(Vec::new())?));
    remains
        .damage
        .extend(listed(Listed::numbered("execution", row.get("id")?), whole)?.err().map(|row| row.reason));
    steps::remains(db, tenant, stored_id(id), &mut remains)?;
    Ok(Some(remains))
}

/// The columns of a row that hold something.
pub(super) fn fields(row: &SqlRow<'_>, of: &str) -> Outcome<Vec<(String, String)>> {
    use rusqlite::types::ValueRef;
    let mut fields = Vec::new();
    for (index, name) in row.as_ref().column_names().enumerate() {
        let text = match row.get_ref(index)? {
            ValueRef::Null => continue,
            ValueRef::Blob(bytes) => format!("{} bytes", bytes.len()),
            _ => legible(row, name)?,
        };
        fields.push((format!("{of}{name}"), text));
    }
    Ok(fields)
}

/// What a purge would delete, oldest first.
pub(super) fn purgeable(db: &Db, tenant: &TenantId, filter: &ExecutionFilter) -> Outcome<Vec<Purgeable>> {
    let (sql, values) = purge_statement(tenant, filter);
    let ids: Vec<i64> = db
        .prepare_cached(&sql)?
        .query_map(params_from_iter(values), |row| row.get("id"))?
        .collect::<Result<_, _>>()?;
    ids.into_iter().map(|id| with_partitions(db, id)).collect()
}

fn with_partitions(db: &Db, id: i64) -> Outcome<Purgeable> {
    let row = Row(format!("execution {id}"));
    let mut parts = db.prepare_cached(
        "SELECT id FROM job_executions INDEXED BY job_executions_by_partition WHERE partition_of = :of",
    )?;
    let parts = parts.query_map(named_params! {":of": id}, |row| row.get(0))?;
    let partitions = parts.map(|part| Ok(row.id("id", part?)?)).collect::<Outcome<_>>()?;
    Ok(Purgeable { id: row.id("id", id)?, partitions })
}

/// Finds what a purge deletes. An instance keeps its last success as long as it exists: one after which another
/// one came is not the last.
pub(super) fn purge_statement(tenant: &TenantId, filter: &ExecutionFilter) -> (String, Vec<Value>) {
    let (source, conditions, values) = conditions(tenant, filter);
    let sql = format!(
        "SELECT id, instance, status FROM {source} WHERE {conditions} AND status IN (1, 5, 6, 7, 8)
           AND (status <> 1
                OR NOT EXISTS (SELECT 1 FROM job_instances i
                               WHERE i.tenant = ?1 AND i.code = job_executions.instance)
                OR EXISTS (SELECT 1 FROM job_executions l INDEXED BY job_executions_by_instance
                           WHERE l.tenant = ?1 AND l.instance = job_executions.instance
                             AND l.id > job_executions.id AND l.status = 1 AND l.partition_of IS NULL))
         ORDER BY id LIMIT {}",
        limit(filter)
    );
    (sql, values)
}

/// Deletes what has ended and matches, oldest first; steps, warnings and parts go with it.
pub(super) fn purge(
    db: &Db,
    tenant: &TenantId,
    filter: &ExecutionFilter,
    by: &Actor,
) -> Outcome<Vec<JobExecutionId>> {
    let (sql, values) = purge_statement(tenant, filter);
    let found: Vec<(i64, String, i64)> = db
        .prepare_cached(&sql)?
        .query_map(params_from_iter(values), |row| {
            Ok((row.get("id")?, legible(row, "instance")?, row.get("status")?))
        })?
        .collect::<Result<_, _>>()?;
    let mut delete = db.prepare_cached("DELETE FROM job_executions WHERE tenant = :tenant AND id = :id")?;
    let mut purged = Vec::new();
    for (id, instance, status) in found {
        delete.execute(named_params! {":tenant": tenant.as_str(), ":id": id})?;
        let row = Row(format!("execution {id}"));
        let (id, status) = (row.id("id", id)?, row.status(status)?);
        audit::append(db, tenant, &Deed::execution_purged(id, &instance, status), by)?;
        purged.push(id);
    }
    Ok(purged)
}

/// Gives pages that nothing needs back to the disk, at most so many; says whether some are left. A file that was
/// made without this keeps them for itself.
pub(super) fn give_back_room(db: &Db, pages_max: u32) -> Outcome<bool> {
    const INCREMENTAL: u32 = 2;
    let mode: u32 = db.pragma_query_value(None, "auto_vacuum", |row| row.get(0))?;
    let free = |db: &Db| db.pragma_query_value(None, "freelist_count", |row| row.get::<_, u32>(0));
    if mode != INCREMENTAL || free(db)? == 0 {
        return Ok(false);
    }
    let mut vacuum = db.prepare(&format!("PRAGMA incremental_vacuum({pages_max})"))?;
    let mut freed = vacuum.query([])?;
    while freed.next()?.is_some() {}
    Ok(free(db)? > 0)
}

/// The filter as SQL, whose parameter `?1` is the tenant: the table with the index to be used, and the conditions.
/// SQLite would take another index than the right one for some of them, as it does not know what is rare.
fn conditions(tenant: &TenantId, filter: &ExecutionFilter) -> (String, String, Vec<Value>) {
    let ExecutionFilter { instance, status, created_before, before, limit: _ } = filter;
    let wanted = [
        Some(("tenant = ?1", Value::from(tenant.to_string()))),
        instance.as_ref().map(|code| ("instance = ?", Value::from(code.to_string()))),
        status.map(|status| ("status = ?", Value::from(i64::from(status.number())))),
        created_before.map(|moment| ("created_at < ?", Value::from(moment.0))),
        before.map(|id| ("id < ?", Value::from(stored_id(id)))),
    ];
    let (mut texts, values): (Vec<_>, _) = wanted.into_iter().flatten().unzip();
    texts.push("partition_of IS NULL");
    let index = match (instance, status) {
        (Some(_), _) => "job_executions_by_instance",
        (None, Some(_)) => "job_executions_by_status",
        (None, None) => "job_executions_wholes",
    };
    (format!("job_executions INDEXED BY {index}"), texts.join(" AND "), values)
}

/// For SQLite, a negative limit means all.
fn limit(filter: &ExecutionFilter) -> i64 {
    if filter.limit == 0 { -1 } else { filter.limit.into() }
}

fn with_steps(db: &Db, tenant: &TenantId, record: ExecutionRecord) -> Outcome<JobExecution> {
    let steps = steps::of(db, tenant, record.id)?;
    Ok(record.into_execution(steps)?)
}

fn record(row: &SqlRow<'_>) -> rusqlite::Result<ExecutionRecord> {
    Ok(ExecutionRecord {
        id: row.get("id")?,
        accepted: AcceptedRecord {
            tenant: row.get("tenant")?,
            instance: row.get("instance")?,
            stoppable: row.get("stoppable")?,
            created_at: row.get("created_at")?,
            restart_of: row.get("restart_of")?,
            user_name: row.get("user_name")?,
            parameters: row.get("parameters")?,
            parameters_key: row.get("parameters_key")?,
            job: row.get("job")?,
            partition: partition(row)?,
        },
        state: StateRecord {
            status: row.get("status")?,
            exit_code: row.get("exit_code")?,
            exit_description: row.get("exit_description")?,
            started_at: row.get("started_at")?,
            ended_at: row.get("ended_at")?,
            updated_at: row.get("updated_at")?,
            failures: row.get("failures")?,
        },
        context: row.get("context")?,
        worker: row.get("worker")?,
        attempt: row.get("attempt")?,
        stop_requested_at: row.get("stop_requested_at")?,
        set_aside: row.get("set_aside")?,
    })
}

fn partition(row: &SqlRow<'_>) -> rusqlite::Result<Option<PartitionRecord>> {
    let Some(of) = row.get("partition_of")? else { return Ok(None) };
    Ok(Some(PartitionRecord {
        of,
        position: row.get("partition_step")?,
        number: row.get("partition_number")?,
        count: row.get("partition_count")?,
    }))
}
