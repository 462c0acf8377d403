//! Keys under which executions were asked for. They are written with their execution, in one transaction.

use stepbox_batch::clock::Timestamp;
use stepbox_batch::name::JobExecutionId;

use super::connection::Db;
use super::trouble::Outcome;
use super::value::named;
use crate::record::idempotency::KeyRecord;
use crate::record::stored_id;

pub(super) const FIRST: &str = "SELECT request, execution_id FROM idempotency_keys
     WHERE tenant = :tenant AND key = :key AND created_at > :forgotten_at";

/// The execution that was asked for under the key; `None` for a new key. Refuses another request with the same key.
pub(super) async fn first(db: &Db, key: &KeyRecord) -> Outcome<Option<JobExecutionId>> {
    let values = named! {"tenant": &key.tenant, "key": &key.key, "forgotten_at": key.forgotten_at};
    db.row(FIRST, &values).await?.map(|row| key.first(&row)).transpose()
}

/// Remembers the key of an execution that was just accepted.
pub(super) async fn keep(db: &Db, key: &KeyRecord, id: JobExecutionId) -> Outcome<()> {
    let sql = "INSERT INTO idempotency_keys (tenant, key, request, execution_id, created_at)
               VALUES (:tenant, :key, :request, :id, :created_at)
               ON CONFLICT (tenant, key) DO UPDATE
               SET request = excluded.request, execution_id = excluded.execution_id,
                   created_at = excluded.created_at";
    let values = named! {
        "tenant": &key.tenant, "key": &key.key, "request": &key.request, "id": stored_id(id),
        "created_at": key.created_at,
    };
    db.execute(sql, &values).await.map(drop)
}

/// How many keys are deleted in one transaction.
pub(super) const DROPPED_TOGETHER: u32 = 10_000;

/// Deletes the oldest keys from before that moment. For all tenants, on purpose: this is housekeeping.
pub(super) async fn drop_some(db: &Db, before: Timestamp) -> Outcome<u64> {
    let sql = "DELETE FROM idempotency_keys WHERE (tenant, key) IN (
                   SELECT tenant, key FROM idempotency_keys WHERE created_at < :before
                   ORDER BY created_at LIMIT :limit FOR UPDATE SKIP LOCKED)";
    db.execute(sql, &named! {"before": before.0, "limit": i64::from(DROPPED_TOGETHER)}).await
}
