//! Deletes executions that have ended.

use std::collections::BTreeMap;

use stepbox_batch::actor::Actor;
use stepbox_batch::audit::Deed;
use stepbox_batch::execution::{ExecutionFilter, Purgeable};
use stepbox_batch::name::{JobExecutionId, TenantId};
use tokio_postgres::Row as SqlRow;

use super::audit::limit_of;
use super::connection::Db;
use super::executions::conditions;
use super::trouble::Outcome;
use super::value::{Value, named};
use crate::numbers::completed;
use crate::record::Row;
use crate::record::audit::AuditRecord;
use crate::record::columns::Columns;

/// How many executions one statement deletes, so that each is short.
const PURGED_TOGETHER: usize = 500;

/// The statement that finds the executions to delete, oldest first. The latest success of an instance is kept as
/// long as the instance exists, so only successes that a later one follows are deleted.
pub(super) fn statement(conditions: &str) -> String {
    format!(
        "SELECT e.id, e.instance, e.status FROM job_executions e
         WHERE {conditions} AND e.ended_at IS NOT NULL
           AND (e.status <> {completed}
                OR NOT EXISTS (SELECT FROM job_instances i WHERE i.tenant = e.tenant AND i.code = e.instance)
                OR EXISTS (SELECT FROM job_executions l
                           WHERE l.tenant = e.tenant AND l.instance = e.instance AND l.id > e.id
                             AND l.status = {completed} AND l.partition_of IS NULL))
         ORDER BY e.id LIMIT :limit",
        completed = completed!(),
    )
}

async fn found(db: &Db, tenant: &TenantId, filter: &ExecutionFilter) -> Outcome<Vec<SqlRow>> {
    let (conditions, mut values) = conditions(tenant, filter);
    values.push(("limit", limit_of(filter.limit)));
    db.rows(&statement(&conditions), &values).await
}

/// The executions that a purge would delete.
pub(super) async fn purgeable(
    db: &Db,
    tenant: &TenantId,
    filter: &ExecutionFilter,
) -> Outcome<Vec<Purgeable>> {
    let rows = found(db, tenant, filter).await?;
    let ids = rows.iter().map(|row| row.number("id")).collect::<Outcome<Vec<_>>>()?;
    let sql = "SELECT p.partition_of, p.id FROM unnest(CAST(:ids AS BIGINT[])) AS wanted (id)
               JOIN job_executions p ON p.tenant = :tenant AND p.partition_of = wanted.id";
    let mut parts: BTreeMap<i64, Vec<JobExecutionId>> = BTreeMap::new();
    for row in db.rows(sql, &named! {"tenant": tenant.as_str(), "ids": ids.clone()}).await? {
        let (of, id) = (row.number("partition_of")?, row.number("id")?);
        parts.entry(of).or_default().push(Row(format!("execution {id}")).id("id", id)?);
    }
    let purgeable = |id: i64| {
        let partitions = parts.remove(&id).unwrap_or_default();
        Ok(Purgeable { id: Row(format!("execution {id}")).id("id", id)?, partitions })
    };
    ids.into_iter().map(purgeable).collect()
}

/// Deletes executions that have ended and match, oldest first; their steps, warnings and parts are deleted with
/// them.
pub(super) async fn purge(
    db: &Db,
    tenant: &TenantId,
    filter: &ExecutionFilter,
    by: &Actor,
) -> Outcome<Vec<JobExecutionId>> {
    let mut purged = Vec::new();
    for together in found(db, tenant, filter).await?.chunks(PURGED_TOGETHER) {
        let mut events = Vec::new();
        for found in together {
            let (id, instance) = (found.number("id")?, found.text("instance")?);
            let row = Row(format!("execution {id}"));
            let (known, status) = (row.id("id", id)?, row.status(found.number("status")?)?);
            events.push((id, AuditRecord::new(&Deed::execution_purged(known, &instance, status), by)));
            purged.push(known);
        }
        delete(db, tenant, &events).await?;
    }
    Ok(purged)
}

async fn delete(db: &Db, tenant: &TenantId, events: &[(i64, AuditRecord)]) -> Outcome<()> {
    let Some((_, first)) = events.first() else { return Ok(()) };
    let values = named! {
        "tenant": tenant.as_str(),
        "ids": events.iter().map(|(id, _)| *id).collect::<Vec<_>>(),
        "at": first.at,
        "user_name": &first.user_name,
        "action": &first.action,
        "subjects": events.iter().map(|(_, event)| &event.subject).collect::<Value<'_>>(),
        "details": events.iter().map(|(_, event)| &event.detail).collect::<Value<'_>>(),
    };
    let sql = "DELETE FROM job_executions e USING unnest(CAST(:ids AS BIGINT[])) AS purged (id)
               WHERE e.tenant = :tenant AND e.id = purged.id";
    db.execute(sql, &values).await?;
    let sql = "INSERT INTO audit_events (tenant, at, user_name, action, subject, detail)
               SELECT :tenant, :at, :user_name, :action, subject, detail
               FROM unnest(CAST(:subjects AS TEXT[]), CAST(:details AS TEXT[])) AS e (subject, detail)";
    db.execute(sql, &values).await.map(drop)
}
