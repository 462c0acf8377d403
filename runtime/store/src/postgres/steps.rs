//! Step executions and their warnings. The callers have checked that they may write.

use stepbox_batch::execution::{StepExecution, Warning};
use stepbox_batch::name::{JobExecutionId, TenantId};
use stepbox_batch::ports::Listing;
use tokio_postgres::Row;

use super::connection::Db;
use super::trouble::{Outcome, listed};
use super::value::{Value, named};
use crate::record::columns::Columns;
use crate::record::step::{StepRecord, WarningRecord};
use crate::record::{Listed, stored_id};

/// The parts of the statement before, between and after the columns `tenant` and `id`. A step's row is inserted, or
/// replaces the row at its position. A row without a checkpoint keeps the stored one.
pub(super) const PUT: [&str; 3] = [
    "INSERT INTO step_executions
         (tenant, execution_id, position, name, status, exit_code, exit_description, started_at, ended_at,
          updated_at, read_count, written_count, filtered_count, skipped_count, tracking_processed,
          tracking_total, tracking_is_estimate, warning_count, carried_from, summary, errors, failures,
          checkpoint, starts, retries, usage)
     SELECT ",
    ", :step_position, :step_name, :step_status, :step_exit_code, :step_exit_description,
            :step_started_at, :step_ended_at, :step_updated_at, :read_count, :written_count, :filtered_count,
            :skipped_count, :tracking_processed, :tracking_total, :tracking_is_estimate, :warning_count,
            :carried_from, :summary, :errors, :step_failures, :checkpoint, :starts, :retries, :usage ",
    " ON CONFLICT (tenant, execution_id, position) DO UPDATE SET
         name = excluded.name, status = excluded.status, exit_code = excluded.exit_code,
         exit_description = excluded.exit_description, started_at = excluded.started_at,
         ended_at = excluded.ended_at, updated_at = excluded.updated_at, read_count = excluded.read_count,
         written_count = excluded.written_count, filtered_count = excluded.filtered_count,
         skipped_count = excluded.skipped_count, tracking_processed = excluded.tracking_processed,
         tracking_total = excluded.tracking_total, tracking_is_estimate = excluded.tracking_is_estimate,
         warning_count = excluded.warning_count, carried_from = excluded.carried_from,
         summary = excluded.summary, errors = excluded.errors, failures = excluded.failures,
         checkpoint = coalesce(excluded.checkpoint, step_executions.checkpoint),
         starts = excluded.starts, retries = excluded.retries, usage = excluded.usage",
];

/// The parameters of [`PUT`].
pub(super) fn values(step: &StepRecord) -> [(&'static str, Value<'_>); 24] {
    named! {
        "step_position": step.position,
        "step_name": &step.name,
        "step_status": step.status,
        "step_exit_code": &step.exit_code,
        "step_exit_description": &step.exit_description,
        "step_started_at": step.started_at,
        "step_ended_at": step.ended_at,
        "step_updated_at": step.updated_at,
        "read_count": step.read_count,
        "written_count": step.written_count,
        "filtered_count": step.filtered_count,
        "skipped_count": step.skipped_count,
        "tracking_processed": step.tracking.processed,
        "tracking_total": step.tracking.total,
        "tracking_is_estimate": step.tracking.is_estimate,
        "warning_count": step.warning_count,
        "carried_from": step.carried_from,
        "summary": &step.summary,
        "errors": &step.errors,
        "step_failures": &step.failures,
        "checkpoint": &step.checkpoint,
        "starts": step.starts,
        "retries": step.retries,
        "usage": &step.usage,
    }
}

/// Writes a step of an execution that was just accepted.
pub(super) async fn put(db: &Db, tenant: &str, execution_id: i64, step: &StepRecord) -> Outcome<()> {
    let [insert, columns, on_conflict] = PUT;
    let sql = format!("{insert} :tenant, :id {columns} {on_conflict}");
    let mut all = Vec::from(named! {"tenant": tenant, "id": execution_id});
    all.extend(values(step));
    db.execute(&sql, &all).await.map(drop)
}

/// The steps of executions of a tenant, by execution, in order.
pub(super) const OF_EXECUTIONS: &str = "SELECT s.* FROM unnest(CAST(:ids AS BIGINT[])) AS wanted (id)
    JOIN step_executions s ON s.tenant = :tenant AND s.execution_id = wanted.id
    ORDER BY s.execution_id, s.position";

/// The same steps as lists show them: no checkpoint is read.
pub(super) const SHOWN: &str = "SELECT s.execution_id, s.position, s.name, s.status, s.exit_code,
        s.exit_description, s.started_at, s.ended_at, s.updated_at, s.read_count, s.written_count,
        s.filtered_count, s.skipped_count, s.tracking_processed, s.tracking_total, s.tracking_is_estimate,
        s.warning_count, s.carried_from, s.summary, s.errors, s.failures, CAST(NULL AS BYTEA) AS checkpoint,
        s.starts, s.retries, s.usage
    FROM unnest(CAST(:ids AS BIGINT[])) AS wanted (id)
    JOIN step_executions s ON s.tenant = :tenant AND s.execution_id = wanted.id
    ORDER BY s.execution_id, s.position";

/// Reads a row of [`OF_EXECUTIONS`] or [`SHOWN`]: the id of the execution, and the step.
pub(super) fn step(row: &Row) -> Outcome<(i64, StepExecution)> {
    let id = row.number("execution_id")?;
    Ok((id, StepRecord::read(row)?.into_step(id)?))
}

pub(super) const WARNINGS: &str = "SELECT step, code, reason, place, item FROM warnings
               WHERE tenant = :tenant AND execution_id = :id ORDER BY lease_token, save_number, number";

/// The warnings of an execution, in the order in which they came.
pub(super) async fn warnings(db: &Db, tenant: &TenantId, id: JobExecutionId) -> Outcome<Listing<Warning>> {
    let execution_id = stored_id(id);
    let rows = db.rows(WARNINGS, &named! {"tenant": tenant.as_str(), "id": execution_id}).await?;
    read_warnings(&rows, execution_id, 0)
}

pub(super) const SOME_WARNINGS: &str = "SELECT step, code, reason, place, item FROM warnings
               WHERE tenant = :tenant AND execution_id = :id ORDER BY lease_token, save_number, number
               LIMIT :limit OFFSET :skip";

/// Up to `limit` warnings of an execution, after the first `skip` ones.
pub(super) async fn some_warnings(
    db: &Db,
    tenant: &TenantId,
    id: JobExecutionId,
    skip: u64,
    limit: u32,
) -> Outcome<Listing<Warning>> {
    let execution_id = stored_id(id);
    let values = named! {
        "tenant": tenant.as_str(), "id": execution_id, "limit": i64::from(limit),
        "skip": i64::try_from(skip).unwrap_or(i64::MAX),
    };
    read_warnings(&db.rows(SOME_WARNINGS, &values).await?, execution_id, skip)
}

/// Reads warnings. A damaged one is named by its place among those of the execution.
fn read_warnings(rows: &[Row], execution_id: i64, skip: u64) -> Outcome<Listing<Warning>> {
    let mut found = Listing::default();
    for row in rows {
        let warning = WarningRecord::read(row).and_then(|record| Ok(record.into_warning(execution_id)?));
        let name = format!("{} of execution {execution_id}", skip + found.rows() as u64 + 1);
        found.push(listed(Listed::named("warning", name), warning)?);
    }
    Ok(found)
}
