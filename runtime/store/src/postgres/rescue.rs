//! Executions of lost workers: they are queued again until they have lost too many workers, and end then. For all
//! tenants, on purpose: the watchdog belongs to no tenant.
//!
//! Each execution is rescued in a transaction of its own, by its stored state at that moment: another process may
//! have ended it since it was listed. An execution that cannot be rescued is set aside, and does not hold up the
//! others.

use stepbox_batch::actor::Actor;
use stepbox_batch::audit::Deed;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::ending::Ending;
use stepbox_batch::execution::event::EventKind;
use stepbox_batch::execution::rescue::{self, Lost, Rescue};
use stepbox_batch::execution::status::BatchStatus;
use stepbox_batch::execution::{Fate, Rescued};
use stepbox_batch::name::TenantId;

use super::aside::{ask_to_stop, attempt, set_aside};
use super::connection::Db;
use super::endings::{FAILURES, end, end_steps, stop_partitions};
use super::trouble::Outcome;
use super::value::named;
use super::{audit, outbox, queue};
use crate::record::columns::Columns;
use crate::record::event::NewEvent;
use crate::record::execution::not_found;
use crate::record::failure::failure;
use crate::record::lost::LostRecord;
use crate::record::{Row, job};

/// Executions whose lease has expired.
pub(super) const LOST: &str = "
    SELECT tenant, id, coalesce(worker, '') AS worker, partition_of IS NOT NULL AS is_part FROM job_executions
    WHERE is_running AND lease_expires_at <= :now AND set_aside IS NULL
    ORDER BY lease_expires_at, id";

/// Open parts whose whole has ended or was deleted.
pub(super) const LEFT_BEHIND: &str = "
    SELECT p.tenant, p.id, coalesce(p.worker, '') AS worker, TRUE AS is_part FROM job_executions p
    WHERE p.partition_of IS NOT NULL AND p.ended_at IS NULL AND p.set_aside IS NULL
      AND (SELECT w.ended_at IS NULL FROM job_executions w
           WHERE w.tenant = p.tenant AND w.id = p.partition_of) IS NOT TRUE
      AND (p.lease_expires_at IS NULL OR p.lease_expires_at > :now AND p.stop_requested_at IS NULL)
    ORDER BY p.id";

/// The executions that may be lost, each with the worker that had it last: wholes, then parts.
pub(super) async fn lost(db: &Db, now: Timestamp) -> Outcome<[Vec<(String, i64, String)>; 2]> {
    let mut lost = [Vec::new(), Vec::new()];
    for sql in [LOST, LEFT_BEHIND] {
        for row in db.rows(sql, &named! {"now": now.0}).await? {
            let found = (row.text("tenant")?, row.number("id")?, row.text("worker")?);
            lost[usize::from(row.flag("is_part")?)].push(found);
        }
    }
    Ok(lost)
}

/// Rescues one execution, if it is still lost, in a transaction.
///
/// Its row is locked before anything else is read. A process that ends its whole locks the row as well, so either this
/// call finds the whole ended, or that process finds what this call did. A row that another process has locked is left
/// to that process.
pub(super) async fn rescue(db: &Db, tenant: &str, id: i64, now: Timestamp) -> Outcome<Option<Rescued>> {
    let sql = "SELECT id FROM job_executions
               WHERE tenant = :tenant AND id = :id AND ended_at IS NULL AND set_aside IS NULL
               FOR NO KEY UPDATE SKIP LOCKED";
    if db.row(sql, &named! {"tenant": tenant, "id": id}).await?.is_none() {
        return Ok(None);
    }
    let rescued = attempt(db, async {
        let lost = look(db, tenant, id).await?;
        act(db, tenant, id, lost, now).await
    });
    match rescued.await? {
        Ok(rescued) => Ok(rescued),
        Err(reason) => set_aside(db, tenant, id, &reason, now).await,
    }
}

async fn look(db: &Db, tenant: &str, id: i64) -> Outcome<Lost> {
    let sql = "SELECT e.status, coalesce(e.worker, '') AS worker, e.lease_expires_at,
                      coalesce(e.heartbeat_at, e.lease_expires_at, e.updated_at) AS heartbeat_at,
                      e.stop_requested_at IS NOT NULL AS is_stopping,
                      e.partition_of IS NOT NULL AND NOT EXISTS (
                          SELECT FROM job_executions w WHERE w.tenant = e.tenant AND w.id = e.partition_of
                            AND w.ended_at IS NULL) AS is_left_behind,
                      q.losses, q.attempts_max
               FROM job_executions e
               LEFT JOIN LATERAL (
                   SELECT losses, attempts_max FROM queue_entries
                   WHERE tenant = e.tenant AND execution_id = e.id OFFSET 0) q ON TRUE
               WHERE e.tenant = :tenant AND e.id = :id";
    let row = db.row(sql, &named! {"tenant": tenant, "id": id}).await?;
    let row = row.ok_or_else(|| not_found(id))?;
    Ok(LostRecord::read(id, &row)?.into_lost()?)
}

async fn act(db: &Db, tenant: &str, id: i64, lost: Lost, now: Timestamp) -> Outcome<Option<Rescued>> {
    let (known, worker) = (lost.id, lost.worker.clone());
    let rescue = lost.rescue(now)?;
    let owner: TenantId = Row(format!("execution {id}")).name("tenant", tenant.to_owned())?;
    let fate = match rescue {
        Rescue::Nothing => return Ok(None),
        Rescue::AskToStop => return ask_to_stop(db, tenant, id, now).await.map(|()| None),
        Rescue::EndWithWhole(ending) => {
            end(db, tenant, id, &ending).await?;
            return Ok(Some(Rescued { tenant: owner, id: known, fate: Fate::Stopped, reason: None }));
        }
        Rescue::End(loss, ending) if loss.allows_last_words && has_last_words(db, tenant, id).await? => {
            let_speak(db, tenant, id, &ending).await?;
            queue::requeue(db, tenant, id, &loss, now).await?;
            Fate::Requeued(now)
        }
        Rescue::End(loss, ending) => {
            end(db, tenant, id, &ending).await?;
            loss.fate
        }
        Rescue::Rest(loss) => {
            rest(db, tenant, id, now).await?;
            queue::requeue(db, tenant, id, &loss, now).await?;
            loss.fate
        }
    };
    let deed = Deed::execution_lost(known, &worker, fate);
    audit::append(db, &owner, &deed, &Actor::stepbox(now)).await?;
    if matches!(fate, Fate::Requeued(_)) {
        outbox::append(db, tenant, NewEvent::of(known, EventKind::Rescued, now)).await?;
    }
    Ok(Some(Rescued { tenant: owner, id: known, fate, reason: None }))
}

/// Pauses an execution at its last checkpoint. Its token grows, so that a worker that still believes to hold the
/// lease is fenced at once. An execution that was claimed and not begun waits as before,
/// unless a pause was requested.
async fn rest(db: &Db, tenant: &str, id: i64, now: Timestamp) -> Outcome<()> {
    let execution = "
        UPDATE job_executions
        SET status = CASE WHEN status = :starting AND pause_requested_at IS NULL THEN status ELSE :paused END,
            updated_at = :now,
            worker = CASE status WHEN :starting THEN NULL ELSE worker END,
            lease_expires_at = NULL, lease_token = lease_token + 1
        WHERE tenant = :tenant AND id = :id AND ended_at IS NULL";
    let steps = "
        UPDATE step_executions
        SET status = CASE status WHEN :starting THEN status ELSE :paused END, updated_at = :now
        WHERE tenant = :tenant AND execution_id = :id AND ended_at IS NULL";
    let values = named! {
        "starting": i64::from(BatchStatus::Starting.number()), "paused": i64::from(BatchStatus::Paused.number()),
        "now": now.0, "tenant": tenant, "id": id,
    };
    for sql in [execution, steps] {
        db.execute(sql, &values).await?;
    }
    Ok(())
}

/// Whether the job has a step with `always` that has not begun. A job that cannot be read counts as having no such
/// step.
async fn has_last_words(db: &Db, tenant: &str, id: i64) -> Outcome<bool> {
    let sql = "SELECT job FROM job_executions WHERE tenant = :tenant AND id = :id AND partition_of IS NULL";
    let Some(found) = db.row(sql, &named! {"tenant": tenant, "id": id}).await? else { return Ok(false) };
    let row = Row(format!("execution {id}"));
    let Ok(job) = job::decode(&row, "job", &found.text("job")?) else { return Ok(false) };
    let sql = "SELECT position FROM step_executions
               WHERE tenant = :tenant AND execution_id = :id AND status <> :starting";
    let starting = i64::from(BatchStatus::Starting.number());
    let mut begun = Vec::new();
    for step in db.rows(sql, &named! {"tenant": tenant, "id": id, "starting": starting}).await? {
        begun.push(row.count("position", step.number("position")?)?);
    }
    Ok(rescue::has_last_words(&job, &begun))
}

/// Ends the open steps, and pauses the execution: the next worker runs the steps with `always`, and ends the
/// execution.
async fn let_speak(db: &Db, tenant: &str, id: i64, ending: &Ending) -> Outcome<()> {
    end_steps(db, tenant, id, ending).await?;
    rest(db, tenant, id, ending.now).await?;
    let sql = format!(
        "UPDATE job_executions SET failures = {FAILURES}
         WHERE tenant = :tenant AND id = :id AND ended_at IS NULL"
    );
    db.execute(&sql, &named! {"failure": &ending.failure.as_ref().map(failure), "tenant": tenant, "id": id})
        .await?;
    stop_partitions(db, tenant, id, ending.now).await
}
