//! The descriptions of uploaded components.

use rusqlite::{Connection as Db, OptionalExtension, named_params};
use stepbox_batch::actor::Actor;
use stepbox_batch::audit::Deed;
use stepbox_batch::component_quota::ComponentQuota;
use stepbox_batch::inventory::Component;
use stepbox_batch::job::Job;
use stepbox_batch::name::{Digest, TenantId};
use stepbox_batch::ports::{Listing, RepositoryError};

use super::audit;
use super::row::first;
use super::trouble::{Outcome, legible, listed};
use crate::record::installed::{COMPONENT_COLUMNS, ComponentRecord};
use crate::record::{Listed, Row, job};

pub(super) fn put(
    db: &Db,
    tenant: &TenantId,
    component: &Component,
    quota: &ComponentQuota,
    by: &Actor,
) -> Outcome<()> {
    if component.is_release() {
        refuse_other_bytes(db, tenant, component)?;
    }
    refuse_without_room(db, tenant, component, quota)?;
    let ComponentRecord { digest, name, version, world, size_bytes, uploaded_at, description, signer } =
        ComponentRecord::from(component);
    let changed = db
        .prepare_cached(
            "INSERT INTO components
             (tenant, digest, name, version, world, size_bytes, uploaded_at, description, signer)
         VALUES (:tenant, :digest, :name, :version, :world, :size_bytes, :uploaded_at, :description, :signer)
         ON CONFLICT (tenant, digest) DO UPDATE SET signer = excluded.signer
         WHERE excluded.signer IS NOT NULL AND excluded.signer IS NOT components.signer",
        )?
        .execute(named_params! {
            ":tenant": tenant.as_str(), ":digest": digest, ":name": name, ":version": version,
            ":world": world, ":size_bytes": size_bytes, ":uploaded_at": uploaded_at,
            ":description": description, ":signer": signer,
        })?;
    if changed == 0 {
        return Ok(());
    }
    audit::append(db, tenant, &Deed::component_uploaded(component), by)
}

/// Checked in the transaction that inserts, so that two calls at once cannot both take the last place.
fn refuse_without_room(db: &Db, tenant: &TenantId, new: &Component, quota: &ComponentQuota) -> Outcome<()> {
    let (is_known, count, used): (bool, i64, i64) = db
        .prepare_cached(
            "SELECT ifnull(max(digest = :digest), 0), count(*), ifnull(sum(size_bytes), 0)
             FROM components WHERE tenant = :tenant",
        )?
        .query_row(named_params! {":tenant": tenant.as_str(), ":digest": new.digest.as_str()}, |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
    match is_known {
        true => Ok(()),
        false => quota
            .check(count.unsigned_abs(), used.unsigned_abs(), new.size_bytes)
            .map_err(|error| RepositoryError::ComponentQuota(error).into()),
    }
}

/// Refuses other bytes for a released version: its bytes never change.
fn refuse_other_bytes(db: &Db, tenant: &TenantId, component: &Component) -> Outcome<()> {
    let Component { digest, name, version, .. } = component;
    let mut statement = db.prepare_cached(&format!(
        "SELECT {COMPONENT_COLUMNS} FROM components
         WHERE tenant = :tenant AND name = :name AND version = :version AND digest <> :digest LIMIT 1"
    ))?;
    let parameters = named_params! {
        ":tenant": tenant.as_str(), ":name": name, ":version": version, ":digest": digest.as_str(),
    };
    match first(statement.query(parameters)?, |row| ComponentRecord::read(row))? {
        None => Ok(()),
        Some(other) => {
            let digest = other.into_component()?.digest;
            Err(RepositoryError::VersionExists { reference: component.reference(), digest }.into())
        }
    }
}

pub(super) fn list(db: &Db, tenant: &TenantId) -> Outcome<Listing<Component>> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT {COMPONENT_COLUMNS} FROM components
         WHERE tenant = :tenant ORDER BY name, uploaded_at DESC, digest"
    ))?;
    let mut rows = statement.query(named_params! {":tenant": tenant.as_str()})?;
    let mut found = Listing::default();
    while let Some(row) = rows.next()? {
        let component = ComponentRecord::read(row).and_then(|record| Ok(record.into_component()?));
        found.push(listed(Listed::named("component", legible(row, "digest")?), component)?);
    }
    Ok(found)
}

pub(super) fn remove(db: &Db, tenant: &TenantId, digest: &Digest, by: &Actor) -> Outcome<bool> {
    if let Some(user) = user_of(db, tenant, digest)? {
        return Err(RepositoryError::InUse { kind: "component", name: digest.to_string(), user }.into());
    }
    let gone: Option<String> = db
        .prepare_cached(
            "DELETE FROM components WHERE tenant = :tenant AND digest = :digest
             RETURNING name || '@' || version",
        )?
        .query_row(named_params! {":tenant": tenant.as_str(), ":digest": digest.as_str()}, |row| row.get(0))
        .optional()?;
    let Some(reference) = gone else {
        return Err(RepositoryError::NotFound { kind: "component", name: digest.to_string() }.into());
    };
    audit::append(db, tenant, &Deed::component_removed(&reference, digest), by)?;
    // Of all tenants, on purpose: they share the bytes.
    let is_kept = db
        .prepare_cached("SELECT 1 FROM components WHERE digest = :digest")?
        .exists(named_params! {":digest": digest.as_str()})?;
    Ok(!is_kept)
}

/// The job or execution that pins a component: a connector's job, or an execution that has not ended.
///
/// Components are removed rarely and executions run often, so there is no table of pins: the texts are searched,
/// and each hit is parsed.
fn user_of(db: &Db, tenant: &TenantId, digest: &Digest) -> Outcome<Option<String>> {
    let jobs = "SELECT 'connector `' || connector || '`', definition FROM jobs
                WHERE tenant = :tenant AND instr(definition, :digest) > 0 ORDER BY connector, position";
    let executions = "SELECT 'execution ' || id, job FROM job_executions INDEXED BY job_executions_open
                      WHERE tenant = :tenant AND ended_at IS NULL AND instr(job, :digest) > 0";
    for sql in [jobs, executions] {
        let mut statement = db.prepare_cached(sql)?;
        let parameters = named_params! {":tenant": tenant.as_str(), ":digest": digest.as_str()};
        let mut rows = statement.query(parameters)?;
        while let Some(row) = rows.next()? {
            let user: String = row.get(0)?;
            let text: rusqlite::Result<String> = row.get(1);
            let job =
                text.map_err(Into::into).and_then(|text| Ok(job::decode(&Row(user.clone()), "job", &text)?));
            let pins = |job: Job| job.pins(digest);
            // A row that cannot be read may need the component.
            if listed(Listed::named("job", &user), job)?.map_or(true, pins) {
                return Ok(Some(user));
            }
        }
    }
    Ok(None)
}
