//! The embedded store: one SQLite file, with a write-ahead log, for any number of processes of one
//! machine.

mod accounts;
mod aside;
mod audit;
mod check;
mod claim;
mod components;
mod connectors;
mod credentials;
mod endings;
mod executions;
mod idempotency;
mod installation;
mod instance_rights;
mod instances;
mod lanes;
mod leases;
mod look;
mod migrate;
mod open;
mod outbox;
mod parts;
mod pauses;
mod ports;
mod purging;
mod queue;
mod readers;
mod rescue;
mod row;
mod steps;
mod submit;
mod tokens;
mod trouble;
mod turns;
mod uploads;
mod views;
mod wake;
mod workers;
mod writer;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use stepbox_batch::clock::Timestamp;
use stepbox_batch::ports::{Finding, RepositoryError, Result};

pub use look::SqliteSchema;
use readers::Readers;
use trouble::Place;
use wake::Wake;
use writer::Writer;

/// How a file is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteOptions {
    /// How long to wait while another process writes, in milliseconds.
    ///
    /// After that the answer is [`RepositoryError::Busy`].
    pub busy_timeout_ms: u32,
    /// How many calls may read at the same time, at least 1; further calls wait.
    pub readers_max: usize,
    /// How large the file may grow, in bytes; `None` if only the disk limits it.
    ///
    /// A write beyond the limit is refused like a write to a full disk. The write-ahead log beside the file is not
    /// included.
    pub size_bytes_max: Option<u64>,
}

impl Default for SqliteOptions {
    /// Waits 5 s, reads four at a time, and has no limit of size.
    fn default() -> Self {
        Self { busy_timeout_ms: 5000, readers_max: 4, size_bytes_max: None }
    }
}

/// A job repository in an SQLite file.
///
/// Calls need a Tokio runtime.
///
/// When the store is dropped, it completes what callers have asked for, and closes the file.
#[derive(Debug)]
pub struct SqliteStore {
    place: Arc<Place>,
    writer: Writer,
    readers: Readers,
    wake: Wake,
}

impl SqliteStore {
    /// Opens a file with the default options.
    ///
    /// If the file or its folder does not exist, creates it, for its owner only; brings an older schema up to date.
    /// Blocks meanwhile.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, SqliteOptions::default())
    }

    /// Opens a file with the given options.
    pub fn open_with(path: impl AsRef<Path>, options: SqliteOptions) -> Result<Self> {
        let path = path_from_now_on(path.as_ref())?;
        let place = Arc::new(Place { path, options });
        let db = open::open(&place)?;
        let writer = Writer::start(db, place.clone())?;
        let readers = Readers::new(place.clone());
        let wake = Wake::new(place.clone());
        Ok(Self { place, writer, readers, wake })
    }

    /// The version of the schema that this program reads and writes.
    pub const SCHEMA_VERSION: u32 = migrate::SCHEMA_VERSION;

    /// The state of a file, without opening it for writing.
    ///
    /// Blocks while it reads the whole file.
    pub fn look(path: impl AsRef<Path>) -> Result<SqliteSchema> {
        let place = Place { path: path_from_now_on(path.as_ref())?, options: SqliteOptions::default() };
        place.explain(look::look(&place))
    }

    /// Reads everything in an up-to-date file, tries whether lost executions could be rescued, and returns what is
    /// wrong at that moment.
    ///
    /// Changes nothing unless `mends` is true. Blocks meanwhile.
    pub fn check(path: impl AsRef<Path>, now: Timestamp, mends: bool) -> Result<Vec<Finding>> {
        let place = Place { path: path_from_now_on(path.as_ref())?, options: SqliteOptions::default() };
        place.explain(open::connect(&place).and_then(|mut db| check::check(&mut db, now, mends)))
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.place.path
    }

    /// How many commits have waited for the disk since the store was opened.
    ///
    /// This is the cost of writes, because everything else is a thousand times faster. Calls at the same time share
    /// a commit.
    pub fn durable_commits(&self) -> u64 {
        self.writer.durable_commits()
    }
}

/// The path as an absolute path, because readers are opened later, when this process may have another current
/// folder.
fn path_from_now_on(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|error| RepositoryError::Unavailable {
        store: path.display().to_string(),
        detail: format!("it is no path: {error}"),
    })
}
