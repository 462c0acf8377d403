//! Job instances.

use rusqlite::{Connection as Db, OptionalExtension, named_params};
use stepbox_batch::actor::Actor;
use stepbox_batch::audit::Deed;
use stepbox_batch::job::JobInstance;
use stepbox_batch::name::{InstanceCode, TenantId};
use stepbox_batch::ports::{Listing, RepositoryError};

use super::audit;
use super::row::first;
use super::trouble::{Outcome, legible, listed};
use crate::naming::running;
use crate::record::Listed;
use crate::record::installed::{INSTANCE_COLUMNS, InstanceRecord};

pub(super) fn create(db: &Db, instance: &JobInstance, by: &Actor) -> Outcome<()> {
    let InstanceRecord { tenant, code, label, connector, job, job_type, raw_parameters } =
        InstanceRecord::from(instance);
    let created = db
        .prepare_cached(
            "INSERT INTO job_instances (tenant, code, label, connector, job, type, raw_parameters)
             VALUES (:tenant, :code, :label, :connector, :job, :type, :raw_parameters)
             ON CONFLICT (tenant, code) DO NOTHING",
        )?
        .execute(named_params! {
            ":tenant": tenant, ":code": code, ":label": label, ":connector": connector, ":job": job,
            ":type": job_type, ":raw_parameters": raw_parameters,
        })?;
    match created {
        0 => Err(RepositoryError::AlreadyExists { kind: "instance", name: code }.into()),
        _ => audit::append(db, &instance.tenant, &Deed::instance_created(instance), by),
    }
}

pub(super) fn update(db: &Db, instance: &JobInstance, by: &Actor) -> Outcome<()> {
    let InstanceRecord { tenant, code, label, raw_parameters, .. } = InstanceRecord::from(instance);
    let before = get(db, &instance.tenant, &instance.code)?.ok_or_else(|| not_found(&code))?;
    db.prepare_cached(
        "UPDATE job_instances SET label = :label, raw_parameters = :raw_parameters
             WHERE tenant = :tenant AND code = :code",
    )?
    .execute(named_params! {
        ":tenant": tenant, ":code": code, ":label": label, ":raw_parameters": raw_parameters,
    })?;
    audit::append(db, &instance.tenant, &Deed::instance_changed(&before, instance), by)
}

pub(super) fn delete(db: &Db, tenant: &TenantId, code: &InstanceCode, by: &Actor) -> Outcome<()> {
    let parameters = named_params! {":tenant": tenant.as_str(), ":code": code.as_str()};
    if let Some(user) = running_execution(db, tenant, code)? {
        return Err(RepositoryError::InUse { kind: "instance", name: code.to_string(), user }.into());
    }
    let deleted = db
        .prepare_cached("DELETE FROM job_instances WHERE tenant = :tenant AND code = :code")?
        .execute(parameters)?;
    if deleted == 0 {
        return Err(not_found(code.as_str()).into());
    }
    audit::append(db, tenant, &Deed::instance_deleted(code), by)
}

pub(super) const RUNNING: &str = "SELECT id, status FROM job_executions INDEXED BY job_executions_open
     WHERE tenant = :tenant AND instance = :code AND ended_at IS NULL ORDER BY id LIMIT 1";

/// `execution 118 (STARTED)`, if an execution has not ended.
fn running_execution(db: &Db, tenant: &TenantId, code: &InstanceCode) -> Outcome<Option<String>> {
    let found: Option<(i64, i64)> = db
        .prepare_cached(RUNNING)?
        .query_row(named_params! {":tenant": tenant.as_str(), ":code": code.as_str()}, |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    Ok(found.map(|(id, status)| running(id, status)).transpose()?)
}

pub(super) fn exists(db: &Db, tenant: &str, code: &str) -> Outcome<bool> {
    let mut statement =
        db.prepare_cached("SELECT 1 FROM job_instances WHERE tenant = :tenant AND code = :code")?;
    Ok(statement.exists(named_params! {":tenant": tenant, ":code": code})?)
}

pub(super) fn get(db: &Db, tenant: &TenantId, code: &InstanceCode) -> Outcome<Option<JobInstance>> {
    let sql = format!("SELECT {INSTANCE_COLUMNS} FROM job_instances WHERE tenant = :tenant AND code = :code");
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query(named_params! {":tenant": tenant.as_str(), ":code": code.as_str()})?;
    let record = first(rows, |row| InstanceRecord::read(row))?;
    Ok(record.map(InstanceRecord::into_instance).transpose()?)
}

pub(super) fn list(db: &Db, tenant: &TenantId, job_type: Option<&str>) -> Outcome<Listing<JobInstance>> {
    let sql = format!(
        "SELECT {INSTANCE_COLUMNS} FROM job_instances
         WHERE tenant = :tenant AND (:type IS NULL OR type = :type) ORDER BY type, code"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query(named_params! {":tenant": tenant.as_str(), ":type": job_type})?;
    let mut found = Listing::default();
    while let Some(row) = rows.next()? {
        let instance = InstanceRecord::read(row).and_then(|record| Ok(record.into_instance()?));
        found.push(listed(Listed::named("instance", legible(row, "code")?), instance)?);
    }
    Ok(found)
}

pub(super) fn not_found(code: &str) -> RepositoryError {
    RepositoryError::NotFound { kind: "instance", name: code.to_owned() }
}
