//! The embedded store.

use std::path::PathBuf;
use std::sync::Arc;

use stepbox_batch::clock::Clock as _;
use stepbox_batch::ports::{Finding, JobRepository, RepositoryError, StoreReport};
use stepbox_store::{SqliteSchema, SqliteStore};
use tokio::task::spawn_blocking;

use crate::error::Error;
use crate::system_clock::SystemClock;

/// The version of the schema that this program reads and writes.
pub(super) const SCHEMA_VERSION: u32 = SqliteStore::SCHEMA_VERSION;

pub(super) async fn look(path: PathBuf) -> Result<StoreReport, Error> {
    let store = path.display().to_string();
    let SqliteSchema { version, known, problems } = blocking(move || SqliteStore::look(path)).await?;
    Ok(StoreReport { store, server: None, version, known_version: known, problems, findings: Vec::new() })
}

pub(super) async fn check(path: PathBuf, mends: bool) -> Result<Vec<Finding>, Error> {
    let now = SystemClock.now();
    blocking(move || SqliteStore::check(path, now, mends)).await
}

pub(super) async fn migrate(path: PathBuf) -> Result<(), Error> {
    blocking(move || SqliteStore::open(path)).await.map(drop)
}

pub(super) fn open(path: PathBuf) -> Result<Arc<dyn JobRepository>, RepositoryError> {
    Ok(Arc::new(SqliteStore::open(path)?))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RepositoryError> + Send + 'static,
) -> Result<T, Error> {
    let looked = spawn_blocking(work).await.map_err(|panicked| RepositoryError::Corrupt {
        what: "store".to_owned(),
        detail: format!("looking at it broke off: {panicked}"),
    })?;
    Ok(looked?)
}
