//! The parts of an execution's steps.

use stepbox_batch::execution::{JobExecution, PartitionState};
use stepbox_batch::name::{JobExecutionId, TenantId};
use tokio_postgres::Row as SqlRow;

use super::connection::Db;
use super::executions::{COLUMNS, ONE_MOMENT, partition, with_steps};
use super::steps;
use super::trouble::{Outcome, Trouble};
use super::value::{Columns, named};
use crate::record::execution::{PartitionStateRecord, PartitionStepRecord};
use crate::record::step::TrackingRecord;
use crate::record::stored_id;

/// What finds them.
pub(super) fn statement() -> String {
    format!(
        "SELECT {COLUMNS} FROM job_executions e WHERE e.tenant = :tenant AND e.partition_of = :of
         ORDER BY e.partition_step, e.partition_number"
    )
}

/// All of them with their steps, of one moment, by step and number.
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

pub(super) const STATES: &str =
    "SELECT e.id, e.partition_of, e.partition_step, e.partition_number, e.partition_count, e.status,
            e.ended_at IS NOT NULL AS has_ended, e.set_aside, e.worker, e.failures, s.tracking_processed, s.tracking_total,
            s.tracking_is_estimate, s.skipped_count, s.failures AS step_failures
     FROM job_executions e LEFT JOIN step_executions s
         ON s.tenant = e.tenant AND s.execution_id = e.id AND s.position = e.partition_step
     WHERE e.tenant = :tenant AND e.partition_of = :of AND e.partition_step = :position
     ORDER BY e.partition_number";

/// How those of a step stand, by number.
pub(super) async fn states(
    db: &Db,
    tenant: &TenantId,
    of: JobExecutionId,
    position: u32,
) -> Outcome<Vec<PartitionState>> {
    let values = named! {"tenant": tenant.as_str(), "of": stored_id(of), "position": i64::from(position)};
    let rows = db.rows(STATES, &values).await?;
    rows.iter().map(|row| Ok(record(row)?.into_state()?)).collect()
}

fn record(row: &SqlRow) -> Outcome<PartitionStateRecord> {
    let step = match row.maybe_number("tracking_processed")? {
        None => None,
        Some(processed) => Some(PartitionStepRecord {
            tracking: TrackingRecord {
                processed,
                total: row.maybe_number("tracking_total")?,
                is_estimate: row.flag("tracking_is_estimate")?,
            },
            skipped: row.number("skipped_count")?,
            failures: row.text("step_failures")?,
        }),
    };
    let gone = || Trouble::Unfit("it gave an execution that is no part of another".to_owned());
    Ok(PartitionStateRecord {
        id: row.number("id")?,
        partition: partition(row)?.ok_or_else(gone)?,
        status: row.number("status")?,
        has_ended: row.flag("has_ended")?,
        set_aside: row.maybe_text("set_aside")?,
        worker: row.maybe_text("worker")?,
        failures: row.text("failures")?,
        step,
    })
}
