//! One execution is dealt with by itself, so that its damage does not hold up the others.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rusqlite::{Connection as Db, named_params};
use stepbox_batch::actor::Actor;
use stepbox_batch::audit::Deed;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::event::EventKind;
use stepbox_batch::execution::{Fate, Rescued};

use super::trouble::{Outcome, Trouble};
use super::{audit, outbox, queue};
use crate::record::Row;
use crate::record::event::NewEvent;

/// Works on one execution in a savepoint of its own. If the work fails because of this execution alone, the work is
/// rolled back and the reason is returned.
pub(super) fn attempt<T>(db: &Db, work: impl FnOnce() -> Outcome<T>) -> Outcome<Result<T, String>> {
    db.prepare_cached("SAVEPOINT execution")?.execute([])?;
    let outcome = catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(Trouble::Defect));
    let outcome = match outcome {
        Ok(done) => Ok(done),
        Err(trouble) if trouble.is_of_one_row() => {
            db.prepare_cached("ROLLBACK TO execution")?.execute([])?;
            Err(trouble.reason())
        }
        // The whole request is rolled back.
        Err(trouble) => return Err(trouble),
    };
    db.prepare_cached("RELEASE execution")?.execute([])?;
    Ok(outcome)
}

/// Sets an execution aside: from now on no worker holds it or takes it, and the watchdog does not rescue it.
pub(super) fn set_aside(
    db: &Db,
    tenant: &str,
    id: i64,
    reason: &str,
    now: Timestamp,
) -> Outcome<Option<Rescued>> {
    let rescued = attempt(db, || {
        db.prepare_cached(
            "UPDATE job_executions
             SET set_aside = :reason, updated_at = :now, lease_expires_at = NULL, lease_token = lease_token + 1
             WHERE tenant = :tenant AND id = :id AND ended_at IS NULL",
        )?
        .execute(named_params! {":reason": reason, ":now": now.0, ":tenant": tenant, ":id": id})?;
        queue::mark_claimed(db, id)?;
        // If the row is so damaged that only its name can be read, there is no event.
        let row = Row(format!("execution {id}"));
        let (Ok(owner), Ok(known)) = (row.name("tenant", tenant.to_owned()), row.id("id", id)) else {
            return Ok(None);
        };
        audit::append(db, &owner, &Deed::execution_set_aside(known, reason), &Actor::stepbox(now))?;
        outbox::append(db, tenant, NewEvent::of(known, EventKind::SetAside, now))?;
        let reason = Some(reason.to_owned());
        Ok(Some(Rescued { tenant: owner, id: known, fate: Fate::SetAside, reason }))
    })?;
    // A row that cannot even be set aside is tried again, and does not hold up the others.
    Ok(rescued.unwrap_or(None))
}

pub(super) fn ask_to_stop(db: &Db, tenant: &str, id: i64, now: Timestamp) -> Outcome<()> {
    db.prepare_cached(
        "UPDATE job_executions SET stop_requested_at = coalesce(stop_requested_at, :now), updated_at = :now
         WHERE tenant = :tenant AND id = :id AND ended_at IS NULL",
    )?
    .execute(named_params! {":now": now.0, ":tenant": tenant, ":id": id})?;
    Ok(())
}
