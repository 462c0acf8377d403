//! The descriptions of uploaded components.

use stepbox_batch::actor::Actor;
use stepbox_batch::audit::Deed;
use stepbox_batch::component_quota::ComponentQuota;
use stepbox_batch::inventory::Component;
use stepbox_batch::job::Job;
use stepbox_batch::name::{Digest, TenantId};
use stepbox_batch::ports::{Listing, RepositoryError};

use super::connection::Db;
use super::trouble::{Outcome, Trouble, listed};
use super::value::named;
use super::{audit, locks};
use crate::record::columns::Columns;
use crate::record::installed::{COMPONENT_COLUMNS, ComponentRecord};
use crate::record::{Listed, Row, job};

pub(super) async fn put(
    db: &Db,
    tenant: &TenantId,
    component: &Component,
    quota: &ComponentQuota,
    by: &Actor,
) -> Outcome<()> {
    // So that two calls at once cannot both take the last place, or the same version.
    locks::inventory(db, tenant).await?;
    if component.is_release() {
        refuse_other_bytes(db, tenant, component).await?;
    }
    refuse_without_room(db, tenant, component, quota).await?;
    let ComponentRecord { digest, name, version, world, size_bytes, uploaded_at, description, signer } =
        ComponentRecord::from(component);
    let sql = "INSERT INTO components
                   (tenant, digest, name, version, world, size_bytes, uploaded_at, description, signer)
               VALUES (:tenant, :digest, :name, :version, :world, :size_bytes, :uploaded_at, :description, :signer)
               ON CONFLICT (tenant, digest) DO UPDATE SET signer = excluded.signer
               WHERE excluded.signer IS NOT NULL AND excluded.signer IS DISTINCT FROM components.signer";
    let values = named! {
        "tenant": tenant.as_str(), "digest": &digest, "name": &name, "version": &version, "world": &world,
        "size_bytes": size_bytes, "uploaded_at": uploaded_at, "description": &description, "signer": &signer,
    };
    match db.execute(sql, &values).await? {
        0 => Ok(()),
        _ => audit::append(db, tenant, &Deed::component_uploaded(component), by).await,
    }
}

async fn refuse_without_room(
    db: &Db,
    tenant: &TenantId,
    new: &Component,
    quota: &ComponentQuota,
) -> Outcome<()> {
    let sql = "SELECT coalesce(bool_or(digest = :digest), FALSE) AS is_known, count(*) AS count,
                      CAST(coalesce(sum(size_bytes), 0) AS BIGINT) AS used
               FROM components WHERE tenant = :tenant";
    let values = named! {"tenant": tenant.as_str(), "digest": new.digest.as_str()};
    let Some(row) = db.row(sql, &values).await? else { return Ok(()) };
    let (count, used) = (row.number("count")?.unsigned_abs(), row.number("used")?.unsigned_abs());
    match row.flag("is_known")? {
        true => Ok(()),
        false => quota
            .check(count, used, new.size_bytes)
            .map_err(|error| RepositoryError::ComponentQuota(error).into()),
    }
}

/// Refuses other bytes for a released version: its bytes never change.
async fn refuse_other_bytes(db: &Db, tenant: &TenantId, component: &Component) -> Outcome<()> {
    let Component { digest, name, version, .. } = component;
    let sql = format!(
        "SELECT {COMPONENT_COLUMNS} FROM components
         WHERE tenant = :tenant AND name = :name AND version = :version AND digest <> :digest LIMIT 1"
    );
    let values = named! {
        "tenant": tenant.as_str(), "name": name, "version": version, "digest": digest.as_str(),
    };
    match db.row(&sql, &values).await? {
        None => Ok(()),
        Some(other) => {
            let digest = ComponentRecord::read(&other)?.into_component()?.digest;
            Err(RepositoryError::VersionExists { reference: component.reference(), digest }.into())
        }
    }
}

pub(super) async fn list(db: &Db, tenant: &TenantId) -> Outcome<Listing<Component>> {
    let sql = format!(
        "SELECT {COMPONENT_COLUMNS} FROM components WHERE tenant = :tenant ORDER BY name, uploaded_at DESC, digest"
    );
    let mut found = Listing::default();
    for row in db.rows(&sql, &named! {"tenant": tenant.as_str()}).await? {
        let component = ComponentRecord::read(&row).and_then(|record| Ok(record.into_component()?));
        found.push(listed(Listed::named("component", row.text("digest")?), component)?);
    }
    Ok(found)
}

pub(super) async fn remove(db: &Db, tenant: &TenantId, digest: &Digest, by: &Actor) -> Outcome<bool> {
    locks::inventory(db, tenant).await?;
    if let Some(user) = user_of(db, tenant, digest).await? {
        return Err(RepositoryError::InUse { kind: "component", name: digest.to_string(), user }.into());
    }
    let values = named! {"tenant": tenant.as_str(), "digest": digest.as_str()};
    let sql = "DELETE FROM components WHERE tenant = :tenant AND digest = :digest
               RETURNING name || '@' || version AS reference";
    let gone = db.row(sql, &values).await?;
    let not_found = || RepositoryError::NotFound { kind: "component", name: digest.to_string() };
    let reference = gone.ok_or_else(|| Trouble::from(not_found()))?.text("reference")?;
    audit::append(db, tenant, &Deed::component_removed(&reference, digest), by).await?;
    // Of all tenants, on purpose: they share the bytes.
    let kept = db.row("SELECT 1 FROM components WHERE digest = :digest LIMIT 1", &values).await?;
    Ok(kept.is_none())
}

/// The job or execution that pins a component: a connector's job, or an execution that has not ended.
///
/// Components are removed rarely and executions run often, so there is no table of pins: the texts are searched,
/// and each hit is parsed.
async fn user_of(db: &Db, tenant: &TenantId, digest: &Digest) -> Outcome<Option<String>> {
    let jobs = "SELECT 'connector `' || connector || '`' AS user_name, definition AS job FROM jobs
                WHERE tenant = :tenant AND position(:digest IN definition) > 0 ORDER BY connector, position";
    let executions = "SELECT 'execution ' || id AS user_name, job FROM job_executions
                      WHERE tenant = :tenant AND ended_at IS NULL AND position(:digest IN job) > 0 ORDER BY id";
    for sql in [jobs, executions] {
        for row in db.rows(sql, &named! {"tenant": tenant.as_str(), "digest": digest.as_str()}).await? {
            let (user, text) = (row.text("user_name")?, row.text("job")?);
            let job = job::decode(&Row(user.clone()), "job", &text).map_err(Into::into);
            let pins = |job: Job| job.pins(digest);
            // A row that cannot be read may need the component.
            if listed(Listed::named("job", &user), job)?.map_or(true, pins) {
                return Ok(Some(user));
            }
        }
    }
    Ok(None)
}
