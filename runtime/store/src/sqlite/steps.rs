//! Step executions and their warnings. The callers have checked that they may write.

use rusqlite::{Connection as Db, Rows, named_params};
use stepbox_batch::execution::{Remains, StepExecution, Warning};
use stepbox_batch::name::{JobExecutionId, TenantId};
use stepbox_batch::ports::{Listing, RepositoryError};

use super::row::fields;
use super::trouble::{Outcome, listed};
use crate::record::step::{StepRecord, TrackingRecord, WarningRecord};
use crate::record::{Listed, stored_id};

/// Inserts a step's row, or replaces the row at its position. A row without a checkpoint keeps the stored one.
pub(super) fn put(db: &Db, tenant: &str, execution_id: i64, step: &StepRecord) -> Outcome<()> {
    db.prepare_cached(
        "INSERT INTO step_executions
             (tenant, execution_id, position, name, status, exit_code, exit_description, started_at,
              ended_at, updated_at, read_count, written_count, filtered_count, skipped_count,
              tracking_processed, tracking_total, tracking_is_estimate, warning_count, carried_from,
              summary, errors, failures, checkpoint, starts, retries, usage)
         VALUES
             (:tenant, :execution_id, :position, :name, :status, :exit_code, :exit_description, :started_at,
              :ended_at, :updated_at, :read_count, :written_count, :filtered_count, :skipped_count,
              :tracking_processed, :tracking_total, :tracking_is_estimate, :warning_count, :carried_from,
              :summary, :errors, :failures, :checkpoint, :starts, :retries, :usage)
         ON CONFLICT (tenant, execution_id, position) DO UPDATE SET
             name = excluded.name, status = excluded.status, exit_code = excluded.exit_code,
             exit_description = excluded.exit_description, started_at = excluded.started_at,
             ended_at = excluded.ended_at, updated_at = excluded.updated_at,
             read_count = excluded.read_count, written_count = excluded.written_count,
             filtered_count = excluded.filtered_count, skipped_count = excluded.skipped_count,
             tracking_processed = excluded.tracking_processed, tracking_total = excluded.tracking_total,
             tracking_is_estimate = excluded.tracking_is_estimate, warning_count = excluded.warning_count,
             carried_from = excluded.carried_from, summary = excluded.summary, errors = excluded.errors,
             failures = excluded.failures, checkpoint = coalesce(excluded.checkpoint, checkpoint),
             starts = excluded.starts, retries = excluded.retries, usage = excluded.usage",
    )?
    .execute(named_params! {
        ":tenant": tenant,
        ":execution_id": execution_id,
        ":position": step.position,
        ":name": step.name,
        ":status": step.status,
        ":exit_code": step.exit_code,
        ":exit_description": step.exit_description,
        ":started_at": step.started_at,
        ":ended_at": step.ended_at,
        ":updated_at": step.updated_at,
        ":read_count": step.read_count,
        ":written_count": step.written_count,
        ":filtered_count": step.filtered_count,
        ":skipped_count": step.skipped_count,
        ":tracking_processed": step.tracking.processed,
        ":tracking_total": step.tracking.total,
        ":tracking_is_estimate": step.tracking.is_estimate,
        ":warning_count": step.warning_count,
        ":carried_from": step.carried_from,
        ":summary": step.summary,
        ":errors": step.errors,
        ":failures": step.failures,
        ":checkpoint": step.checkpoint,
        ":starts": step.starts,
        ":retries": step.retries,
        ":usage": step.usage,
    })?;
    Ok(())
}

/// Writes only a step's progress.
pub(super) fn put_tracking(
    db: &Db,
    tenant: &str,
    execution_id: i64,
    position: u32,
    tracking: TrackingRecord,
    now: i64,
) -> Outcome<()> {
    let updated = db
        .prepare_cached(
            "UPDATE step_executions
             SET tracking_processed = :processed, tracking_total = :total,
                 tracking_is_estimate = :is_estimate, updated_at = :now
             WHERE tenant = :tenant AND execution_id = :execution_id AND position = :position",
        )?
        .execute(named_params! {
            ":processed": tracking.processed, ":total": tracking.total,
            ":is_estimate": tracking.is_estimate, ":now": now,
            ":tenant": tenant, ":execution_id": execution_id, ":position": position,
        })?;
    if updated == 0 {
        let name = format!("{position} of execution {execution_id}");
        return Err(RepositoryError::NotFound { kind: "step", name }.into());
    }
    Ok(())
}

/// The steps of an execution, in order.
pub(super) fn of(db: &Db, tenant: &TenantId, execution_id: i64) -> Outcome<Vec<StepExecution>> {
    let mut statement = db.prepare_cached(
        "SELECT * FROM step_executions
         WHERE tenant = :tenant AND execution_id = :execution_id ORDER BY position",
    )?;
    let parameters = named_params! {":tenant": tenant.as_str(), ":execution_id": execution_id};
    all(statement.query(parameters)?, execution_id)
}

fn all(mut rows: Rows<'_>, execution_id: i64) -> Outcome<Vec<StepExecution>> {
    let mut steps = Vec::new();
    while let Some(row) = rows.next()? {
        steps.push(StepRecord::read(row)?.into_step(execution_id)?);
    }
    Ok(steps)
}

/// Whether a step has ended before.
pub(super) fn has_ended(db: &Db, tenant: &str, execution_id: i64, position: i64) -> Outcome<bool> {
    let mut statement = db.prepare_cached(
        "SELECT 1 FROM step_executions WHERE tenant = :tenant AND execution_id = :execution_id
           AND position = :position AND ended_at IS NOT NULL",
    )?;
    let values = named_params! {":tenant": tenant, ":execution_id": execution_id, ":position": position};
    Ok(statement.exists(values)?)
}

pub(super) const SHOWN: &str =
    "SELECT position, name, status, exit_code, exit_description, started_at, ended_at,
            updated_at, read_count, written_count, filtered_count, skipped_count, tracking_processed,
            tracking_total, tracking_is_estimate, warning_count, carried_from, summary, errors, failures,
            NULL AS checkpoint, starts, retries, usage
     FROM step_executions WHERE tenant = :tenant AND execution_id = :execution_id ORDER BY position";

/// The steps of an execution as lists show them: no checkpoint is read.
pub(super) fn shown(db: &Db, tenant: &TenantId, execution_id: i64) -> Outcome<Vec<StepExecution>> {
    let mut statement = db.prepare_cached(SHOWN)?;
    let parameters = named_params! {":tenant": tenant.as_str(), ":execution_id": execution_id};
    all(statement.query(parameters)?, execution_id)
}

/// The readable rest of the steps of a damaged execution.
pub(super) fn remains(db: &Db, tenant: &TenantId, execution_id: i64, remains: &mut Remains) -> Outcome<()> {
    let mut statement = db.prepare_cached(
        "SELECT * FROM step_executions
         WHERE tenant = :tenant AND execution_id = :execution_id ORDER BY position",
    )?;
    let parameters = named_params! {":tenant": tenant.as_str(), ":execution_id": execution_id};
    let mut rows = statement.query(parameters)?;
    while let Some(row) = rows.next()? {
        let position: i64 = row.get("position")?;
        let whole = StepRecord::read(row).and_then(|record| Ok(record.into_step(execution_id)?));
        let damaged = listed(Listed::numbered("step", position), whole)?.err();
        remains.damage.extend(damaged.map(|row| row.reason));
        remains.fields.extend(fields(row, &format!("step {position} "))?);
    }
    Ok(())
}

/// Appends a warning to the warnings of an execution.
pub(super) fn add_warning(db: &Db, tenant: &str, execution_id: i64, warning: &WarningRecord) -> Outcome<()> {
    let WarningRecord { step, code, reason, place, item } = warning;
    db.prepare_cached(
        "INSERT INTO warnings (tenant, execution_id, step, code, reason, place, item)
         VALUES (:tenant, :execution_id, :step, :code, :reason, :place, :item)",
    )?
    .execute(named_params! {
        ":tenant": tenant, ":execution_id": execution_id, ":step": step, ":code": code,
        ":reason": reason, ":place": place, ":item": item,
    })?;
    Ok(())
}

pub(super) const WARNINGS: &str = "SELECT id, step, code, reason, place, item FROM warnings
     WHERE tenant = :tenant AND execution_id = :execution_id ORDER BY id";

/// The warnings of an execution, in the order in which they came.
pub(super) fn warnings(db: &Db, tenant: &TenantId, id: JobExecutionId) -> Outcome<Listing<Warning>> {
    let execution_id = stored_id(id);
    let mut statement = db.prepare_cached(WARNINGS)?;
    let rows = statement.query(named_params! {":tenant": tenant.as_str(), ":execution_id": execution_id})?;
    read_warnings(rows, execution_id, 0)
}

pub(super) const SOME_WARNINGS: &str = "SELECT id, step, code, reason, place, item FROM warnings
     WHERE tenant = :tenant AND execution_id = :execution_id ORDER BY id LIMIT :limit OFFSET :skip";

/// Up to `limit` warnings of an execution, after the first `skip` ones.
pub(super) fn some_warnings(
    db: &Db,
    tenant: &TenantId,
    id: JobExecutionId,
    skip: u64,
    limit: u32,
) -> Outcome<Listing<Warning>> {
    let execution_id = stored_id(id);
    let mut statement = db.prepare_cached(SOME_WARNINGS)?;
    let rows = statement.query(named_params! {
        ":tenant": tenant.as_str(), ":execution_id": execution_id, ":limit": limit,
        ":skip": i64::try_from(skip).unwrap_or(i64::MAX),
    })?;
    read_warnings(rows, execution_id, skip)
}

/// Reads warnings. A damaged one is named by its place among those of the execution.
fn read_warnings(mut rows: Rows<'_>, execution_id: i64, skip: u64) -> Outcome<Listing<Warning>> {
    let mut found = Listing::default();
    while let Some(row) = rows.next()? {
        let warning = WarningRecord::read(row).and_then(|record| Ok(record.into_warning(execution_id)?));
        let name = format!("{} of execution {execution_id}", skip + found.rows() as u64 + 1);
        found.push(listed(Listed::named("warning", name), warning)?);
    }
    Ok(found)
}
