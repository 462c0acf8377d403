//! Opens the file: a new file is made private, and a file is used only if it is one of ours.

use std::fs::{DirBuilder, OpenOptions};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags};
use stepbox_batch::ports::Result;

use super::migrate;
use super::trouble::{Outcome, Place, Trouble};

/// How many prepared statements a connection keeps: more than there are in this crate.
const STATEMENTS_KEPT: usize = 128;
/// How large the write-ahead log may stay after a large transaction, in bytes.
const LOG_BYTES_KEPT: u32 = 64 << 20;
/// SQLite's own default. It is set here because the limit of size is counted in pages.
const PAGE_BYTES: u64 = 4096;

/// Makes the file if there is none, and brings its schema up to date. Returns the writer's connection.
pub(super) fn open(place: &Place) -> Result<Connection> {
    create_file(place)?;
    place.explain(patiently(place, || prepare(place)))
}

/// Another connection to a file that was opened before; it cannot write.
pub(super) fn open_reader(place: &Place) -> Outcome<Connection> {
    let db = connect(place)?;
    db.pragma_update(None, "query_only", true)?;
    Ok(db)
}

/// Creates folder and file for their owner only. A file that exists already keeps its permissions.
fn create_file(place: &Place) -> Result<()> {
    let path = &place.path;
    if path.is_dir() {
        return Err(place.unavailable("it is a folder; name a file in it, such as `stepbox.db`"));
    }
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        create_folder(folder).map_err(|error| {
            place.unavailable(format!("its folder `{}` cannot be made: {error}", folder.display()))
        })?;
    }
    // Closing a file drops every lock that this process has on it, including SQLite's. So an existing file is never
    // opened here, and no other thread of this process can open a file that is just being made.
    static MAKING: Mutex<()> = Mutex::new(());
    let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(place.unavailable(format!("it cannot be made: {error}"))),
    }
}

fn create_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// While another process turns a new file into a database with a write-ahead log, SQLite answers some calls with
/// `busy` at once, whatever the timeout. So this function waits itself.
fn patiently<T>(place: &Place, attempt: impl Fn() -> Outcome<T>) -> Outcome<T> {
    let end = Instant::now() + Duration::from_millis(place.options.busy_timeout_ms.into());
    loop {
        match attempt() {
            Err(Trouble::Sqlite(error))
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && Instant::now() < end =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            outcome => return outcome,
        }
    }
}

fn prepare(place: &Place) -> Outcome<Connection> {
    let mut db = connect(place)?;
    migrate::refuse_foreign(&mut db, place)?;
    let pages: u32 = db.pragma_query_value(None, "page_count", |row| row.get(0))?;
    if pages == 0 {
        // Lets deleted pages be given back to the disk. A file with pages is left out: the setting has no effect
        // there, but the file would be written.
        db.pragma_update(None, "auto_vacuum", "incremental")?;
    }
    let journal: String = db.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if journal != "wal" {
        let detail = format!("its file system allows no write-ahead log (the journal stays `{journal}`)");
        return Err(place.unavailable(detail).into());
    }
    migrate::migrate(&mut db)?;
    Ok(db)
}

pub(super) fn connect(place: &Place) -> Outcome<Connection> {
    // Without SQLITE_OPEN_URI, so that a path may begin with `file:`.
    let db = Connection::open_with_flags(
        &place.path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    db.busy_timeout(Duration::from_millis(place.options.busy_timeout_ms.into()))?;
    db.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    db.pragma_update(None, "page_size", PAGE_BYTES as u32)?;
    db.pragma_update(None, "foreign_keys", true)?;
    db.pragma_update(None, "synchronous", "full")?;
    db.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT)?;
    if let Some(max) = place.options.size_bytes_max {
        let pages = u32::try_from(max / PAGE_BYTES).unwrap_or(u32::MAX - 1).max(1);
        db.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?;
    }
    Ok(db)
}
