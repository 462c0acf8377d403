//! How entries get into the queue: each into the lane of the executions that begin under the same conditions.

use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::JobExecution;
use stepbox_batch::execution::queue::{Enqueue, QueueState};
use stepbox_batch::job::Job;
use stepbox_batch::name::{InstanceCode, TenantId};

use super::connection::Db;
use super::trouble::Outcome;
use super::value::{Value, named};
use crate::record::stored_id;

/// Puts an execution that is PAUSED, and was in no queue, into the queue.
pub(super) async fn enqueue_again(db: &Db, execution: &JobExecution, now: Timestamp) -> Outcome<()> {
    let JobExecution { id, tenant, instance, job, partition, .. } = execution;
    let lane = Lane::new(tenant, instance, job, partition.is_some());
    lane.make(db).await?;
    let queue = Enqueue::at_once(now);
    let mut values = Vec::from(named! {
        "tenant": tenant.as_str(), "id": stored_id(*id), "state": i64::from(QueueState::Waiting.number()),
        "priority": i64::from(queue.priority), "available_at": queue.available_at.0,
        "attempts_max": i64::from(queue.attempts_max),
    });
    values.extend(lane.values());
    let sql = "INSERT INTO queue_entries
                   (tenant, execution_id, lane, state, priority, turn, available_at, losses, attempts_max)
               SELECT :tenant, :id, id, :state, :priority, :id, :available_at, 0, :attempts_max FROM queue_lanes
               WHERE tenant = :tenant AND type = :lane_type AND job = :lane_job AND instance = :lane_instance
                 AND running_max IS NOT DISTINCT FROM CAST(:running_max AS BIGINT)";
    db.execute(sql, &values).await.map(drop)
}

/// Executions that begin under the same conditions.
#[derive(Debug)]
pub(super) struct Lane<'a> {
    tenant: &'a TenantId,
    instance: &'a InstanceCode,
    job: &'a Job,
    /// How many executions of the instance may run at a time.
    limit: Option<u32>,
}

impl<'a> Lane<'a> {
    pub(super) fn new(tenant: &'a TenantId, instance: &'a InstanceCode, job: &'a Job, is_part: bool) -> Self {
        // A part uses the place of its whole, so the limit does not apply to it.
        Self { tenant, instance, job, limit: job.concurrency.filter(|_| !is_part) }
    }

    pub(super) fn values(&self) -> [(&'static str, Value<'a>); 4] {
        named! {
            "lane_type": &self.job.job_type,
            "lane_job": self.job.name.as_str(),
            "lane_instance": if self.limit.is_some() { self.instance.as_str() } else { "" },
            "running_max": self.limit.map(i64::from),
        }
    }

    /// Makes the lane, or changes its limit.
    pub(super) async fn make(&self, db: &Db) -> Outcome<()> {
        let mut values = vec![("tenant", self.tenant.as_str().into())];
        values.extend(self.values());
        let lane = "INSERT INTO queue_lanes (tenant, type, job, instance, running_max)
                    VALUES (:tenant, :lane_type, :lane_job, :lane_instance, :running_max)
                    ON CONFLICT (tenant, type, job, instance) DO UPDATE SET running_max = excluded.running_max";
        let tenant = "INSERT INTO queue_tenants (tenant, served) VALUES (:tenant, 0) ON CONFLICT DO NOTHING";
        for sql in [tenant, lane] {
            db.execute(sql, &values).await?;
        }
        Ok(())
    }
}
