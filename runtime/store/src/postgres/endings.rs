//! How an execution is ended by other processes than its worker: by a stop, or because a person abandons it.
//! `rescue.rs` handles the loss of a worker.

use stepbox_batch::actor::Actor;
use stepbox_batch::audit::Deed;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::StopRequest;
use stepbox_batch::execution::ending::Ending;
use stepbox_batch::execution::event::EventKind;
use stepbox_batch::execution::part::PartOfEnded;
use stepbox_batch::execution::status::{BatchStatus, ExitStatus};
use stepbox_batch::name::{JobExecutionId, TenantId};

use super::connection::Db;
use super::outbox::INSERT;
use super::trouble::Outcome;
use super::value::named;
use super::{aside, audit, executions};
use crate::record::columns::Columns;
use crate::record::failure::failure as stored_failure;
use crate::record::stored_id;

/// Records the request. Ends the execution here if no worker holds it.
pub(super) async fn request_stop(
    db: &Db,
    tenant: &TenantId,
    id: JobExecutionId,
    by: &Actor,
) -> Outcome<StopRequest> {
    let (known, now) = (stored_id(id), by.at);
    let stop = executions::standing(db, tenant.as_str(), known).await?.stop(now)?;
    audit::append(db, tenant, &Deed::execution_stop_requested(id), by).await?;
    let sql = "UPDATE job_executions
               SET stop_requested_at = coalesce(stop_requested_at, :now), updated_at = :now
               WHERE tenant = :tenant AND id = :id AND ended_at IS NULL";
    db.execute(sql, &named! {"now": now.0, "tenant": tenant.as_str(), "id": known}).await?;
    if stop == StopRequest::StoppedAtOnce {
        end(db, tenant.as_str(), known, &Ending::stopped(now)).await?;
    }
    Ok(stop)
}

/// Abandons an execution. An execution that has ended before keeps its exit status and its end time.
pub(super) async fn abandon(db: &Db, tenant: &TenantId, id: JobExecutionId, by: &Actor) -> Outcome<()> {
    let (known, now) = (stored_id(id), by.at);
    let standing = executions::standing(db, tenant.as_str(), known).await?;
    standing.abandon(now)?;
    audit::append(db, tenant, &Deed::execution_abandoned(id), by).await?;
    if standing.status.has_ended() {
        let sql = format!(
            "WITH ended AS (
                 UPDATE job_executions SET status = :status, updated_at = :now
                 WHERE tenant = :tenant AND id = :id RETURNING id)
             {INSERT} SELECT :tenant, id, :now, :kind, :status, NULL FROM ended"
        );
        let values = named! {
            "status": i64::from(BatchStatus::Abandoned.number()), "now": now.0,
            "kind": i64::from(EventKind::Ended.number()), "tenant": tenant.as_str(), "id": known,
        };
        db.execute(&sql, &values).await?;
        return stop_partitions(db, tenant.as_str(), known, now).await;
    }
    end(db, tenant.as_str(), known, &Ending::abandoned(now)).await
}

/// Ends an execution and those of its steps that have not ended, takes its lease from a worker that still believes
/// to hold it, and takes it out of the queue.
pub(super) async fn end(db: &Db, tenant: &str, id: i64, ending: &Ending) -> Outcome<()> {
    end_steps(db, tenant, id, ending).await?;
    let execution = format!(
        "WITH ended AS (
             UPDATE job_executions
             SET status = :status, exit_code = :exit_code, exit_description = :exit_description,
                 ended_at = :now, updated_at = :now, lease_expires_at = NULL, set_aside = NULL,
                 failures = {FAILURES}
             WHERE tenant = :tenant AND id = :id AND ended_at IS NULL RETURNING id)
         {INSERT} SELECT :tenant, id, :now, :kind, :status, NULL FROM ended"
    );
    put_ending(db, &execution, tenant, id, ending, EventKind::Ended).await?;
    let entry = "DELETE FROM queue_entries WHERE tenant = :tenant AND execution_id = :id";
    db.execute(entry, &named! {"tenant": tenant, "id": id}).await?;
    stop_partitions(db, tenant, id, ending.now).await
}

/// Ends the steps of an execution that have not ended.
pub(super) async fn end_steps(db: &Db, tenant: &str, id: i64, ending: &Ending) -> Outcome<()> {
    let steps = format!(
        "WITH ended AS (
             UPDATE step_executions
             SET status = :status, exit_code = :exit_code, exit_description = :exit_description,
                 ended_at = :now, updated_at = :now, failures = {FAILURES}
             WHERE tenant = :tenant AND execution_id = :id AND ended_at IS NULL RETURNING position)
         {INSERT} SELECT :tenant, :id, :now, :kind, :status, position FROM ended ORDER BY position"
    );
    put_ending(db, &steps, tenant, id, ending, EventKind::StepEnded).await
}

/// Appends a failure, if there is one: before the closing bracket of the stored array.
pub(super) const FAILURES: &str = "CASE WHEN CAST(:failure AS TEXT) IS NULL THEN failures
     WHEN failures = '[]' THEN '[' || :failure || ']'
     ELSE left(failures, -1) || ',' || :failure || ']' END";

/// Ends rows, and writes an event for each, in one statement.
async fn put_ending(
    db: &Db,
    sql: &str,
    tenant: &str,
    id: i64,
    ending: &Ending,
    kind: EventKind,
) -> Outcome<()> {
    let Ending { status, exit_status: ExitStatus { code, description }, failure, now } = ending;
    let failure = failure.as_ref().map(stored_failure);
    let values = named! {
        "status": i64::from(status.number()), "exit_code": code, "exit_description": description,
        "now": now.0, "kind": i64::from(kind.number()), "failure": &failure, "tenant": tenant, "id": id,
    };
    db.execute(sql, &values).await.map(drop)
}

/// Ends or stops the open parts of an execution that has ended, or that ends after its last words. The parts are locked
/// in the order of their ids, as everywhere, and read only then.
pub(super) async fn stop_partitions(db: &Db, tenant: &str, of: i64, now: Timestamp) -> Outcome<()> {
    let sql = "SELECT id, lease_expires_at FROM job_executions
               WHERE tenant = :tenant AND partition_of = :of AND ended_at IS NULL ORDER BY id
               FOR NO KEY UPDATE";
    for part in db.rows(sql, &named! {"tenant": tenant, "of": of}).await? {
        let id = part.number("id")?;
        let lease_expires_at = part.maybe_number("lease_expires_at")?.map(Timestamp);
        let stopped = aside::attempt(db, async {
            aside::ask_to_stop(db, tenant, id, now).await?;
            match PartOfEnded::new(lease_expires_at, now) {
                PartOfEnded::Ends => Box::pin(end(db, tenant, id, &PartOfEnded::ending(now))).await,
                PartOfEnded::IsAsked => Ok(()),
            }
        });
        // A damaged part does not prevent the end of the whole or of the other parts.
        if let Err(reason) = stopped.await? {
            aside::set_aside(db, tenant, id, &reason, now).await?;
        }
    }
    Ok(())
}
