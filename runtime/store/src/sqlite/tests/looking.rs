//! Looking at a file without changing it.

use std::fs;

use rusqlite::Connection;
use stepbox_store_testing::sample::with_instance;

use super::{SqliteStore, empty_store};

#[tokio::test]
async fn tells_versions_and_changes_nothing() {
    let store = empty_store().await;
    with_instance(&*store).await;
    let path = store.path().to_owned();
    let in_use = SqliteStore::look(&path).unwrap();
    assert_eq!((in_use.version, in_use.problems.len()), (in_use.known, 0), "beside a writer");
    let folder = store.close();
    Connection::open(&path).unwrap().pragma_update(None, "user_version", in_use.known - 1).unwrap();
    let before = fs::read(&path).unwrap();
    let older = SqliteStore::look(&path).unwrap();
    assert_eq!((older.version, older.problems.len()), (in_use.known - 1, 0));
    assert_eq!(fs::read(&path).unwrap(), before);
    let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(names.into_iter().all(|name| name.to_str().is_some_and(|name| name.starts_with("stepbox.db"))));
}

#[tokio::test]
async fn names_what_is_no_store_of_ours() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("text"), "no database, but longer than the header of one: ".repeat(20)).unwrap();
    fs::write(path("empty"), "").unwrap();
    Connection::open(path("foreign")).unwrap().execute_batch("CREATE TABLE a (b)").unwrap();
    drop(SqliteStore::open(path("newer")).unwrap());
    Connection::open(path("newer")).unwrap().pragma_update(None, "user_version", 999).unwrap();
    let rows = [
        ("none", "there is no store yet"),
        ("text", "it is not an SQLite database"),
        ("foreign", "it is another program's database"),
        ("newer", "has schema version 999"),
    ];
    for (name, expected) in rows {
        let error = SqliteStore::look(path(name)).unwrap_err().to_string();
        assert!(error.contains(expected), "{name}: {error}");
    }
    assert!(!path("none").exists());
    assert_eq!(SqliteStore::look(path("empty")).unwrap().version, 0);
}

#[tokio::test]
async fn finds_pages_that_are_damaged() {
    let store = empty_store().await;
    with_instance(&*store).await;
    let path = store.path().to_owned();
    let _folder = store.close();
    let mut bytes = fs::read(&path).unwrap();
    // Every page except the first, which identifies the file as a database.
    bytes[4096..].chunks_mut(4096).for_each(|page| page[..16].fill(0x5a));
    fs::write(&path, bytes).unwrap();
    let found = SqliteStore::look(&path);
    let is_told = match &found {
        Ok(schema) => !schema.problems.is_empty() && schema.problems.len() <= 21,
        Err(error) => error.code() == "store-corrupt",
    };
    assert!(is_told, "{found:?}");
}
