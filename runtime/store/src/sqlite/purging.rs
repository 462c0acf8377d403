//! Deletes executions that have ended, and gives their space back.

use rusqlite::types::Value;
use rusqlite::{Connection as Db, named_params, params_from_iter};
use stepbox_batch::actor::Actor;
use stepbox_batch::audit::Deed;
use stepbox_batch::execution::{ExecutionFilter, Purgeable};
use stepbox_batch::name::{JobExecutionId, TenantId};

use super::audit;
use super::executions::{conditions, limit};
use super::trouble::{Outcome, legible};
use crate::numbers::{completed, ended};
use crate::record::Row;

/// The executions that a purge would delete, oldest first.
pub(super) fn purgeable(db: &Db, tenant: &TenantId, filter: &ExecutionFilter) -> Outcome<Vec<Purgeable>> {
    let (sql, values) = purge_statement(tenant, filter);
    let ids: Vec<i64> = db
        .prepare_cached(&sql)?
        .query_map(params_from_iter(values), |row| row.get("id"))?
        .collect::<Result<_, _>>()?;
    ids.into_iter().map(|id| with_partitions(db, id)).collect()
}

fn with_partitions(db: &Db, id: i64) -> Outcome<Purgeable> {
    let row = Row(format!("execution {id}"));
    let mut parts = db.prepare_cached(
        "SELECT id FROM job_executions INDEXED BY job_executions_by_partition WHERE partition_of = :of",
    )?;
    let parts = parts.query_map(named_params! {":of": id}, |row| row.get(0))?;
    let partitions = parts.map(|part| Ok(row.id("id", part?)?)).collect::<Outcome<_>>()?;
    Ok(Purgeable { id: row.id("id", id)?, partitions })
}

/// Finds the executions that a purge deletes. The latest success of an instance is kept as long as the instance
/// exists, so only successes that a later one follows are deleted.
pub(super) fn purge_statement(tenant: &TenantId, filter: &ExecutionFilter) -> (String, Vec<Value>) {
    let (source, conditions, values) = conditions(tenant, filter);
    let sql = format!(
        "SELECT e.id, e.instance, e.status FROM {source} WHERE {conditions} AND e.status IN ({ended})
           AND (e.status <> {completed}
                OR NOT EXISTS (SELECT 1 FROM job_instances i
                               WHERE i.tenant = ?1 AND i.code = e.instance)
                OR EXISTS (SELECT 1 FROM job_executions l INDEXED BY job_executions_by_instance
                           WHERE l.tenant = ?1 AND l.instance = e.instance
                             AND l.id > e.id AND l.status = {completed} AND l.partition_of IS NULL))
         ORDER BY id LIMIT {}",
        limit(filter),
        ended = ended!(),
        completed = completed!(),
    );
    (sql, values)
}

/// Deletes executions that have ended and match, oldest first; their steps, warnings and parts are deleted with
/// them.
pub(super) fn purge(
    db: &Db,
    tenant: &TenantId,
    filter: &ExecutionFilter,
    by: &Actor,
) -> Outcome<Vec<JobExecutionId>> {
    let (sql, values) = purge_statement(tenant, filter);
    let found: Vec<(i64, String, i64)> = db
        .prepare_cached(&sql)?
        .query_map(params_from_iter(values), |row| {
            Ok((row.get("id")?, legible(row, "instance")?, row.get("status")?))
        })?
        .collect::<Result<_, _>>()?;
    let mut delete = db.prepare_cached("DELETE FROM job_executions WHERE tenant = :tenant AND id = :id")?;
    let mut purged = Vec::new();
    for (id, instance, status) in found {
        delete.execute(named_params! {":tenant": tenant.as_str(), ":id": id})?;
        let row = Row(format!("execution {id}"));
        let (id, status) = (row.id("id", id)?, row.status(status)?);
        audit::append(db, tenant, &Deed::execution_purged(id, &instance, status), by)?;
        purged.push(id);
    }
    Ok(purged)
}

/// Gives unused pages back to the disk, at most `pages_max`; returns whether some are left. A file that was created
/// without this setting keeps its pages.
pub(super) fn give_back_room(db: &Db, pages_max: u32) -> Outcome<bool> {
    const INCREMENTAL: u32 = 2;
    let mode: u32 = db.pragma_query_value(None, "auto_vacuum", |row| row.get(0))?;
    let free = |db: &Db| db.pragma_query_value(None, "freelist_count", |row| row.get::<_, u32>(0));
    if mode != INCREMENTAL || free(db)? == 0 {
        return Ok(false);
    }
    let mut vacuum = db.prepare(&format!("PRAGMA incremental_vacuum({pages_max})"))?;
    let mut freed = vacuum.query([])?;
    while freed.next()?.is_some() {}
    Ok(free(db)? > 0)
}
