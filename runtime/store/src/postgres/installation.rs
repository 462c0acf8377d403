//! The identity of the installation.

use stepbox_batch::name::InstallationId;

use super::connection::Db;
use super::trouble::Outcome;
use crate::record::columns::Columns as _;
use crate::record::installation;

pub(super) async fn get(db: &Db) -> Outcome<InstallationId> {
    let row = db.row("SELECT id FROM installation", &[]).await?;
    Ok(installation(row.map(|row| row.text("id")).transpose()?)?)
}
