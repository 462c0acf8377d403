//! Tests of what is particular to a file: other processes that have it open, its content, and its place.

mod audit;
mod conformance;
mod cost;
mod damage;
mod history;
mod looking;
mod model;
mod opening;
mod plans;
mod processes;
mod purging;
mod setting_aside;
mod sharing;
mod size;
mod together;

use std::ops::Deref;

use rusqlite::Connection;
use tempfile::TempDir;

use super::{SqliteOptions, SqliteStore};

/// A store in a folder of its own, which is removed with the store.
pub(super) struct TemporaryStore {
    store: SqliteStore,
    // Dropped last: the file is closed by then.
    folder: TempDir,
}

impl Deref for TemporaryStore {
    type Target = SqliteStore;

    fn deref(&self) -> &SqliteStore {
        &self.store
    }
}

/// An empty store.
pub(super) async fn empty_store() -> TemporaryStore {
    store_with(SqliteOptions::default())
}

/// An empty store with options of its own.
pub(super) fn store_with(options: SqliteOptions) -> TemporaryStore {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open_with(folder.path().join("stepbox.db"), options).unwrap();
    TemporaryStore { store, folder }
}

impl TemporaryStore {
    /// The connection of another program to the same file.
    fn stranger(&self) -> Connection {
        Connection::open(self.store.path()).unwrap()
    }

    /// Closes the store and keeps the folder.
    fn close(self) -> TempDir {
        self.folder
    }
}
