//! The stores that are compared.

use std::path::Path;
use std::sync::Arc;

use clap::ValueEnum;
use stepbox::batch::ports::JobRepository;
use stepbox_store::{PostgresOptions, PostgresStore, SqliteStore};
use stepbox_test_postgres::{Durability, Server};
use tempfile::TempDir;

use crate::Result;

/// A kind of store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// The embedded one.
    Sqlite,
    /// A server of its own that waits for the disk as in production.
    Postgres,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }
}

/// An empty store, and a data folder.
pub(crate) struct Store {
    folder: TempDir,
    pub(crate) repository: Arc<dyn JobRepository>,
    /// The server and the name of the database; `None` for a file.
    pub(crate) server: Option<(Server, String)>,
}

impl Store {
    pub(crate) async fn open(kind: Kind) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (repository, server): (Arc<dyn JobRepository>, _) = match kind {
            Kind::Sqlite => (Arc::new(SqliteStore::open(folder.path().join("stepbox.db"))?), None),
            Kind::Postgres => {
                let server = Server::start(Durability::Full)?;
                let url = server.database()?;
                let store = PostgresStore::open(&url, PostgresOptions::default()).await?;
                let database = url.rsplit('/').next().unwrap_or_default().to_owned();
                (Arc::new(store), Some((server, database)))
            }
        };
        Ok(Self { folder, repository, server })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Executes SQL directly, without the store's code.
    pub(crate) async fn execute(&self, sql: &str) -> Result<()> {
        match &self.server {
            Some((server, database)) => {
                server.sql(database, sql)?;
            }
            None => rusqlite::Connection::open(self.folder().join("stepbox.db"))?.execute_batch(sql)?,
        }
        Ok(())
    }
}
