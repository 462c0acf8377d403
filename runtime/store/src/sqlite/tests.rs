//! What is particular to a file: who else has it open, what is in it, where it lies.

mod conformance;

use std::ops::Deref;

use tempfile::TempDir;

use super::SqliteStore;

/// A store in a folder of its own, which goes when it goes.
pub(super) struct TemporaryStore {
    store: SqliteStore,
    // Dropped last: the file is closed by then.
    _folder: TempDir,
}

impl Deref for TemporaryStore {
    type Target = SqliteStore;

    fn deref(&self) -> &SqliteStore {
        &self.store
    }
}

/// An empty store.
pub(super) async fn empty_store() -> TemporaryStore {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("stepbox.db")).unwrap();
    TemporaryStore { store, _folder: folder }
}
