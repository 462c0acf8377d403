//! The parts of an execution's steps.

use stepbox_batch::execution::{JobExecution, PartitionState};
use stepbox_batch::name::{JobExecutionId, TenantId};

use super::connection::Db;
use super::executions::{ONE_MOMENT, with_steps};
use super::steps;
use super::trouble::Outcome;
use super::value::named;
use crate::record::columns::Columns;
use crate::record::execution::{COLUMNS, PART_COLUMNS, PartitionStateRecord};
use crate::record::stored_id;

/// The statement that finds the parts.
pub(super) fn statement() -> String {
    format!(
        "SELECT {COLUMNS} FROM job_executions e WHERE e.tenant = :tenant AND e.partition_of = :of
         ORDER BY e.partition_step, e.partition_number"
    )
}

/// All parts with their steps, as of one moment, by step and number.
pub(super) async fn whole(db: &Db, tenant: &TenantId, of: JobExecutionId) -> Outcome<Vec<JobExecution>> {
    let values = named! {"tenant": tenant.as_str(), "of": stored_id(of)};
    let sql = statement();
    db.prepare_all([(sql.as_str(), &values[..])].into_iter()).await?;
    let (_, found) = tokio::try_join!(biased; db.run(ONE_MOMENT), db.rows(&sql, &values))?;
    let ids = found.iter().map(|row| row.number("id")).collect::<Outcome<Vec<_>>>()?;
    let values = named! {"tenant": tenant.as_str(), "ids": ids};
    let (steps, _) = tokio::try_join!(biased; db.rows(steps::OF_EXECUTIONS, &values), db.run("COMMIT"))?;
    with_steps(&found, &steps)
}

pub(super) fn states_statement() -> String {
    format!(
        "SELECT {PART_COLUMNS} FROM job_executions e LEFT JOIN step_executions s
             ON s.tenant = e.tenant AND s.execution_id = e.id AND s.position = e.partition_step
         WHERE e.tenant = :tenant AND e.partition_of = :of AND e.partition_step = :position
         ORDER BY e.partition_number"
    )
}

/// The states of the parts of a step, by number.
pub(super) async fn states(
    db: &Db,
    tenant: &TenantId,
    of: JobExecutionId,
    position: u32,
) -> Outcome<Vec<PartitionState>> {
    let values = named! {"tenant": tenant.as_str(), "of": stored_id(of), "position": i64::from(position)};
    let rows = db.rows(&states_statement(), &values).await?;
    rows.iter().map(|row| Ok(PartitionStateRecord::read(row)?.into_state()?)).collect()
}
