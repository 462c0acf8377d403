//! The schema's versions: numbered files, run once each, all missing ones in one transaction.

use rusqlite::{Connection, TransactionBehavior};
use stepbox_batch::ports::RepositoryError;

use super::trouble::{Outcome, Place};

/// In order; the version of a schema is how many of these files were run. A released file is never changed; changes
/// are new files.
pub(super) const MIGRATIONS: [&str; 16] = [
    include_str!("../../migrations/sqlite/0001_first.sql"),
    include_str!("../../migrations/sqlite/0002_settings.sql"),
    include_str!("../../migrations/sqlite/0003_usage.sql"),
    include_str!("../../migrations/sqlite/0004_audit.sql"),
    include_str!("../../migrations/sqlite/0005_signers.sql"),
    include_str!("../../migrations/sqlite/0006_queue.sql"),
    include_str!("../../migrations/sqlite/0007_set_aside.sql"),
    include_str!("../../migrations/sqlite/0008_lists.sql"),
    include_str!("../../migrations/sqlite/0009_installation.sql"),
    include_str!("../../migrations/sqlite/0010_remedies.sql"),
    include_str!("../../migrations/sqlite/0011_events.sql"),
    include_str!("../../migrations/sqlite/0012_access.sql"),
    include_str!("../../migrations/sqlite/0013_versions.sql"),
    include_str!("../../migrations/sqlite/0014_pauses.sql"),
    include_str!("../../migrations/sqlite/0015_uploads.sql"),
    include_str!("../../migrations/sqlite/0016_tracker.sql"),
];

/// The version that this program reads and writes.
pub(super) const SCHEMA_VERSION: u32 = MIGRATIONS.len() as u32;

/// `Stbx`: distinguishes our files from those of other programs, in SQLite's header.
const APPLICATION_ID: u32 = 0x5374_6278;

/// Brings the schema up to date. If another process does it at this moment, this call waits and finds nothing left to
/// do.
pub(super) fn migrate(db: &mut Connection) -> Outcome<()> {
    if version(db)? == SCHEMA_VERSION {
        return Ok(());
    }
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let seen = version(&transaction)? as usize;
    for migration in MIGRATIONS.iter().skip(seen) {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    Ok(transaction.commit()?)
}

/// Refuses a file of a newer version and a file of another program, before anything is changed.
pub(super) fn refuse_foreign(db: &mut Connection, place: &Place) -> Outcome<()> {
    // In one transaction, because another process may be creating the schema at this moment.
    let db = db.transaction()?;
    let application: u32 = db.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if application == APPLICATION_ID {
        return refuse_newer(&db, place);
    }
    let tables: u32 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application != 0 || tables > 0 {
        return Err(place.unavailable("it is another program's database; name another file").into());
    }
    Ok(())
}

/// Refuses a file of a newer version.
pub(super) fn refuse_newer(db: &Connection, place: &Place) -> Outcome<()> {
    newer_version(db)?.map_or(Ok(()), |found| Err(newer(found, place).into()))
}

/// The file's version if it is newer than this program. Checked in each transaction, because a newer program may
/// bring the file up to its own version while this program has it open.
pub(super) fn newer_version(db: &Connection) -> rusqlite::Result<Option<u32>> {
    Ok(Some(version(db)?).filter(|found| *found > SCHEMA_VERSION))
}

pub(super) fn newer(found: u32, place: &Place) -> RepositoryError {
    RepositoryError::NewerVersion { store: place.path.display().to_string(), found, known: SCHEMA_VERSION }
}

pub(super) fn version(db: &Connection) -> rusqlite::Result<u32> {
    db.prepare_cached("PRAGMA user_version")?.query_row([], |row| row.get(0))
}
