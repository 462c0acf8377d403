//! Looking at a file without changing anything.

use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::migrate;
use super::trouble::{Outcome, Place};

/// How many problems are reported at most.
const PROBLEMS_MAX: u32 = 20;

/// The state of an SQLite file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteSchema {
    /// The version of its schema; 0 for an empty file.
    pub version: u32,
    /// The version that this program reads and writes.
    pub known: u32,
    /// What is damaged, in SQLite's words; empty if nothing is.
    pub problems: Vec<String>,
}

/// Reads the version, and checks every page. It takes as long as reading the file.
pub(super) fn look(place: &Place) -> Outcome<SqliteSchema> {
    if !place.path.exists() {
        return Err(place.unavailable("there is no store yet; the first command creates it").into());
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(&place.path, flags)?;
    db.busy_timeout(Duration::from_millis(place.options.busy_timeout_ms.into()))?;
    migrate::refuse_foreign(&mut db, place)?;
    let version = migrate::version(&db)?;
    let mut check = db.prepare(&format!("PRAGMA quick_check({PROBLEMS_MAX})"))?;
    let told = check.query_map([], |row| row.get::<_, String>(0))?;
    let mut problems = told.collect::<Result<Vec<_>, _>>()?;
    problems.retain(|problem| problem != "ok");
    Ok(SqliteSchema { version, known: migrate::SCHEMA_VERSION, problems })
}
