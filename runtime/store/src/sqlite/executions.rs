//! Job executions: accepted, looked up, listed, purged.

use rusqlite::types::Value;
use rusqlite::{Connection as Db, OptionalExtension, Row as SqlRow, named_params, params_from_iter};
use stepbox_batch::audit::{Actor, Deed};
use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::JobExecution;
use stepbox_batch::name::{JobExecutionId, TenantId};
use stepbox_batch::repository::{ExecutionFilter, NewJobExecution, RepositoryError};

use super::trouble::Outcome;
use super::{audit, instances, queue, steps};
use crate::record::execution::{AcceptedRecord, ExecutionRecord, PartitionRecord, StateRecord};
use crate::record::{Row, stored_id};
use crate::save::{ClaimRecord, NewRecord};
use crate::standing::Standing;

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
        .prepare_cached(
            "SELECT id FROM job_executions
             WHERE tenant = :tenant AND restart_of = :before LIMIT 1",
        )?
        .query_row(named_params! {":tenant": tenant, ":before": before}, |row| row.get(0))
        .optional()?;
    match next {
        None => Ok(()),
        Some(id) => {
            let user = format!("execution {id}, which goes on from it");
            Err(RepositoryError::InUse { kind: "execution", name: before.to_string(), user }.into())
        }
    }
}

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

/// How an execution stands, to decide what may happen to it.
pub(super) fn standing(db: &Db, tenant: &str, id: i64) -> Outcome<Standing> {
    let found: Option<(i64, bool, Option<i64>, bool)> = db
        .prepare_cached(
            "SELECT status, stoppable, lease_expires_at, set_aside IS NOT NULL FROM job_executions
             WHERE tenant = :tenant AND id = :id",
        )?
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

pub(super) fn list(db: &Db, tenant: &TenantId, filter: &ExecutionFilter) -> Outcome<Vec<JobExecution>> {
    let (conditions, values) = conditions(tenant, filter);
    let sql = format!(
        "SELECT {COLUMNS} FROM job_executions WHERE {conditions} ORDER BY id DESC LIMIT {}",
        limit(filter)
    );
    let mut statement = db.prepare_cached(&sql)?;
    let records = statement.query_map(params_from_iter(values), record)?;
    records.map(|record| with_steps(db, tenant, record?)).collect()
}

/// Deletes what has ended and matches, oldest first; steps and warnings go with it.
pub(super) fn purge(
    db: &Db,
    tenant: &TenantId,
    filter: &ExecutionFilter,
    by: &Actor,
) -> Outcome<Vec<JobExecutionId>> {
    let (conditions, values) = conditions(tenant, filter);
    // An instance keeps its last success as long as it exists.
    let sql = format!(
        "SELECT id, instance, status FROM job_executions
         WHERE {conditions} AND ended_at IS NOT NULL AND id NOT IN (
             SELECT max(id) FROM job_executions
             WHERE tenant = ?1 AND status = 1 AND partition_of IS NULL
               AND instance IN (SELECT code FROM job_instances WHERE tenant = ?1)
             GROUP BY instance)
         ORDER BY id LIMIT {}",
        limit(filter)
    );
    let found: Vec<(i64, String, i64)> = db
        .prepare_cached(&sql)?
        .query_map(params_from_iter(values), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
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

/// The filter as SQL, whose parameter `?1` is the tenant. Only what is asked for is written, so that each form finds its index.
fn conditions(tenant: &TenantId, filter: &ExecutionFilter) -> (String, Vec<Value>) {
    let ExecutionFilter { instance, status, created_before, partitions_of, before, limit: _ } = filter;
    let wanted = [
        Some(("tenant = ?", Value::from(tenant.to_string()))),
        instance.as_ref().map(|code| ("instance = ?", Value::from(code.to_string()))),
        status.map(|status| ("status = ?", Value::from(i64::from(status.number())))),
        created_before.map(|moment| ("created_at < ?", Value::from(moment.0))),
        before.map(|id| ("id < ?", Value::from(stored_id(id)))),
        partitions_of.map(|id| ("partition_of = ?", Value::from(stored_id(id)))),
    ];
    let (mut texts, values): (Vec<_>, _) = wanted.into_iter().flatten().unzip();
    if partitions_of.is_none() {
        texts.push("partition_of IS NULL");
    }
    (texts.join(" AND "), values)
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
