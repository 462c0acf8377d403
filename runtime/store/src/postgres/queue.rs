//! The entries of the queue. `submit.rs` puts them in and chooses among them.

use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::queue::{QueueDepth, QueueEntry, QueueState};
use stepbox_batch::execution::rescue::Loss;
use stepbox_batch::name::TenantId;

use super::connection::Db;
use super::trouble::{Outcome, listed};
use super::value::named;
use crate::numbers::{claimed, delayed, paused, waiting};
use crate::record::Listed;
use crate::record::columns::Columns;
use crate::record::queue::{ENTRY_COLUMNS, depth, entry as read_entry};

/// Marks the entry of an execution as claimed, if there is an entry.
pub(super) async fn mark_claimed(db: &Db, tenant: &str, id: i64) -> Outcome<()> {
    let sql = concat!(
        "UPDATE queue_entries SET state = ",
        claimed!(),
        " WHERE tenant = :tenant AND execution_id = :id"
    );
    db.execute(sql, &named! {"tenant": tenant, "id": id}).await.map(drop)
}

/// Whether a claim would find an entry. For all tenants, on purpose: the answer is only a hint.
pub(super) async fn has_work(db: &Db, now: i64) -> Outcome<bool> {
    let row = db.row(HAS_WORK, &named! {"now": now}).await?;
    row.map_or(Ok(false), |row| row.flag("has_work"))
}

pub(super) const HAS_WORK: &str = concat!(
    "SELECT EXISTS (SELECT FROM queue_entries WHERE state = ",
    waiting!(),
    ") OR EXISTS (SELECT FROM queue_entries WHERE state = ",
    delayed!(),
    " AND available_at <= :now) AS has_work"
);

/// Makes an entry wait again after its worker was lost; after a pause request, until the execution is resumed.
pub(super) async fn requeue(db: &Db, tenant: &str, id: i64, loss: &Loss, now: Timestamp) -> Outcome<()> {
    let available_at = loss.available_at(now);
    let state = if available_at > now { QueueState::Delayed } else { QueueState::Waiting };
    let sql = concat!(
        "UPDATE queue_entries q
         SET state = CASE WHEN e.pause_requested_at IS NULL THEN CAST(:state AS BIGINT) ELSE ",
        paused!(),
        " END, losses = :losses, available_at = :available_at
         FROM job_executions e
         WHERE q.tenant = :tenant AND q.execution_id = :id AND e.tenant = :tenant AND e.id = :id"
    );
    let values = named! {
        "state": i64::from(state.number()), "losses": i64::from(loss.losses), "available_at": available_at.0,
        "tenant": tenant, "id": id,
    };
    db.execute(sql, &values).await.map(drop)
}

pub(super) fn entry_statement() -> String {
    format!("SELECT {ENTRY_COLUMNS} FROM queue_entries WHERE tenant = :tenant AND execution_id = :id")
}

pub(super) async fn entry(db: &Db, tenant: &TenantId, id: i64) -> Outcome<Option<QueueEntry>> {
    let found = db.row(&entry_statement(), &named! {"tenant": tenant.as_str(), "id": id}).await?;
    found.map(|row| read_entry(id, &row)).transpose()
}

/// How many entries are in the queue. For all tenants, on purpose: this is for the operator.
pub(super) async fn depths(db: &Db) -> Outcome<Vec<QueueDepth>> {
    let sql = "SELECT tenant, state, count(*) AS count, min(available_at) AS oldest FROM queue_entries q
               WHERE NOT EXISTS (SELECT FROM job_executions e WHERE e.set_aside IS NOT NULL
                                   AND e.tenant = q.tenant AND e.id = q.execution_id)
               GROUP BY tenant, state ORDER BY tenant, state";
    let mut depths = Vec::new();
    for row in db.rows(sql, &[]).await? {
        depths.extend(listed(Listed::named("queue", row.text("tenant")?), depth(&row))?.ok());
    }
    Ok(depths)
}

/// Delayed entries whose time has come are waiting from now on.
pub(super) const PROMOTE: &str = concat!(
    "UPDATE queue_entries SET state = ",
    waiting!(),
    " WHERE state = ",
    delayed!(),
    " AND available_at <= :now"
);
