//! Rows that nobody can have written this way: found and named, never guessed at.

use stepbox_batch::execution::Checkpoint;
use stepbox_batch::repository::{ExecutionFilter, ExecutionJournal, JobRepository, RepositoryError, Save};

use super::{TemporaryStore, empty_store};
use crate::conformance::sample::*;

/// A store with one of everything.
async fn filled() -> TemporaryStore {
    let store = empty_store().await;
    store.put_component(&tenant(), &component(1, "greet", 1), &ROOM, &by(NOW)).await.unwrap();
    store.put_connector(&tenant(), &connector("acme", "Acme", &["greet"]), &by(NOW)).await.unwrap();
    with_instance(&*store).await;
    let (_, lease) = started(&*store).await;
    let warnings = [warning("no name")];
    let save = Save {
        step: Some(&step()),
        checkpoint: Some(&Checkpoint::default()),
        warnings: &warnings,
        ..Save::default()
    };
    store.save(&lease, save).await.unwrap();
    store
}

/// Reads everything there is; the first thing that cannot be read.
async fn first_complaint(store: &dyn JobRepository) -> Option<RepositoryError> {
    let tenant = tenant();
    let execution = stepbox_batch::name::JobExecutionId(1);
    store
        .components(&tenant)
        .await
        .err()
        .or(store.connectors(&tenant).await.err())
        .or(store.instances(&tenant, None).await.err())
        .or(store.executions(&tenant, &ExecutionFilter::default()).await.err())
        .or(store.warnings(&tenant, execution).await.err())
}

#[tokio::test]
async fn is_named_by_row_and_column() {
    let healthy = filled().await;
    assert!(first_complaint(&*healthy).await.is_none());
    let rows = [
        ("UPDATE components SET digest = 'abc'", "`digest` of component `abc`", "it is malformed"),
        ("UPDATE components SET size_bytes = -1", "`size_bytes` of component", "-1 is out of range"),
        ("UPDATE jobs SET definition = '{'", "`definition` of job `greet`", "EOF while parsing"),
        ("UPDATE job_instances SET code = 'a b'", "`code` of instance `a b`", "holds the character ` `"),
        ("UPDATE job_instances SET raw_parameters = ''", "`raw_parameters` of instance `nightly`", "EOF"),
        ("UPDATE job_executions SET status = 42", "`status` of execution 1", "no batch status 42"),
        ("UPDATE job_executions SET attempt = -1", "`attempt` of execution 1", "-1 is out of range"),
        ("UPDATE job_executions SET failures = '[{}]'", "`failures` of execution 1", "missing field"),
        (
            r#"UPDATE job_executions SET job = '{"format":"2"}'"#,
            "`job` of execution 1",
            "unknown variant `2`, expected `1`",
        ),
        (
            r#"UPDATE job_executions SET job = json_set(job, '$.colour', 'red')"#,
            "`job` of execution 1",
            "unknown field `colour`",
        ),
        (
            "UPDATE step_executions SET starts = -1",
            "`starts` of step `greet` of execution 1",
            "-1 is out of range",
        ),
        ("UPDATE step_executions SET status = 0", "`status` of step `greet` of execution 1", "status 0"),
        ("UPDATE step_executions SET summary = '[]'", "`summary` of step `greet` of execution 1", "map"),
        (
            "UPDATE step_executions SET checkpoint = x'03'",
            "`checkpoint` of step `greet` of execution 1",
            "it has format 3; this program knows the formats 1 and 2",
        ),
        ("UPDATE warnings SET step = ''", "`step` of a warning of execution 1", "the step name is empty"),
    ];
    for (sql, what, detail) in rows {
        let store = filled().await;
        assert_eq!(store.stranger().execute(sql, []).unwrap(), 1, "{sql}");
        let error = first_complaint(&*store).await.unwrap();
        assert_eq!(error.code(), "store-corrupt", "{sql}");
        let found = error.to_string();
        assert!(found.contains(what) && found.contains(detail), "{sql}: {found}");
    }
}

#[tokio::test]
async fn of_whole_pages_is_told_from_an_unusable_file() {
    let store = filled().await;
    let path = store.path().to_owned();
    let _folder = store.close();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4096..].fill(0xFF);
    std::fs::write(&path, bytes).unwrap();
    let error = super::SqliteStore::open(&path).unwrap_err();
    let expected = format!(
        "the store holds a page of `{}` that cannot be read: database disk image is malformed",
        path.display()
    );
    assert_eq!((error.code(), error.to_string()), ("store-corrupt", expected));
}
