//! The stores that are compared.

use std::path::Path;
use std::sync::Arc;

use clap::ValueEnum;
use stepbox::batch::repository::JobRepository;
use stepbox_store::SqliteStore;
use tempfile::TempDir;

use crate::Result;

/// Which store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// The embedded one.
    Sqlite,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
        }
    }
}

/// A store with nothing in it, and a data folder.
pub(crate) struct Store {
    folder: TempDir,
    pub(crate) repository: Arc<dyn JobRepository>,
}

impl Store {
    pub(crate) async fn open(kind: Kind) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let repository: Arc<dyn JobRepository> = match kind {
            Kind::Sqlite => Arc::new(SqliteStore::open(folder.path().join("stepbox.db"))?),
        };
        Ok(Self { folder, repository })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Carries out SQL beside the store.
    pub(crate) async fn execute(&self, sql: &str) -> Result<()> {
        let db = rusqlite::Connection::open(self.folder().join("stepbox.db"))?;
        Ok(db.execute_batch(sql)?)
    }
}
