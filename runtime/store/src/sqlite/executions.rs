//! Job executions: looked up and listed.

use rusqlite::types::Value;
use rusqlite::{Connection as Db, Row as SqlRow, named_params, params_from_iter};
use stepbox_batch::execution::standing::Standing;
use stepbox_batch::execution::status::BatchStatus;
use stepbox_batch::execution::{Ancestor, ExecutionFilter, ExecutionSummary, JobExecution, Remains};
use stepbox_batch::name::{JobExecutionId, TenantId};
use stepbox_batch::ports::Listing;

use super::row::{fields, first};
use super::steps;
use super::trouble::{Outcome, listed};
use crate::record::execution::{
    COLUMNS, ExecutionRecord, Jobs, ancestor, columns_of_lists, not_found, standing as read_standing,
};
use crate::record::{Listed, json, stored_id};

pub(super) const STANDING: &str =
    "SELECT status, stoppable, lease_expires_at, set_aside IS NOT NULL AS is_set_aside,
            partition_of IS NOT NULL AS is_part, stop_requested_at IS NOT NULL AS is_stopping,
            pause_requested_at IS NOT NULL AS is_pausing
     FROM job_executions WHERE tenant = :tenant AND id = :id";

/// The values of an execution that decide which requests are allowed. PostgreSQL locks the row here; SQLite lets
/// one process write at a time.
pub(super) fn standing(db: &Db, tenant: &str, id: i64) -> Outcome<Standing> {
    let mut statement = db.prepare_cached(STANDING)?;
    let rows = statement.query(named_params! {":tenant": tenant, ":id": id})?;
    first(rows, |row| read_standing(id, row))?.ok_or_else(|| not_found(id).into())
}

pub(super) fn get(db: &Db, tenant: &TenantId, id: JobExecutionId) -> Outcome<Option<JobExecution>> {
    let sql = format!("SELECT {COLUMNS} FROM job_executions e WHERE e.tenant = :tenant AND e.id = :id");
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query(named_params! {":tenant": tenant.as_str(), ":id": stored_id(id)})?;
    let found = first(rows, |row| ExecutionRecord::read(row))?;
    found.map(|record| with_steps(db, tenant, record)).transpose()
}

/// The executions as lists show them. Contexts and checkpoints are not read.
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
    let record = ExecutionRecord::read(row)?;
    let steps = steps::shown(db, tenant, record.id)?;
    Ok(record.into_summary(steps, jobs)?)
}

/// The statement of a list, and its values.
///
/// The newest executions in several statuses are the newest of the newest in each status: SQLite reads as many of each
/// as the list may have, and not all of them.
pub(super) fn list_statement(tenant: &TenantId, filter: &ExecutionFilter) -> (String, Vec<Value>) {
    let (columns, limit) = (columns_of_lists(), limit(filter));
    let (source, conditions, values) = match (&filter.instance, &filter.job, &filter.statuses[..]) {
        (None, None, [_, _, ..]) => {
            let any = ExecutionFilter { statuses: Vec::new(), ..filter.clone() };
            let (_, conditions, values) = conditions(tenant, &any);
            let of_status = |status: &BatchStatus| {
                format!(
                    "SELECT id FROM (
                         SELECT id FROM job_executions e INDEXED BY job_executions_by_status
                         WHERE {conditions} AND status = {} ORDER BY id DESC LIMIT {limit})",
                    status.number()
                )
            };
            let of_each = filter.statuses.iter().map(of_status).collect::<Vec<_>>().join(" UNION ALL ");
            ("job_executions e".to_owned(), format!("tenant = ?1 AND id IN ({of_each})"), values)
        }
        _ => conditions(tenant, filter),
    };
    (format!("SELECT {columns} FROM {source} WHERE {conditions} ORDER BY id DESC LIMIT {limit}"), values)
}

/// An execution continues an older one only, so a damaged number cannot lead in a circle.
pub(super) const ANCESTRY: &str = "WITH RECURSIVE line (id, started_at, restart_of) AS (
         SELECT id, started_at, restart_of FROM job_executions WHERE tenant = :tenant AND id = :id
         UNION ALL
         SELECT e.id, e.started_at, e.restart_of FROM line JOIN job_executions e
             ON e.tenant = :tenant AND e.id = line.restart_of AND line.restart_of < line.id)
     SELECT id, started_at, restart_of FROM line ORDER BY id DESC";

/// An execution and those that it continues.
pub(super) fn ancestry(db: &Db, tenant: &TenantId, id: JobExecutionId) -> Outcome<Vec<Ancestor>> {
    let mut statement = db.prepare_cached(ANCESTRY)?;
    let values = named_params! {":tenant": tenant.as_str(), ":id": stored_id(id)};
    let mut rows = statement.query(values)?;
    let mut line = Vec::new();
    while let Some(row) = rows.next()? {
        line.push(ancestor(row)?);
    }
    Ok(line)
}

/// The readable rest of a damaged execution.
pub(super) fn remains(db: &Db, tenant: &TenantId, id: JobExecutionId) -> Outcome<Option<Remains>> {
    let mut statement =
        db.prepare_cached("SELECT * FROM job_executions WHERE tenant = :tenant AND id = :id")?;
    let mut rows = statement.query(named_params! {":tenant": tenant.as_str(), ":id": stored_id(id)})?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let mut remains = Remains { damage: Vec::new(), fields: fields(row, "")? };
    let whole = ExecutionRecord::read(row).and_then(|record| Ok(record.into_execution(Vec::new())?));
    remains
        .damage
        .extend(listed(Listed::numbered("execution", row.get("id")?), whole)?.err().map(|row| row.reason));
    steps::remains(db, tenant, stored_id(id), &mut remains)?;
    Ok(Some(remains))
}

/// The filter as SQL, in which parameter `?1` is the tenant: the table with the index to use, and the conditions.
/// The index is named because SQLite does not know which values are rare, and would sometimes use the wrong one.
pub(super) fn conditions(tenant: &TenantId, filter: &ExecutionFilter) -> (String, String, Vec<Value>) {
    let ExecutionFilter { instance, job, statuses, hidden, created_since, created_before, before, limit: _ } =
        filter;
    let (mut texts, mut values) = (vec!["partition_of IS NULL".to_owned()], Vec::new());
    let mut add = |text: &str, value: Value| {
        values.push(value);
        texts.push(text.replace('?', &format!("?{}", values.len())));
    };
    add("tenant = ?", tenant.to_string().into());
    if let Some(code) = instance {
        add("instance = ?", code.to_string().into());
    }
    if let Some(job) = job {
        add("job_name = ?", job.to_string().into());
    }
    if !hidden.is_empty() {
        add("instance NOT IN (SELECT value FROM json_each(?))", json(hidden).into());
    }
    if let Some(moment) = created_since {
        add("created_at >= ?", moment.0.into());
    }
    if let Some(moment) = created_before {
        add("created_at < ?", moment.0.into());
    }
    if let Some(id) = before {
        add("id < ?", stored_id(*id).into());
    }
    match statuses[..] {
        [] => {}
        [status] => add("status = ?", i64::from(status.number()).into()),
        _ => {
            let numbers: Vec<_> = statuses.iter().map(|status| status.number().to_string()).collect();
            texts.push(format!("status IN ({})", numbers.join(", ")));
        }
    }
    let index = match (instance, job, statuses.is_empty()) {
        (Some(_), ..) => "job_executions_by_instance",
        (None, Some(_), _) => "job_executions_by_job",
        (None, None, false) => "job_executions_by_status",
        (None, None, true) => "job_executions_wholes",
    };
    (format!("job_executions e INDEXED BY {index}"), texts.join(" AND "), values)
}

/// For SQLite, a negative limit means all.
pub(super) fn limit(filter: &ExecutionFilter) -> i64 {
    if filter.limit == 0 { -1 } else { filter.limit.into() }
}

pub(super) fn with_steps(db: &Db, tenant: &TenantId, record: ExecutionRecord) -> Outcome<JobExecution> {
    let steps = steps::of(db, tenant, record.id)?;
    Ok(record.into_execution(steps)?)
}
