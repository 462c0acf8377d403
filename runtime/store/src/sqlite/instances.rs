//! Job instances.

use rusqlite::{Connection as Db, OptionalExtension, named_params};
use stepbox_batch::actor::Actor;
use stepbox_batch::audit::Deed;
use stepbox_batch::job::{INSTANCE_VERSIONS_KEPT, InstanceVersion, JobInstance};
use stepbox_batch::name::{InstanceCode, TenantId};
use stepbox_batch::ports::{Listing, RepositoryError};

use super::audit;
use super::row::first;
use super::trouble::{Outcome, legible, listed};
use crate::naming::running;
use crate::record::audit::user_name;
use crate::record::installed::{INSTANCE_COLUMNS, InstanceRecord, check_version, next_version};
use crate::record::{Listed, stored};

pub(super) fn create(db: &Db, instance: &JobInstance, by: &Actor) -> Outcome<JobInstance> {
    let last = last_version(db, &instance.tenant, &instance.code)?;
    let instance = next_version(instance, last, by)?;
    let InstanceRecord { tenant, code, label, connector, job, job_type, raw_parameters, version, updated_at } =
        InstanceRecord::from(&instance);
    let created = db
        .prepare_cached(
            "INSERT INTO job_instances
                 (tenant, code, label, connector, job, type, raw_parameters, version, updated_at)
             VALUES (:tenant, :code, :label, :connector, :job, :type, :raw_parameters, :version, :updated_at)
             ON CONFLICT (tenant, code) DO NOTHING",
        )?
        .execute(named_params! {
            ":tenant": tenant, ":code": code, ":label": label, ":connector": connector, ":job": job,
            ":type": job_type, ":raw_parameters": raw_parameters, ":version": version,
            ":updated_at": updated_at,
        })?;
    if created == 0 {
        return Err(RepositoryError::AlreadyExists { kind: "instance", name: code }.into());
    }
    keep_version(db, &instance, by)?;
    audit::append(db, &instance.tenant, &Deed::instance_created(&instance), by)?;
    Ok(instance)
}

pub(super) fn update(
    db: &Db,
    instance: &JobInstance,
    expected: Option<u64>,
    by: &Actor,
) -> Outcome<JobInstance> {
    let before = get(db, &instance.tenant, &instance.code)?;
    let before = before.ok_or_else(|| not_found(instance.code.as_str()))?;
    check_version(&instance.code, expected, stored(before.version))?;
    let JobInstance { label, raw_parameters, .. } = instance.clone();
    let changed = JobInstance { label, raw_parameters, ..before.clone() };
    let changed = next_version(&changed, stored(before.version), by)?;
    let InstanceRecord { tenant, code, label, raw_parameters, version, updated_at, .. } =
        InstanceRecord::from(&changed);
    db.prepare_cached(
        "UPDATE job_instances
         SET label = :label, raw_parameters = :raw_parameters, version = :version, updated_at = :updated_at
         WHERE tenant = :tenant AND code = :code",
    )?
    .execute(named_params! {
        ":tenant": tenant, ":code": code, ":label": label, ":raw_parameters": raw_parameters,
        ":version": version, ":updated_at": updated_at,
    })?;
    keep_version(db, &changed, by)?;
    audit::append(db, &instance.tenant, &Deed::instance_changed(&before, &changed), by)?;
    Ok(changed)
}

pub(super) fn delete(
    db: &Db,
    tenant: &TenantId,
    code: &InstanceCode,
    expected: Option<u64>,
    by: &Actor,
) -> Outcome<()> {
    let parameters = named_params! {":tenant": tenant.as_str(), ":code": code.as_str()};
    let version = db
        .prepare_cached("SELECT version FROM job_instances WHERE tenant = :tenant AND code = :code")?
        .query_row(parameters, |row| row.get(0))
        .optional()?;
    check_version(code, expected, version.ok_or_else(|| not_found(code.as_str()))?)?;
    if let Some(user) = running_execution(db, tenant, code)? {
        return Err(RepositoryError::InUse { kind: "instance", name: code.to_string(), user }.into());
    }
    db.prepare_cached("DELETE FROM job_instances WHERE tenant = :tenant AND code = :code")?
        .execute(parameters)?;
    audit::append(db, tenant, &Deed::instance_deleted(code), by)
}

/// The last version of the instances with that code, also of deleted ones; 0 if there was none.
fn last_version(db: &Db, tenant: &TenantId, code: &InstanceCode) -> Outcome<i64> {
    let last = db
        .prepare_cached(
            "SELECT coalesce(max(version), 0) FROM instance_history WHERE tenant = :tenant AND code = :code",
        )?
        .query_row(named_params! {":tenant": tenant.as_str(), ":code": code.as_str()}, |row| row.get(0))?;
    Ok(last)
}

/// Copies the instance into the history, from which the oldest version goes.
fn keep_version(db: &Db, instance: &JobInstance, by: &Actor) -> Outcome<()> {
    let (tenant, code) = (instance.tenant.as_str(), instance.code.as_str());
    let sql = format!(
        "INSERT INTO instance_history ({INSTANCE_COLUMNS}, user_name)
         SELECT {INSTANCE_COLUMNS}, :user_name FROM job_instances WHERE tenant = :tenant AND code = :code"
    );
    db.prepare_cached(&sql)?
        .execute(named_params! {":tenant": tenant, ":code": code, ":user_name": user_name(by)})?;
    let gone = stored(instance.version.saturating_sub(INSTANCE_VERSIONS_KEPT.into()));
    db.prepare_cached(
        "DELETE FROM instance_history WHERE tenant = :tenant AND code = :code AND version <= :gone",
    )?
    .execute(named_params! {":tenant": tenant, ":code": code, ":gone": gone})?;
    Ok(())
}

/// The versions, newest first.
pub(super) fn history(db: &Db, tenant: &TenantId, code: &InstanceCode) -> Outcome<Listing<InstanceVersion>> {
    let sql = format!(
        "SELECT {INSTANCE_COLUMNS}, user_name FROM instance_history
         WHERE tenant = :tenant AND code = :code ORDER BY version DESC"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query(named_params! {":tenant": tenant.as_str(), ":code": code.as_str()})?;
    let mut found = Listing::default();
    while let Some(row) = rows.next()? {
        let name = Listed::numbered("version", row.get("version")?);
        found.push(listed(name, InstanceRecord::version(row))?);
    }
    Ok(found)
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
