//! Looking at a store before it is used, and bringing it up to date.

use std::path::Path;

use stepbox_batch::repository::RepositoryError;
use stepbox_store::{SqliteSchema, SqliteStore};
use tokio::task::spawn_blocking;

use crate::data_folder::DataFolder;
use crate::error::Error;

/// What a store has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreReport {
    /// Where it is.
    pub store: String,
    /// The version of its schema; 0 if there is none yet.
    pub version: u32,
    /// The version that this program reads and writes.
    pub known_version: u32,
    /// What is damaged; empty if nothing is.
    pub problems: Vec<String>,
}

impl StoreReport {
    /// Whether nothing has to be done before it is used.
    pub fn is_ready(&self) -> bool {
        self.version == self.known_version && self.problems.is_empty()
    }
}

/// What the store of a data folder has. Changes nothing and makes nothing; takes as long as reading all of it.
pub async fn check_store(data_dir: impl AsRef<Path>) -> Result<StoreReport, Error> {
    let path = DataFolder::database_in(data_dir.as_ref());
    let store = path.display().to_string();
    let SqliteSchema { version, known, problems } = blocking(move || SqliteStore::look(path)).await?;
    Ok(StoreReport { store, version, known_version: known, problems })
}

/// Brings the schema of a data folder's store up to date, as opening it does, or makes the store. Tells what it
/// had before.
pub async fn migrate_store(data_dir: impl AsRef<Path>) -> Result<StoreReport, Error> {
    let folder = DataFolder::open(data_dir.as_ref())?;
    let path = folder.database();
    let before = match path.exists() {
        true => refuse_damaged(check_store(data_dir).await?)?,
        false => StoreReport {
            store: path.display().to_string(),
            version: 0,
            known_version: SqliteStore::SCHEMA_VERSION,
            problems: Vec::new(),
        },
    };
    blocking(move || SqliteStore::open(path)).await?;
    Ok(before)
}

/// A change could make a copy of what is still whole impossible.
fn refuse_damaged(report: StoreReport) -> Result<StoreReport, RepositoryError> {
    match report.problems.first() {
        None => Ok(report),
        Some(problem) => Err(RepositoryError::Corrupt {
            what: format!("page of `{}`", report.store),
            detail: problem.clone(),
        }),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RepositoryError> + Send + 'static,
) -> Result<T, Error> {
    Ok(spawn_blocking(work).await.map_err(|error| RepositoryError::Unavailable {
        store: "itself".to_owned(),
        detail: error.to_string(),
    })??)
}
