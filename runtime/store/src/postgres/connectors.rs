//! Connectors and their jobs.

use stepbox_batch::actor::Actor;
use stepbox_batch::audit::Deed;
use stepbox_batch::inventory::Connector;
use stepbox_batch::name::{ConnectorCode, TenantId};
use stepbox_batch::ports::{Listing, RepositoryError};
use tokio_postgres::Row as SqlRow;

use super::connection::Db;
use super::trouble::{Outcome, listed};
use super::value::named;
use super::{audit, locks};
use crate::naming::some_of;
use crate::record::columns::Columns;
use crate::record::{Listed, Row, job};

pub(super) async fn put(db: &Db, tenant: &TenantId, connector: &Connector, by: &Actor) -> Outcome<()> {
    locks::inventory(db, tenant).await?;
    audit::append(db, tenant, &Deed::connector_installed(connector), by).await?;
    let Connector { code, label, jobs } = connector;
    let values = named! {"tenant": tenant.as_str(), "code": code.as_str(), "label": label};
    refuse_label_of_another(db, tenant, connector).await?;
    let sql = "INSERT INTO connectors (tenant, code, label) VALUES (:tenant, :code, :label)
               ON CONFLICT (tenant, code) DO UPDATE SET label = excluded.label";
    db.execute(sql, &values).await?;
    db.execute("DELETE FROM jobs WHERE tenant = :tenant AND connector = :code", &values).await?;
    for (position, definition) in jobs.iter().enumerate() {
        let (name, encoded) = (definition.name.as_str(), job::encode(definition));
        let sql = "INSERT INTO jobs (tenant, name, connector, position, definition)
                   VALUES (:tenant, :name, :connector, :position, :definition)
                   ON CONFLICT (tenant, name) DO NOTHING";
        let values = named! {
            "tenant": tenant.as_str(), "name": name, "connector": code.as_str(), "position": position as i64,
            "definition": &encoded,
        };
        // The connector's old jobs are deleted by now. So the name belongs to another connector, or this connector
        // names a job twice.
        if db.execute(sql, &values).await? == 0 {
            return Err(RepositoryError::AlreadyExists { kind: "job", name: name.to_owned() }.into());
        }
    }
    Ok(())
}

async fn refuse_label_of_another(db: &Db, tenant: &TenantId, connector: &Connector) -> Outcome<()> {
    let Connector { code, label, .. } = connector;
    let sql = "SELECT 1 FROM connectors WHERE tenant = :tenant AND label = :label AND code <> :code LIMIT 1";
    let values = named! {"tenant": tenant.as_str(), "label": label, "code": code.as_str()};
    match db.row(sql, &values).await? {
        None => Ok(()),
        Some(_) => Err(RepositoryError::AlreadyExists { kind: "connector", name: label.clone() }.into()),
    }
}

pub(super) async fn list(db: &Db, tenant: &TenantId) -> Outcome<Listing<Connector>> {
    let sql = "SELECT c.code, c.label, j.name, j.definition
               FROM connectors c LEFT JOIN jobs j ON j.tenant = c.tenant AND j.connector = c.code
               WHERE c.tenant = :tenant ORDER BY c.code, j.position";
    let mut found: Listing<Connector> = Listing::default();
    let mut seen = None;
    for row in db.rows(sql, &named! {"tenant": tenant.as_str()}).await? {
        let code = row.text("code")?;
        if seen.as_ref() != Some(&code) {
            found.push(listed(Listed::named("connector", &code), connector(&row))?);
        }
        let is_whole = found.items.last().is_some_and(|connector| connector.code.as_str() == code);
        seen = Some(code);
        let Some(name) = row.maybe_text("name")?.filter(|_| is_whole) else { continue };
        let definition = row.text("definition").and_then(|definition| {
            Ok(job::decode(&Row(format!("job `{name}`")), "definition", &definition)?)
        });
        match (listed(Listed::named("job", name), definition)?, found.items.last_mut()) {
            (Ok(job), Some(connector)) => connector.jobs.push(job),
            (Err(damaged), _) => found.damaged.push(damaged),
            (Ok(_), None) => {}
        }
    }
    Ok(found)
}

fn connector(row: &SqlRow) -> Outcome<Connector> {
    let code = row.text("code")?;
    let name = Row(format!("connector `{code}`"));
    Ok(Connector { code: name.name("code", code)?, label: row.text("label")?, jobs: Vec::new() })
}

pub(super) async fn remove(db: &Db, tenant: &TenantId, code: &ConnectorCode, by: &Actor) -> Outcome<()> {
    locks::inventory(db, tenant).await?;
    let values = named! {"tenant": tenant.as_str(), "code": code.as_str()};
    let sql = "SELECT code FROM job_instances WHERE tenant = :tenant AND connector = :code ORDER BY code";
    let users = db.rows(sql, &values).await?;
    let users: Vec<_> = users.iter().map(|row| row.text("code")).collect::<Outcome<_>>()?;
    if !users.is_empty() {
        let (name, user) = (code.to_string(), some_of("instance", &users));
        return Err(RepositoryError::InUse { kind: "connector", name, user }.into());
    }
    // Its jobs are deleted with it.
    if db.execute("DELETE FROM connectors WHERE tenant = :tenant AND code = :code", &values).await? == 0 {
        return Err(RepositoryError::NotFound { kind: "connector", name: code.to_string() }.into());
    }
    audit::append(db, tenant, &Deed::connector_removed(code), by).await
}
