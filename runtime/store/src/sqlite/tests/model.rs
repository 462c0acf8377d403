//! Longer histories than those of the suite for every store.

use stepbox_store_testing::conformance::model::explore;

use std::path::Path;

use super::{SqliteOptions, TemporaryStore};
use crate::sqlite::SqliteStore;

/// A store in memory, if the machine has a file system for that: these tests do not depend on the disk.
fn fast_store() -> TemporaryStore {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    let folder = folder.unwrap();
    let store = SqliteStore::open_with(folder.path().join("stepbox.db"), SqliteOptions::default()).unwrap();
    TemporaryStore { store, folder }
}

#[tokio::test]
async fn longer_histories_end_well() {
    let store = fast_store();
    explore(&*store, 2, "at its last attempt").await;
}
