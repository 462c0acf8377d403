//! One execution is dealt with by itself, so that its damage does not hold up the others.

use stepbox_batch::actor::Actor;
use stepbox_batch::audit::Deed;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::event::EventKind;
use stepbox_batch::execution::{Fate, Rescued};

use super::claim::Damaged;
use super::connection::Db;
use super::trouble::Outcome;
use super::value::named;
use super::{audit, outbox, queue};
use crate::record::Row;
use crate::record::event::NewEvent;

/// Works on one execution in a savepoint of its own. If the work fails because of this execution alone, the work is
/// rolled back and the reason is returned.
pub(super) async fn attempt<T>(
    db: &Db,
    work: impl Future<Output = Outcome<T>>,
) -> Outcome<Result<T, String>> {
    db.run("SAVEPOINT execution").await?;
    match work.await {
        Ok(done) => {
            db.run("RELEASE SAVEPOINT execution").await?;
            Ok(Ok(done))
        }
        Err(trouble) if trouble.is_of_one_row() => {
            db.run("ROLLBACK TO SAVEPOINT execution").await?;
            Ok(Err(trouble.reason()))
        }
        Err(trouble) => Err(trouble),
    }
}

/// Sets an execution aside: from now on no worker holds it or takes it, and the watchdog does not rescue it.
pub(super) async fn set_aside(
    db: &Db,
    tenant: &str,
    id: i64,
    reason: &str,
    now: Timestamp,
) -> Outcome<Option<Rescued>> {
    let rescued = attempt(db, async {
        let sql = "UPDATE job_executions
                   SET set_aside = :reason, updated_at = :now, lease_expires_at = NULL, lease_token = lease_token + 1
                   WHERE tenant = :tenant AND id = :id AND ended_at IS NULL";
        let values = named! {"reason": reason, "now": now.0, "tenant": tenant, "id": id};
        db.execute(sql, &values).await?;
        queue::mark_claimed(db, tenant, id).await?;
        // If the row is so damaged that only its name can be read, there is no event.
        let row = Row(format!("execution {id}"));
        let (Ok(owner), Ok(known)) = (row.name("tenant", tenant.to_owned()), row.id("id", id)) else {
            return Ok(None);
        };
        audit::append(db, &owner, &Deed::execution_set_aside(known, reason), &Actor::stepbox(now)).await?;
        outbox::append(db, tenant, NewEvent::of(known, EventKind::SetAside, now)).await?;
        let reason = Some(reason.to_owned());
        Ok(Some(Rescued { tenant: owner, id: known, fate: Fate::SetAside, reason }))
    });
    // A row that cannot even be set aside is tried again, and does not hold up the others.
    Ok(rescued.await?.unwrap_or(None))
}

/// Sets an execution aside that was just claimed and cannot be read, unless another worker has it by now. In a
/// transaction.
pub(super) async fn set_claimed_aside(
    db: &Db,
    damaged: &Damaged,
    now: Timestamp,
) -> Outcome<Option<Rescued>> {
    let Damaged { tenant, id, token, reason } = damaged;
    let sql = "SELECT id FROM job_executions
               WHERE tenant = :tenant AND id = :id AND lease_token = :token FOR NO KEY UPDATE";
    match db.row(sql, &named! {"tenant": tenant, "id": *id, "token": *token}).await? {
        Some(_) => set_aside(db, tenant, *id, reason, now).await,
        None => Ok(None),
    }
}

pub(super) async fn ask_to_stop(db: &Db, tenant: &str, id: i64, now: Timestamp) -> Outcome<()> {
    let sql = "UPDATE job_executions
               SET stop_requested_at = coalesce(stop_requested_at, :now), updated_at = :now
               WHERE tenant = :tenant AND id = :id AND ended_at IS NULL";
    db.execute(sql, &named! {"now": now.0, "tenant": tenant, "id": id}).await.map(drop)
}
