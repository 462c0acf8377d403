//! Connectors and their jobs.

use rusqlite::{Connection as Db, OptionalExtension, Row as SqlRow, named_params};
use stepbox_batch::actor::Actor;
use stepbox_batch::audit::Deed;
use stepbox_batch::inventory::Connector;
use stepbox_batch::job::Job;
use stepbox_batch::name::{ConnectorCode, TenantId};
use stepbox_batch::ports::{Listing, RepositoryError};

use super::audit;
use super::trouble::{Outcome, legible, listed};
use crate::naming::some_of;
use crate::record::{Listed, Row, job};

pub(super) fn put(db: &Db, tenant: &TenantId, connector: &Connector, by: &Actor) -> Outcome<()> {
    audit::append(db, tenant, &Deed::connector_installed(connector), by)?;
    let Connector { code, label, jobs } = connector;
    let (tenant, code) = (tenant.as_str(), code.as_str());
    refuse_label_of_another(db, tenant, connector)?;
    db.prepare_cached(
        "INSERT INTO connectors (tenant, code, label) VALUES (:tenant, :code, :label)
         ON CONFLICT (tenant, code) DO UPDATE SET label = excluded.label",
    )?
    .execute(named_params! {":tenant": tenant, ":code": code, ":label": label})?;
    db.prepare_cached("DELETE FROM jobs WHERE tenant = :tenant AND connector = :code")?
        .execute(named_params! {":tenant": tenant, ":code": code})?;
    for (position, job) in jobs.iter().enumerate() {
        refuse_job_of_another(db, tenant, job.name.as_str())?;
        db.prepare_cached(
            "INSERT INTO jobs (tenant, name, connector, position, definition)
             VALUES (:tenant, :name, :connector, :position, :definition)",
        )?
        .execute(named_params! {
            ":tenant": tenant, ":name": job.name.as_str(), ":connector": code,
            ":position": position as i64, ":definition": job::encode(job),
        })?;
    }
    Ok(())
}

fn refuse_label_of_another(db: &Db, tenant: &str, connector: &Connector) -> Outcome<()> {
    let Connector { code, label, .. } = connector;
    let is_taken = db
        .prepare_cached(
            "SELECT 1 FROM connectors WHERE tenant = :tenant AND label = :label AND code <> :code",
        )?
        .exists(named_params! {":tenant": tenant, ":label": label, ":code": code.as_str()})?;
    match is_taken {
        false => Ok(()),
        true => Err(RepositoryError::AlreadyExists { kind: "connector", name: label.clone() }.into()),
    }
}

/// The connector's old jobs are deleted by now. So the name belongs to another connector, or this connector names a
/// job twice.
fn refuse_job_of_another(db: &Db, tenant: &str, name: &str) -> Outcome<()> {
    let is_taken = db
        .prepare_cached("SELECT 1 FROM jobs WHERE tenant = :tenant AND name = :name")?
        .exists(named_params! {":tenant": tenant, ":name": name})?;
    match is_taken {
        false => Ok(()),
        true => Err(RepositoryError::AlreadyExists { kind: "job", name: name.to_owned() }.into()),
    }
}

pub(super) fn list(db: &Db, tenant: &TenantId) -> Outcome<Listing<Connector>> {
    let mut connectors =
        db.prepare_cached("SELECT code, label FROM connectors WHERE tenant = :tenant ORDER BY code")?;
    let mut found = Listing::default();
    let mut rows = connectors.query(named_params! {":tenant": tenant.as_str()})?;
    while let Some(row) = rows.next()? {
        match listed(Listed::named("connector", legible(row, "code")?), connector(row))? {
            Ok(mut connector) => {
                let jobs = jobs(db, tenant, &connector.code)?;
                (connector.jobs, found.damaged) = (jobs.items, [found.damaged, jobs.damaged].concat());
                found.items.push(connector);
            }
            Err(damaged) => found.damaged.push(damaged),
        }
    }
    Ok(found)
}

fn connector(row: &SqlRow<'_>) -> Outcome<Connector> {
    let (code, label): (String, String) = (row.get("code")?, row.get("label")?);
    Ok(Connector { code: Row(format!("connector `{code}`")).name("code", code)?, label, jobs: Vec::new() })
}

fn jobs(db: &Db, tenant: &TenantId, code: &ConnectorCode) -> Outcome<Listing<Job>> {
    let mut jobs = db.prepare_cached(
        "SELECT name, definition FROM jobs WHERE tenant = :tenant AND connector = :code ORDER BY position",
    )?;
    let mut rows = jobs.query(named_params! {":tenant": tenant.as_str(), ":code": code.as_str()})?;
    let mut found = Listing::default();
    while let Some(row) = rows.next()? {
        let name = legible(row, "name")?;
        let definition: rusqlite::Result<String> = row.get("definition");
        let job = definition.map_err(Into::into).and_then(|definition| {
            Ok(job::decode(&Row(format!("job `{name}`")), "definition", &definition)?)
        });
        found.push(listed(Listed::named("job", name), job)?);
    }
    Ok(found)
}

pub(super) fn remove(db: &Db, tenant: &TenantId, code: &ConnectorCode, by: &Actor) -> Outcome<()> {
    let parameters = named_params! {":tenant": tenant.as_str(), ":code": code.as_str()};
    let users: Vec<String> = db
        .prepare_cached(
            "SELECT code FROM job_instances WHERE tenant = :tenant AND connector = :code ORDER BY code",
        )?
        .query_map(parameters, |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    if !users.is_empty() {
        let (name, user) = (code.to_string(), some_of("instance", &users));
        return Err(RepositoryError::InUse { kind: "connector", name, user }.into());
    }
    // Its jobs are deleted with it.
    let gone = db
        .prepare_cached("DELETE FROM connectors WHERE tenant = :tenant AND code = :code RETURNING code")?
        .query_row(parameters, |_| Ok(()))
        .optional()?;
    gone.ok_or_else(|| RepositoryError::NotFound { kind: "connector", name: code.to_string() })?;
    audit::append(db, tenant, &Deed::connector_removed(code), by)
}
