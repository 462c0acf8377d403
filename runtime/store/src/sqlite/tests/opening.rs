//! The place of the file, and whether it is one of ours.

use std::fs;
use std::path::Path;
use std::sync::Barrier;

use rusqlite::Connection;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::{Checkpoint, Whose};
use stepbox_batch::name::JobExecutionId;
use stepbox_batch::ports::{Instances, Leases, Result, Workers};
use stepbox_store_testing::sample::{Hold, NOW, by, told};
use stepbox_store_testing::sample::{code, in_status, instance, stored, tenant, with_instance};

use super::{SqliteOptions, SqliteStore, empty_store};

fn refusal(code: &str, path: impl AsRef<Path>) -> String {
    let opened: Result<SqliteStore> = SqliteStore::open(path);
    let error = opened.unwrap_err();
    assert_eq!(error.code(), code);
    error.to_string()
}

#[tokio::test]
async fn keeps_everything_when_closed_and_opened_again() {
    let store = empty_store().await;
    with_instance(&*store).await;
    let (execution, _) =
        in_status(&*store, stepbox_batch::execution::status::BatchStatus::Started, Hold::Held).await;
    let path = store.path().to_owned();
    let folder = store.close();
    let names: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["stepbox.db"], "a closed store is one file");

    let store = SqliteStore::open(path).unwrap();
    assert_eq!(store.instance(&tenant(), &code("nightly")).await.unwrap().unwrap(), instance("nightly"));
    assert_eq!(stored(&store, execution.id).await, execution);
}

#[cfg(unix)]
#[tokio::test]
async fn makes_folder_and_file_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let outer = tempfile::tempdir().unwrap();
    let path = outer.path().join("data/deep/stepbox.db");
    let store = SqliteStore::open(&path).unwrap();
    with_instance(&store).await;
    for (path, expected) in [
        (outer.path().join("data"), 0o700),
        (outer.path().join("data/deep"), 0o700),
        (path.clone(), 0o600),
        (path.with_extension("db-wal"), 0o600),
        (path.with_extension("db-shm"), 0o600),
    ] {
        assert_eq!(mode(&path), expected, "{}", path.display());
    }

    let kept = outer.path().join("kept");
    fs::create_dir(&kept).unwrap();
    fs::set_permissions(&kept, fs::Permissions::from_mode(0o755)).unwrap();
    SqliteStore::open(kept.join("stepbox.db")).unwrap();
    assert_eq!(mode(&kept), 0o755, "what was there keeps its permissions");
}

#[tokio::test]
async fn takes_a_path_that_looks_like_a_uri() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file:a?mode=memory");
    let store = SqliteStore::open(&path).unwrap();
    with_instance(&store).await;
    assert!(path.is_file());
}

#[test]
fn refuses_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let expected = format!(
        "the store {} failed: it is a folder; name a file in it, such as `stepbox.db`",
        folder.path().display()
    );
    assert_eq!(refusal("store-unavailable", folder.path()), expected);
}

#[test]
fn refuses_a_file_that_is_no_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    let content = "not a database, however long one reads\n".repeat(100);
    fs::write(&path, &content).unwrap();
    assert!(
        refusal("store-refused", &path)
            .ends_with("it is not an SQLite database; name another file, or move this one away")
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), content, "it is untouched");
}

#[test]
fn refuses_the_database_of_another_program() {
    let folder = tempfile::tempdir().unwrap();
    for (name, sql) in [
        ("tables.db", "CREATE TABLE bookmarks (url TEXT)"),
        ("marked.db", "PRAGMA application_id = 42"),
        ("versioned.db", "CREATE TABLE t (x); PRAGMA user_version = 1"),
    ] {
        let path = folder.path().join(name);
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        let before = fs::read(&path).unwrap();
        assert!(
            refusal("store-unavailable", &path)
                .ends_with("it is another program's database; name another file"),
            "{name}"
        );
        assert!(fs::read(&path).unwrap() == before, "{name} is untouched");
    }
}

#[test]
fn refuses_a_place_where_nothing_can_be_made() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let found = refusal("store-unavailable", folder.path().join("file/deep/stepbox.db"));
    assert!(found.contains("its folder `") && found.contains("cannot be made: "), "{found}");

    // Even root cannot create a file there.
    #[cfg(target_os = "linux")]
    {
        let found = refusal("store-unavailable", "/proc/stepbox.db");
        assert!(found.starts_with("the store /proc/stepbox.db failed: it cannot be made: "), "{found}");
    }
}

#[cfg(unix)]
#[test]
fn refuses_a_folder_that_must_not_be_written() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o500)).unwrap();
    if fs::write(folder.path().join("probe"), "").is_ok() {
        return; // root may write anywhere; the test above covers it
    }
    let found = refusal("store-unavailable", folder.path().join("stepbox.db"));
    assert!(found.contains("it cannot be made: Permission denied"), "{found}");
}

#[tokio::test]
async fn refuses_a_newer_version_and_leaves_it_alone() {
    let store = empty_store().await;
    with_instance(&*store).await;
    store.stranger().pragma_update(None, "user_version", 99).unwrap();

    // A program that has the file open fails at the next call, whether it reads or writes.
    let refused = [
        told(store.create_instance(&instance("weekly"), &by(NOW)).await),
        told(store.instances(&tenant(), None).await),
    ];
    assert_eq!(refused, ["store-newer-version"; 2]);

    let path = store.path().to_owned();
    let _folder = store.close();
    let error = SqliteStore::open(&path).unwrap_err();
    let known = super::super::migrate::SCHEMA_VERSION;
    let expected = format!(
        "the store {} has schema version 99; this program knows versions up to {known}",
        path.display()
    );
    assert_eq!(error.to_string(), expected);
    let db = Connection::open(&path).unwrap();
    let count: u32 = db.query_row("SELECT count(*) FROM job_instances", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 1);
}

#[tokio::test]
async fn brings_the_first_version_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stepbox.db");
    let db = Connection::open(&path).unwrap();
    db.execute_batch(include_str!("../../../migrations/sqlite/0001_first.sql")).unwrap();
    db.execute_batch(
        r#"PRAGMA application_id = 1400136312;
           PRAGMA user_version = 1;
           INSERT INTO job_executions
               (id, tenant, instance, status, stoppable, created_at, ended_at, updated_at, attempt,
                lease_token, exit_code, exit_description, failures, context, parameters, job)
           VALUES
               (7, 'default', 'nightly', 6, 1, 1, 3, 3, 1, 1, 'FAILED', '', '[]', '{}', '{}',
                '{"format":"1","connector":"acme","name":"greet","type":"export","label":"Greet",
                  "stoppable":true,"parameters":{},"steps":[]}');
           INSERT INTO step_executions
               (tenant, execution_id, position, name, status, exit_code, exit_description, started_at,
                ended_at, updated_at, read_count, written_count, filtered_count, skipped_count,
                tracking_processed, tracking_is_estimate, warning_count, summary, errors, failures,
                checkpoint)
           VALUES
               ('default', 7, 0, 'export', 6, 'FAILED', '', 2, 3, 3, 5, 5, 0, 0, 5, 0, 0, '{}', '[]', '[]',
                x'0101000000000000000900000000000000000000000000000000');"#,
    )
    .unwrap();
    drop(db);

    let store = SqliteStore::open(&path).unwrap();
    let step = &stored(&store, JobExecutionId(7)).await.steps[0];
    assert_eq!((step.starts, step.retries), (1, 0));
    let checkpoint = Checkpoint { reader: vec![9], ..Checkpoint::default() };
    assert_eq!(step.checkpoint, Some(checkpoint), "of the format without rejected items");
}

/// Regression: while one process created the schema, another process saw its tables but not yet its mark, and took
/// the file for another program's.
#[test]
fn many_open_a_new_file_at_once() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..10 {
        let path = folder.path().join(format!("{round}.db"));
        let start = Barrier::new(8);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    start.wait();
                    SqliteStore::open(&path).unwrap();
                });
            }
        });
        let version: u32 = Connection::open(&path)
            .unwrap()
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .unwrap();
        assert_eq!(version, super::super::migrate::SCHEMA_VERSION);
    }
}

#[tokio::test]
async fn opens_while_somebody_writes_but_waits_to_make_a_schema() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stepbox.db");
    let options = SqliteOptions { busy_timeout_ms: 1, ..SqliteOptions::default() };

    let stranger = Connection::open(&path).unwrap();
    stranger.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let error = SqliteStore::open_with(&path, options.clone()).unwrap_err();
    let expected =
        format!("the store is busy: another process kept `{}` locked for more than 1 ms", path.display());
    assert_eq!(error.to_string(), expected);
    stranger.execute_batch("ROLLBACK").unwrap();

    SqliteStore::open_with(&path, options.clone()).unwrap();
    stranger.execute_batch("BEGIN IMMEDIATE").unwrap();
    let store = SqliteStore::open_with(&path, options).unwrap();
    // Checks that each command makes when it begins, mostly without a result, must not wait for a writer.
    store.cut_leases(Timestamp(1)).await.unwrap();
    store.expire_leases("gone", Timestamp(1)).await.unwrap();
    store.forget_worker("gone").await.unwrap();
    assert_eq!(store.rescue_lost_of(Timestamp(1), &Whose::All).await.unwrap(), []);
}

/// Regression: an older program's rescue failed on a whole and its parts that were lost together, and so did each
/// opening.
#[tokio::test]
async fn a_file_that_an_older_version_could_not_open_any_more_is_mended_by_opening_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stepbox.db");
    let db = Connection::open(&path).unwrap();
    for migration in super::super::migrate::MIGRATIONS.iter().take(6) {
        db.execute_batch(migration).unwrap();
    }
    db.execute_batch("PRAGMA application_id = 1400136312; PRAGMA user_version = 6;").unwrap();
    db.execute_batch(crate::damaged::LOST_IN_PARTS).unwrap();
    drop(db);

    let store = SqliteStore::open(&path).unwrap();
    crate::damaged::a_lost_whole_in_parts_is_ended(&store).await;
    assert_eq!(SqliteStore::check(&path, NOW, false).unwrap(), []);
}
