//! The parts of an execution's steps.

use rusqlite::{Connection as Db, named_params};
use stepbox_batch::execution::{JobExecution, PartitionState};
use stepbox_batch::name::{JobExecutionId, TenantId};

use super::executions::with_steps;
use super::trouble::Outcome;
use crate::record::execution::{COLUMNS, ExecutionRecord, PART_COLUMNS, PartitionStateRecord};
use crate::record::stored_id;

/// All parts with their steps, by step and number.
pub(super) fn whole(db: &Db, tenant: &TenantId, of: JobExecutionId) -> Outcome<Vec<JobExecution>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM job_executions e INDEXED BY job_executions_by_partition
         WHERE e.partition_of = :of AND e.tenant = :tenant ORDER BY e.partition_step, e.partition_number"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query(named_params! {":of": stored_id(of), ":tenant": tenant.as_str()})?;
    let mut parts = Vec::new();
    while let Some(row) = rows.next()? {
        parts.push(with_steps(db, tenant, ExecutionRecord::read(row)?)?);
    }
    Ok(parts)
}

pub(super) fn states_statement() -> String {
    format!(
        "SELECT {PART_COLUMNS} FROM job_executions e INDEXED BY job_executions_by_partition
         LEFT JOIN step_executions s
             ON s.tenant = e.tenant AND s.execution_id = e.id AND s.position = e.partition_step
         WHERE e.partition_of = :of AND e.partition_step = :position AND e.tenant = :tenant
         ORDER BY e.partition_number"
    )
}

/// The states of the parts of a step, by number.
pub(super) fn states(
    db: &Db,
    tenant: &TenantId,
    of: JobExecutionId,
    position: u32,
) -> Outcome<Vec<PartitionState>> {
    let mut statement = db.prepare_cached(&states_statement())?;
    let values = named_params! {":of": stored_id(of), ":position": position, ":tenant": tenant.as_str()};
    let mut rows = statement.query(values)?;
    let mut states = Vec::new();
    while let Some(row) = rows.next()? {
        states.push(PartitionStateRecord::read(row)?.into_state()?);
    }
    Ok(states)
}
