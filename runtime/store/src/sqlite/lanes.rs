//! How entries get into the queue: each into the lane of the executions that begin under the same conditions.

use rusqlite::{Connection as Db, named_params};
use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::JobExecution;
use stepbox_batch::execution::queue::{Enqueue, QueueState};
use stepbox_batch::job::Job;
use stepbox_batch::name::{InstanceCode, TenantId};

use super::trouble::Outcome;
use crate::record::stored_id;

/// Puts an entry into a lane.
pub(super) fn put_entry(
    db: &Db,
    tenant: &str,
    id: i64,
    lane: i64,
    queue: &Enqueue,
    state: QueueState,
    turn: i64,
) -> Outcome<()> {
    db.prepare_cached(
        "INSERT INTO queue_entries
             (execution_id, tenant, lane, state, priority, turn, available_at, losses, attempts_max)
         VALUES (:id, :tenant, :lane, :state, :priority, :turn, :available_at, 0, :attempts_max)",
    )?
    .execute(named_params! {
        ":id": id, ":tenant": tenant, ":lane": lane, ":state": state.number(),
        ":priority": queue.priority, ":turn": turn,
        ":available_at": queue.available_at.0, ":attempts_max": queue.attempts_max.max(1),
    })?;
    db.prepare_cached(
        "INSERT INTO queue_tenants (tenant, served) VALUES (:tenant, 0) ON CONFLICT (tenant) DO NOTHING",
    )?
    .execute(named_params! {":tenant": tenant})?;
    Ok(())
}

/// Puts an execution that is PAUSED, and was in no queue, into the queue.
pub(super) fn enqueue_again(db: &Db, execution: &JobExecution, now: Timestamp) -> Outcome<()> {
    let JobExecution { id, tenant, instance, job, partition, .. } = execution;
    let lane = lane_of(db, tenant, instance, job, partition.is_some())?;
    let queue = Enqueue::at_once(now);
    put_entry(db, tenant.as_str(), stored_id(*id), lane, &queue, QueueState::Waiting, stored_id(*id))
}

/// The lane of an execution; it is created with its first execution.
pub(super) fn lane_of(
    db: &Db,
    tenant: &TenantId,
    instance: &InstanceCode,
    job: &Job,
    is_part: bool,
) -> Outcome<i64> {
    // A part uses the place of its whole, so the limit does not apply to it.
    let limit = job.concurrency.filter(|_| !is_part);
    let instance = if limit.is_some() { instance.as_str() } else { "" };
    let lane = db
        .prepare_cached(
            "INSERT INTO queue_lanes (tenant, type, job, instance, running_max)
             VALUES (:tenant, :type, :job, :instance, :running_max)
             ON CONFLICT (tenant, type, job, instance) DO UPDATE SET running_max = excluded.running_max
             RETURNING id",
        )?
        .query_row(
            named_params! {
                ":tenant": tenant.as_str(), ":type": job.job_type, ":job": job.name.as_str(),
                ":instance": instance, ":running_max": limit,
            },
            |row| row.get(0),
        )?;
    Ok(lane)
}
