//! The identity of the installation.

use rusqlite::{Connection as Db, OptionalExtension as _};
use stepbox_batch::name::InstallationId;

use super::trouble::Outcome;
use crate::record::installation;

pub(super) fn get(db: &Db) -> Outcome<InstallationId> {
    let mut statement = db.prepare_cached("SELECT id FROM installation")?;
    let found = statement.query_row([], |row| row.get::<_, String>(0)).optional()?;
    Ok(installation(found)?)
}
