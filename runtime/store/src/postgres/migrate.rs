//! The schema's versions: numbered files, run once each, all missing ones in one transaction.
//!
//! A program that is older than the schema must not touch it. The program checks the version when it opens a
//! connection, and a migration ends all other connections, so that every process checks again.

use stepbox_batch::clock::Timestamp;

use super::PostgresSchema;
use super::connection::Db;
use super::schema::{MIGRATIONS, SCHEMA_VERSION};
use super::trouble::{Outcome, Trouble};
use super::value::named;
use crate::record::columns::Columns;

/// The oldest server that is supported, as PostgreSQL writes its version.
const SERVER_VERSION_MIN: i64 = 15_00_00;

/// No other process migrates meanwhile. The first number, `Stbx`, distinguishes our locks from those of other
/// programs.
const LOCK: &str = "SELECT pg_advisory_lock(1400136312, 1)";

/// Refuses a server that is too old, and a database that cannot hold every text. Returns the server's version.
pub(super) async fn refuse_unfit_server(db: &Db) -> Outcome<String> {
    let sql = "SELECT current_setting('server_version') AS name,
                      current_setting('server_encoding') AS encoding,
                      CAST(current_setting('server_version_num') AS BIGINT) AS number";
    let row = db.row(sql, &[]).await?.ok_or_else(|| Trouble::Unfit("it has no version".to_owned()))?;
    let (name, number) = (row.text("name")?, row.number("number")?);
    if number < SERVER_VERSION_MIN {
        return Err(Trouble::Unfit(format!("it is version {name}; version 15 or later is needed")));
    }
    match row.text("encoding")? {
        encoding if encoding == "UTF8" => Ok(name),
        encoding => Err(Trouble::Encoding(encoding)),
    }
}

/// The versions of the database's server and schema. Nothing is changed.
pub(super) async fn look(db: &Db) -> Outcome<PostgresSchema> {
    let server = refuse_unfit_server(db).await?;
    Ok(PostgresSchema { server, version: version(db).await?, known: SCHEMA_VERSION })
}

/// Brings the schema up to date. If another process does it at this moment, this call waits and finds nothing left to
/// do.
pub(super) async fn migrate(db: &Db, now: Timestamp) -> Outcome<PostgresSchema> {
    let schema = look(db).await?;
    refuse(schema.version)?;
    if schema.version == SCHEMA_VERSION {
        return Ok(schema);
    }
    db.run(LOCK).await?;
    db.run("BEGIN").await?;
    let seen = version(db).await?;
    refuse(seen)?;
    if seen == 0 {
        db.run("CREATE TABLE stepbox_schema (version BIGINT PRIMARY KEY, applied_at BIGINT NOT NULL)")
            .await?;
    } else if seen < SCHEMA_VERSION {
        db.run("LOCK TABLE stepbox_schema").await?;
        end_others(db).await?;
    }
    for (migration, number) in MIGRATIONS.iter().zip(1..).skip(seen as usize) {
        db.run(migration).await.map_err(in_the_way)?;
        let sql = "INSERT INTO stepbox_schema (version, applied_at) VALUES (:version, :now)";
        db.execute(sql, &named! {"version": number, "now": now.0}).await?;
    }
    db.run("COMMIT").await?;
    Ok(PostgresSchema { version: SCHEMA_VERSION, ..schema })
}

/// Ends the other sessions of this program's user, because an older program may use them.
async fn end_others(db: &Db) -> Outcome<()> {
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()
                 AND application_name LIKE 'stepbox%'";
    db.rows(sql, &[]).await.map(drop)
}

fn in_the_way(trouble: Trouble) -> Trouble {
    use tokio_postgres::error::SqlState;
    match &trouble {
        Trouble::Server(error)
            if matches!(error.code(), Some(&SqlState::DUPLICATE_TABLE | &SqlState::DUPLICATE_FUNCTION)) =>
        {
            let said = error.as_db_error().map_or("", |said| said.message());
            Trouble::Unfit(format!(
                "another program's tables are in it ({said}); give Stepbox a database, or a schema, of its own"
            ))
        }
        _ => trouble,
    }
}

/// The version of the schema; 0 if there is none.
async fn version(db: &Db) -> Outcome<u32> {
    let there = db.row("SELECT to_regclass('stepbox_schema') IS NOT NULL AS is_there", &[]).await?;
    match there.map(|row| row.flag("is_there")).transpose()? {
        Some(true) => stored_version(db).await,
        _ => Ok(0),
    }
}

async fn stored_version(db: &Db) -> Outcome<u32> {
    let row = db.row("SELECT coalesce(max(version), 0) AS version FROM stepbox_schema", &[]).await?;
    let version = row.map(|row| row.number("version")).transpose()?.unwrap_or(0);
    Ok(u32::try_from(version).unwrap_or(u32::MAX))
}

/// Refuses the database of a newer version. Waits while another process brings it up to date.
pub(super) async fn refuse_newer(db: &Db) -> Outcome<()> {
    refuse(stored_version(db).await?)
}

fn refuse(found: u32) -> Outcome<()> {
    if found > SCHEMA_VERSION { Err(Trouble::Newer(found)) } else { Ok(()) }
}
