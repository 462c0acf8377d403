//! An installation in a folder of its own, with a file or a server of its own, that a fleet of workers shares.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::ValueEnum;
use stepbox::batch::name::TenantId;
use stepbox::batch::ports::JobRepository;
use stepbox::{DatabaseUrl, Policy, Stepbox, StorePlace, Tenant, migrate_store};
use stepbox_store::{PostgresOptions, PostgresStore, SqliteStore};
use stepbox_test_postgres::{Durability, Server};
use stepbox_tests::guard;
use tempfile::TempDir;

use crate::Result;

/// The place of executions and queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Store {
    /// A file that all workers have open.
    Sqlite,
    /// A server, restarted twice.
    Postgres,
}

/// The folders of the jobs, and their files.
pub(crate) struct Installation {
    pub(crate) tenant: Tenant,
    pub(crate) folder: TempDir,
    pub(crate) server: Option<Arc<Server>>,
    url: Option<String>,
}

impl Installation {
    pub(crate) async fn new(store: Store) -> Result<Self> {
        let folder = guard::tempdir()?;
        let server = match store {
            Store::Sqlite => None,
            // Committed data survives the end of the processes. This test does not cover the end of the machine.
            Store::Postgres => Some(Arc::new(Server::start(Durability::None)?)),
        };
        let url = server.as_ref().map(|server| server.database()).transpose()?;
        let mut builder = Stepbox::builder(folder.path().join("data"))
            .tenant(TenantId::default(), Policy::own_machine(folder.path()));
        if let Some(url) = &url {
            let url = DatabaseUrl::new(url);
            migrate_store(StorePlace::Database(&url)).await?;
            builder = builder.database_url(url);
        }
        let tenant = builder.open().await?.tenant(&TenantId::default())?;
        Ok(Self { tenant, folder, server, url })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `None` for the store in the data folder.
    pub(crate) fn url(&self) -> Option<&str> {
        self.url.as_deref()
    }

    /// The folder with the components and the store's file.
    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// The store itself, for data that no command shows.
    pub(crate) async fn repository(&self) -> Result<Arc<dyn JobRepository>> {
        Ok(match &self.url {
            Some(url) => Arc::new(PostgresStore::open(url, PostgresOptions::default()).await?),
            None => Arc::new(SqliteStore::open(self.data().join("stepbox.db"))?),
        })
    }
}

/// All files and folders below a folder.
pub(crate) fn below(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && !path.is_symlink() {
            found.extend(below(&path)?);
        }
        found.push(path);
    }
    found.sort();
    Ok(found)
}
