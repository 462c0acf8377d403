//! Job instances.

use stepbox_batch::actor::Actor;
use stepbox_batch::audit::Deed;
use stepbox_batch::job::{INSTANCE_VERSIONS_KEPT, InstanceVersion, JobInstance};
use stepbox_batch::name::{InstanceCode, TenantId};
use stepbox_batch::ports::{Listing, RepositoryError};

use super::connection::Db;
use super::trouble::{Outcome, listed};
use super::value::named;
use super::{audit, locks};
use crate::naming::running;
use crate::record::audit::user_name;
use crate::record::columns::Columns;
use crate::record::installed::{INSTANCE_COLUMNS, InstanceRecord, check_version, next_version};
use crate::record::{Listed, stored};

/// Creates an instance. Calls for the same code wait for each other, so that no version is given twice.
pub(super) async fn create(db: &Db, instance: &JobInstance, by: &Actor) -> Outcome<JobInstance> {
    locks::by_name(db, &instance.tenant, instance.code.as_str()).await?;
    let last = last_version(db, &instance.tenant, &instance.code).await?;
    let instance = next_version(instance, last, by)?;
    let InstanceRecord { tenant, code, label, connector, job, job_type, raw_parameters, version, updated_at } =
        InstanceRecord::from(&instance);
    let sql = "INSERT INTO job_instances
                   (tenant, code, label, connector, job, type, raw_parameters, version, updated_at)
               VALUES (:tenant, :code, :label, :connector, :job, :type, :raw_parameters, :version, :updated_at)
               ON CONFLICT (tenant, code) DO NOTHING";
    let values = named! {
        "tenant": &tenant, "code": &code, "label": &label, "connector": &connector, "job": &job,
        "type": &job_type, "raw_parameters": &raw_parameters, "version": version, "updated_at": updated_at,
    };
    if db.execute(sql, &values).await? == 0 {
        return Err(RepositoryError::AlreadyExists { kind: "instance", name: code }.into());
    }
    keep_version(db, &instance, by).await?;
    audit::append(db, &instance.tenant, &Deed::instance_created(&instance), by).await?;
    Ok(instance)
}

pub(super) async fn update(
    db: &Db,
    instance: &JobInstance,
    expected: Option<u64>,
    by: &Actor,
) -> Outcome<JobInstance> {
    let (tenant, code) = (instance.tenant.as_str(), instance.code.as_str());
    let sql = format!(
        "SELECT {INSTANCE_COLUMNS} FROM job_instances WHERE tenant = :tenant AND code = :code FOR NO KEY UPDATE"
    );
    let before = db.row(&sql, &named! {"tenant": tenant, "code": code}).await?;
    let before = InstanceRecord::read(&before.ok_or_else(|| not_found(code))?)?.into_instance()?;
    check_version(&instance.code, expected, stored(before.version))?;
    let JobInstance { label, raw_parameters, .. } = instance.clone();
    let changed = JobInstance { label, raw_parameters, ..before.clone() };
    let changed = next_version(&changed, stored(before.version), by)?;
    let InstanceRecord { label, raw_parameters, version, updated_at, .. } = InstanceRecord::from(&changed);
    let sql = "UPDATE job_instances
               SET label = :label, raw_parameters = :raw_parameters, version = :version,
                   updated_at = :updated_at
               WHERE tenant = :tenant AND code = :code";
    let values = named! {
        "tenant": tenant, "code": code, "label": &label, "raw_parameters": &raw_parameters,
        "version": version, "updated_at": updated_at,
    };
    db.execute(sql, &values).await?;
    keep_version(db, &changed, by).await?;
    audit::append(db, &instance.tenant, &Deed::instance_changed(&before, &changed), by).await?;
    Ok(changed)
}

/// Deletes an instance. Each call that accepts an execution locks its instance's row, so no execution can begin
/// while this call looks for executions that have not ended.
pub(super) async fn delete(
    db: &Db,
    tenant: &TenantId,
    code: &InstanceCode,
    expected: Option<u64>,
    by: &Actor,
) -> Outcome<()> {
    let values = named! {"tenant": tenant.as_str(), "code": code.as_str()};
    let sql = "SELECT version FROM job_instances WHERE tenant = :tenant AND code = :code FOR UPDATE";
    let row = db.row(sql, &values).await?.ok_or_else(|| not_found(code.as_str()))?;
    check_version(code, expected, row.number("version")?)?;
    if let Some(user) = running_execution(db, tenant, code).await? {
        return Err(RepositoryError::InUse { kind: "instance", name: code.to_string(), user }.into());
    }
    db.execute("DELETE FROM job_instances WHERE tenant = :tenant AND code = :code", &values).await?;
    audit::append(db, tenant, &Deed::instance_deleted(code), by).await
}

/// The last version of the instances with that code, also of deleted ones; 0 if there was none.
async fn last_version(db: &Db, tenant: &TenantId, code: &InstanceCode) -> Outcome<i64> {
    let sql = "SELECT coalesce(max(version), 0) AS version FROM instance_history
               WHERE tenant = :tenant AND code = :code";
    let last = db.row(sql, &named! {"tenant": tenant.as_str(), "code": code.as_str()}).await?;
    last.map_or(Ok(0), |row| row.number("version"))
}

/// Copies the instance into the history, from which the oldest version goes.
async fn keep_version(db: &Db, instance: &JobInstance, by: &Actor) -> Outcome<()> {
    let (tenant, code) = (instance.tenant.as_str(), instance.code.as_str());
    let sql = format!(
        "INSERT INTO instance_history ({INSTANCE_COLUMNS}, user_name)
         SELECT {INSTANCE_COLUMNS}, :user_name FROM job_instances WHERE tenant = :tenant AND code = :code"
    );
    let user = user_name(by);
    db.execute(&sql, &named! {"tenant": tenant, "code": code, "user_name": &user}).await?;
    let gone = stored(instance.version.saturating_sub(INSTANCE_VERSIONS_KEPT.into()));
    let sql = "DELETE FROM instance_history WHERE tenant = :tenant AND code = :code AND version <= :gone";
    db.execute(sql, &named! {"tenant": tenant, "code": code, "gone": gone}).await.map(drop)
}

/// The versions, newest first.
pub(super) async fn history(
    db: &Db,
    tenant: &TenantId,
    code: &InstanceCode,
) -> Outcome<Listing<InstanceVersion>> {
    let sql = format!(
        "SELECT {INSTANCE_COLUMNS}, user_name FROM instance_history
         WHERE tenant = :tenant AND code = :code ORDER BY version DESC"
    );
    let mut found = Listing::default();
    for row in db.rows(&sql, &named! {"tenant": tenant.as_str(), "code": code.as_str()}).await? {
        let name = Listed::numbered("version", row.number("version")?);
        found.push(listed(name, InstanceRecord::version(&row))?);
    }
    Ok(found)
}

/// `execution 118 (STARTED)`, if an execution has not ended.
async fn running_execution(db: &Db, tenant: &TenantId, code: &InstanceCode) -> Outcome<Option<String>> {
    let sql = "SELECT id, status FROM job_executions
               WHERE tenant = :tenant AND instance = :code AND ended_at IS NULL ORDER BY id LIMIT 1";
    let values = named! {"tenant": tenant.as_str(), "code": code.as_str()};
    let Some(row) = db.row(sql, &values).await? else { return Ok(None) };
    Ok(Some(running(row.number("id")?, row.number("status")?)?))
}

pub(super) async fn get(db: &Db, tenant: &TenantId, code: &InstanceCode) -> Outcome<Option<JobInstance>> {
    let sql = format!("SELECT {INSTANCE_COLUMNS} FROM job_instances WHERE tenant = :tenant AND code = :code");
    let found = db.row(&sql, &named! {"tenant": tenant.as_str(), "code": code.as_str()}).await?;
    found.map(|row| Ok(InstanceRecord::read(&row)?.into_instance()?)).transpose()
}

pub(super) async fn list(
    db: &Db,
    tenant: &TenantId,
    job_type: Option<&str>,
) -> Outcome<Listing<JobInstance>> {
    let sql = format!(
        "SELECT {INSTANCE_COLUMNS} FROM job_instances
         WHERE tenant = :tenant AND (CAST(:type AS TEXT) IS NULL OR type = :type) ORDER BY type, code"
    );
    let mut found = Listing::default();
    for row in db.rows(&sql, &named! {"tenant": tenant.as_str(), "type": job_type}).await? {
        let instance = InstanceRecord::read(&row).and_then(|record| Ok(record.into_instance()?));
        found.push(listed(Listed::named("instance", row.text("code")?), instance)?);
    }
    Ok(found)
}

pub(super) fn not_found(code: &str) -> RepositoryError {
    RepositoryError::NotFound { kind: "instance", name: code.to_owned() }
}
