//! Keys under which executions were asked for. They are written with their execution, in one transaction.

use rusqlite::{Connection as Db, named_params};
use stepbox_batch::clock::Timestamp;
use stepbox_batch::name::JobExecutionId;

use super::row;
use super::trouble::Outcome;
use crate::record::idempotency::KeyRecord;
use crate::record::stored_id;

pub(super) const FIRST: &str = "SELECT request, execution_id FROM idempotency_keys
     WHERE tenant = :tenant AND key = :key AND created_at > :forgotten_at";

/// The execution that was asked for under the key; `None` for a new key. Refuses another request with the same key.
pub(super) fn first(db: &Db, key: &KeyRecord) -> Outcome<Option<JobExecutionId>> {
    let mut statement = db.prepare_cached(FIRST)?;
    let rows = statement.query(named_params! {
        ":tenant": key.tenant, ":key": key.key, ":forgotten_at": key.forgotten_at,
    })?;
    row::first(rows, |row| key.first(row))
}

/// Remembers the key of an execution that was just accepted.
pub(super) fn keep(db: &Db, key: &KeyRecord, id: JobExecutionId) -> Outcome<()> {
    db.prepare_cached(
        "INSERT INTO idempotency_keys (tenant, key, request, execution_id, created_at)
         VALUES (:tenant, :key, :request, :id, :created_at)
         ON CONFLICT (tenant, key) DO UPDATE
         SET request = excluded.request, execution_id = excluded.execution_id, created_at = excluded.created_at",
    )?
    .execute(named_params! {
        ":tenant": key.tenant, ":key": key.key, ":request": key.request, ":id": stored_id(id),
        ":created_at": key.created_at,
    })?;
    Ok(())
}

/// Whether a key is from before that moment. For all tenants, on purpose: this is housekeeping.
pub(super) fn has_old_ones(db: &Db, before: Timestamp) -> Outcome<bool> {
    let mut statement =
        db.prepare_cached("SELECT 1 FROM idempotency_keys WHERE created_at < :before LIMIT 1")?;
    Ok(statement.exists(named_params! {":before": before.0})?)
}

/// How many keys are deleted in one transaction.
pub(super) const DROPPED_TOGETHER: u32 = 10_000;

/// Deletes the oldest keys from before that moment.
pub(super) fn drop_some(db: &Db, before: Timestamp) -> Outcome<u64> {
    let gone = db
        .prepare_cached(
            "DELETE FROM idempotency_keys WHERE (tenant, key) IN (
                 SELECT tenant, key FROM idempotency_keys WHERE created_at < :before
                 ORDER BY created_at LIMIT :limit)",
        )?
        .execute(named_params! {":before": before.0, ":limit": DROPPED_TOGETHER})?;
    Ok(gone as u64)
}
