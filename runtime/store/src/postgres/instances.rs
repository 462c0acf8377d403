//! Job instances.

use stepbox_batch::actor::Actor;
use stepbox_batch::audit::Deed;
use stepbox_batch::job::JobInstance;
use stepbox_batch::name::{InstanceCode, TenantId};
use stepbox_batch::ports::{Listing, RepositoryError};

use super::audit;
use super::connection::Db;
use super::trouble::{Outcome, listed};
use super::value::named;
use crate::naming::running;
use crate::record::Listed;
use crate::record::columns::Columns;
use crate::record::installed::{INSTANCE_COLUMNS, InstanceRecord};

pub(super) async fn create(db: &Db, instance: &JobInstance, by: &Actor) -> Outcome<()> {
    let InstanceRecord { tenant, code, label, connector, job, job_type, raw_parameters } =
        InstanceRecord::from(instance);
    let sql = "INSERT INTO job_instances (tenant, code, label, connector, job, type, raw_parameters)
               VALUES (:tenant, :code, :label, :connector, :job, :type, :raw_parameters)
               ON CONFLICT (tenant, code) DO NOTHING";
    let values = named! {
        "tenant": &tenant, "code": &code, "label": &label, "connector": &connector, "job": &job,
        "type": &job_type, "raw_parameters": &raw_parameters,
    };
    match db.execute(sql, &values).await? {
        0 => Err(RepositoryError::AlreadyExists { kind: "instance", name: code }.into()),
        _ => audit::append(db, &instance.tenant, &Deed::instance_created(instance), by).await,
    }
}

pub(super) async fn update(db: &Db, instance: &JobInstance, by: &Actor) -> Outcome<()> {
    let InstanceRecord { tenant, code, label, raw_parameters, .. } = InstanceRecord::from(instance);
    let values = named! {
        "tenant": &tenant, "code": &code, "label": &label, "raw_parameters": &raw_parameters,
    };
    let sql = format!(
        "SELECT {INSTANCE_COLUMNS} FROM job_instances WHERE tenant = :tenant AND code = :code FOR NO KEY UPDATE"
    );
    let before = db.row(&sql, &values).await?.ok_or_else(|| not_found(&code))?;
    let before = InstanceRecord::read(&before)?.into_instance()?;
    let sql = "UPDATE job_instances SET label = :label, raw_parameters = :raw_parameters
               WHERE tenant = :tenant AND code = :code";
    db.execute(sql, &values).await?;
    audit::append(db, &instance.tenant, &Deed::instance_changed(&before, instance), by).await
}

/// Deletes an instance. Each call that accepts an execution locks its instance's row, so no execution can begin
/// while this call looks for executions that have not ended.
pub(super) async fn delete(db: &Db, tenant: &TenantId, code: &InstanceCode, by: &Actor) -> Outcome<()> {
    let values = named! {"tenant": tenant.as_str(), "code": code.as_str()};
    db.rows("SELECT 1 FROM job_instances WHERE tenant = :tenant AND code = :code FOR UPDATE", &values)
        .await?;
    if let Some(user) = running_execution(db, tenant, code).await? {
        return Err(RepositoryError::InUse { kind: "instance", name: code.to_string(), user }.into());
    }
    let sql = "DELETE FROM job_instances WHERE tenant = :tenant AND code = :code";
    if db.execute(sql, &values).await? == 0 {
        return Err(not_found(code.as_str()).into());
    }
    audit::append(db, tenant, &Deed::instance_deleted(code), by).await
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
