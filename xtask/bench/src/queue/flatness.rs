//! Whether a claim takes longer in a longer queue.

use std::time::Instant;

use serde::Serialize;
use stepbox::SystemClock;
use stepbox::batch::actor::Actor;
use stepbox::batch::clock::{Clock, Timestamp};
use stepbox::batch::execution::queue::{Enqueue, QueueClaim, QueueFilter};
use stepbox::batch::execution::status::BatchStatus;
use stepbox::batch::execution::{Claim, ExecutionFilter, JobExecution, Lease, NewJobExecution, Save};
use stepbox::batch::name::TenantId;
use stepbox::batch::ports::JobRepository;

use crate::Result;
use crate::stores::Store;

/// How many claims are measured.
const CLAIMS: usize = 200;

#[derive(Debug, Serialize)]
pub(crate) struct Claims {
    queued: u32,
    /// The median of a claim of one entry.
    pub(crate) milliseconds: f64,
}

impl Claims {
    pub(crate) fn print(&self) {
        println!(
            "  a claim among {:>9} entries   {:.3} ms (median of {CLAIMS})",
            self.queued, self.milliseconds
        );
    }
}

/// Brings the queue to a length and measures claims there. Each claim is completed, so that the length stays.
pub(crate) async fn measure(store: &Store, length: u32) -> Result<Claims> {
    let repository = &store.repository;
    fill(store, length).await?;
    let mut milliseconds = Vec::new();
    for _ in 0..CLAIMS {
        let wanted = QueueClaim {
            claim: Claim { worker: "bench".to_owned(), now: now(), lease_ms: 60_000 },
            tenants: vec![(TenantId::default(), 1000)],
            filter: QueueFilter::default(),
            limit: 1,
        };
        let began_at = Instant::now();
        let claimed = repository.claim_next(&wanted).await?;
        milliseconds.push(began_at.elapsed().as_secs_f64() * 1e3);
        for claimed in claimed {
            complete(repository.as_ref(), claimed.into_parts()).await?;
        }
    }
    milliseconds.sort_by(f64::total_cmp);
    Ok(Claims { queued: length, milliseconds: milliseconds[milliseconds.len() / 2] })
}

/// Publishes one entry and lets the database copy it until there are enough.
async fn fill(store: &Store, length: u32) -> Result<()> {
    let newest = ExecutionFilter { limit: 1, ..ExecutionFilter::default() };
    let newest = store.repository.executions(&TenantId::default(), &newest).await?;
    let id = newest.first().ok_or("nothing was published before")?.id;
    let template = store.repository.execution(&TenantId::default(), id).await?;
    let JobExecution { tenant, instance, job, parameters, .. } = template.ok_or("it has gone")?;
    let new = NewJobExecution {
        tenant,
        instance,
        job,
        parameters,
        by: Actor::new(Some("bench"), now()),
        restart_of: None,
        context: Default::default(),
        steps: Vec::new(),
        partition: None,
        queue: Some(Enqueue::at_once(now())),
        idempotency: None,
        changes: Vec::new(),
    };
    let id = store.repository.create_execution(&new, None).await?.0.id.0;
    let sql = format!(
        "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {length})
         INSERT INTO job_executions (tenant, instance, status, stoppable, created_at, updated_at, attempt,
             lease_token, user_name, exit_code, exit_description, failures, context, parameters, parameters_key, job)
         SELECT tenant, instance, status, stoppable, created_at, updated_at, attempt,
             lease_token, user_name, exit_code, exit_description, failures, context, parameters, parameters_key, job
         FROM job_executions, numbers WHERE id = {id};
         INSERT INTO queue_entries (execution_id, tenant, lane, state, priority, turn, available_at, losses, attempts_max)
         SELECT e.id, e.tenant, q.lane, 0, 0, e.id, q.available_at, 0, 5
         FROM job_executions e, queue_entries q WHERE q.execution_id = {id} AND e.id > {id};"
    );
    store.execute(&sql).await
}

async fn complete(
    repository: &dyn JobRepository,
    (mut execution, lease): (JobExecution, Lease),
) -> Result<()> {
    for status in [BatchStatus::Started, BatchStatus::Completed] {
        execution.status = status;
        execution.ended_at = status.has_ended().then(now);
        let is_last = status.has_ended();
        repository.save(&lease, Save { execution: Some(&execution), is_last, ..Save::default() }).await?;
    }
    Ok(())
}

fn now() -> Timestamp {
    SystemClock.now()
}
