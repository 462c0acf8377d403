//! Rows that the store itself never writes: they are found and named, and their values are never guessed.

use stepbox_batch::access::{InstanceRights, Principal, Right, Role, Thing};
use stepbox_batch::audit::AuditFilter;
use stepbox_batch::execution::queue::{Enqueue, QueueFilter};
use stepbox_batch::execution::{Checkpoint, ExecutionFilter, NewJobExecution, Partition, Save};
use stepbox_batch::ports::{
    Accounts, Credentials, ExecutionJournal, Executions, Instances, Inventory, JobRepository, Parts, Workers,
};
use stepbox_batch::worker::Worker;
use stepbox_store_testing::sample::access::*;
use stepbox_store_testing::sample::*;

use super::{TemporaryStore, empty_store};

/// A store with one row of each kind.
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

/// Lists everything; returns the first row that cannot be read.
async fn first_complaint(store: &dyn JobRepository) -> Option<String> {
    let tenant = tenant();
    let execution = stepbox_batch::name::JobExecutionId(1);
    let damaged = [
        store.components(&tenant).await.unwrap().damaged,
        store.connectors(&tenant).await.unwrap().damaged,
        store.instances(&tenant, None).await.unwrap().damaged,
        store.executions(&tenant, &ExecutionFilter::default()).await.unwrap().damaged,
        store.warnings(&tenant, execution).await.unwrap().damaged,
    ];
    if let Some(damaged) = damaged.concat().into_iter().next() {
        return Some(damaged.reason);
    }
    let error = store.execution(&tenant, execution).await.err()?;
    assert_eq!(error.code(), "store-corrupt");
    let remains = store.remains(&tenant, execution).await.unwrap().unwrap();
    assert!(remains.fields.iter().any(|(name, text)| name == "instance" && text == "nightly"));
    remains.damage.into_iter().next()
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
        ("UPDATE job_executions SET context = '{'", "`context` of execution 1", "EOF"),
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
        let found = first_complaint(&*store).await.unwrap();
        assert!(found.contains(what) && found.contains(detail), "{sql}: {found}");
    }
}

/// A store with two rows of each kind; the test will damage the first.
async fn doubled() -> TemporaryStore {
    let store = empty_store().await;
    for (byte, name) in [(1, "alpha"), (2, "beta")] {
        store.put_component(&tenant(), &component(byte, name, 1), &ROOM, &by(NOW)).await.unwrap();
        store.put_connector(&tenant(), &connector(name, name, &[name]), &by(NOW)).await.unwrap();
        store.create_instance(&instance(name), &by(NOW)).await.unwrap();
        let accepted = store.create_execution(&new(name), Some(&claim(name, NOW))).await.unwrap();
        let (execution, lease) = (accepted.0, accepted.1.unwrap());
        let warnings = [warning(name), warning("another one")];
        let checkpoint = Some(&Checkpoint::default());
        let save = Save { step: Some(&step()), checkpoint, warnings: &warnings, ..Save::default() };
        store.save(&lease, save).await.unwrap();
        let queue = Some(Enqueue::at_once(NOW));
        let waiting = NewJobExecution { queue, ..new(name) };
        store.create_execution(&waiting, None).await.unwrap();
        let part = Partition { of: execution.id, position: 0, number: 0, count: 1 };
        let part = NewJobExecution {
            partition: Some(part),
            steps: vec![step()],
            queue: Some(Enqueue::at_once(NOW)),
            ..new(name)
        };
        store.create_partitions(&lease, &[part]).await.unwrap();
        let takes = QueueFilter::default();
        let worker = Worker {
            name: name.to_owned(),
            started_at: NOW,
            seen_at: NOW,
            concurrency: 1,
            filter: takes,
            tenants: vec![tenant()],
            is_stopping: false,
            clock_skew_ms: None,
        };
        store.worker_beat(&worker).await.unwrap();
        with_member(&*store, name, Role::Author).await;
        let rights = InstanceRights { edit: Some([user(name).name].into()), ..InstanceRights::default() };
        store.set_instance_rights(&tenant(), &code(name), &rights, &by(NOW)).await.unwrap();
        signed_in(&*store, byte, name).await;
        with_token(&*store, &token(byte, name)).await;
        store.create_link(&link(byte, Some(name)), &by(NOW)).await.unwrap();
    }
    store
}

/// For each list and call: whether it still returns the second row, or succeeds.
async fn seen(store: &dyn JobRepository) -> Vec<(&'static str, bool)> {
    let tenant = tenant();
    let all = ExecutionFilter::default();
    let beta = ExecutionFilter { instance: Some(code("beta")), ..all.clone() };
    let executions = store.executions(&tenant, &all).await.unwrap();
    let id = store.executions(&tenant, &beta).await.unwrap().last().map(|execution| execution.id);
    let id = id.expect("the second instance has executions");
    let of_beta = executions.iter().filter(|execution| execution.instance.as_str() == "beta").count();
    vec![
        ("executions", of_beta == 2),
        ("components", store.components(&tenant).await.unwrap().iter().any(|c| c.name == "beta")),
        (
            "connectors",
            store.connectors(&tenant).await.unwrap().iter().any(|c| c.label == "beta" && c.jobs.len() == 1),
        ),
        (
            "instances",
            store.instances(&tenant, None).await.unwrap().iter().any(|i| i.code.as_str() == "beta"),
        ),
        ("audit", store.audit(&tenant, &AuditFilter::default()).await.unwrap().len() >= 5),
        ("warnings", store.warnings(&tenant, id).await.unwrap().len() == 2),
        ("workers", store.workers().await.unwrap().iter().any(|w| w.name == "beta")),
        ("held", store.held(NOW).await.unwrap().iter().any(|h| h.worker == "beta")),
        ("depths", !store.queue_depths().await.unwrap().is_empty()),
        ("lost", store.rescue_lost(EARLIER).await.is_ok()),
        ("parts", store.partition_states(&tenant, id, 0).await.unwrap().len() == 1),
        ("ancestry", store.ancestry(&tenant, id).await.unwrap().len() == 1),
        ("execution", store.execution(&tenant, id).await.unwrap().is_some()),
        ("purgeable", store.purgeable(&tenant, &all).await.is_ok()),
        ("users", store.users(None, 0).await.unwrap().iter().any(|user| user.name == name("beta"))),
        ("members", store.members(&tenant).await.unwrap().iter().any(|member| member.user == name("beta"))),
        ("memberships", store.memberships(&name("beta")).await.unwrap().len() == 1),
        ("rights", store.instance_rights(&tenant, &code("beta")).await.unwrap().edit.is_some()),
        ("tokens", store.tokens(Some(&tenant), None).await.unwrap().iter().any(|t| t.owner == name("beta"))),
        ("password", store.password(&name("beta")).await.unwrap().is_some()),
        ("link", store.link(&link_hash(2), NOW).await.unwrap().is_some()),
        ("session", may_edit(of_session(store, 2, NOW).await.map(|found| found.principal))),
        ("token", of_token(store, 2, NOW).await.is_some()),
        ("new", store.create_execution(&new("beta"), Some(&claim("w-9", NOW))).await.is_ok()),
        ("new of the same", store.create_execution(&new("alpha"), Some(&claim("w-9", NOW))).await.is_ok()),
    ]
}

/// Whether a principal may change the second instance.
fn may_edit(principal: Option<Principal>) -> bool {
    principal.is_some_and(|principal| principal.may(Right::Edit, Thing::Instance(&code("beta"))))
}

/// Tables whose rows can be damaged, and which rows are damaged.
const DAMAGED: [(&str, &str); 17] = [
    ("connectors", "code = 'alpha'"),
    ("jobs", "name = 'alpha'"),
    ("components", "name = 'alpha'"),
    ("job_instances", "code = 'alpha'"),
    ("job_executions", "instance = 'alpha'"),
    ("step_executions", "execution_id IN (SELECT id FROM job_executions WHERE instance = 'alpha')"),
    ("warnings", "reason = 'alpha'"),
    ("audit_events", "id = 1"),
    ("queue_entries", "execution_id IN (SELECT id FROM job_executions WHERE instance = 'alpha')"),
    ("workers", "name = 'alpha'"),
    ("users", "name = 'alpha'"),
    ("members", "user_name = 'alpha'"),
    ("instance_rights", "instance = 'alpha'"),
    ("instance_right_users", "user_name = 'alpha'"),
    ("sessions", "user_name = 'alpha'"),
    ("tokens", "owner = 'alpha'"),
    ("one_time_links", "user_name = 'alpha'"),
];

#[tokio::test]
async fn of_any_column_hides_nothing_else() {
    let wrong = ["CAST(x'ff80' AS TEXT)", "''", "'{'", "'[{}]'", "-1", "9223372036854775807", "x'00ff'"];
    let (mut tried, mut failed) = (0, Vec::new());
    for (table, which) in DAMAGED {
        let columns: Vec<String> = {
            let store = empty_store().await;
            let db = store.stranger();
            let mut info = db.prepare(&format!("SELECT name FROM pragma_table_info('{table}')")).unwrap();
            info.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
        };
        let store = doubled().await;
        let backup = store.path().with_extension("backup");
        let db = store.stranger();
        db.execute("VACUUM INTO ?1", [backup.to_str().unwrap()]).unwrap();
        drop(db);
        for column in columns {
            for value in wrong {
                // No number would be left for the next row.
                if column == "id" && value.len() > 18 {
                    continue;
                }
                let file = backup.with_extension(format!("{column}.db"));
                std::fs::copy(&backup, &file).unwrap();
                let db = rusqlite::Connection::open(&file).unwrap();
                let damage = "PRAGMA ignore_check_constraints = on; PRAGMA foreign_keys = off;
                              DROP TRIGGER audit_events_stay_as_they_are;";
                db.execute_batch(damage).unwrap();
                // A value that the table refuses cannot be stored at all.
                let changed = db.execute(&format!("UPDATE {table} SET {column} = {value} WHERE {which}"), []);
                drop(db);
                if changed.is_ok_and(|rows| rows > 0) {
                    tried += 1;
                    let damaged = super::SqliteStore::open(&file).unwrap();
                    let missing = seen(&damaged).await.into_iter().filter(|(_, is_there)| !is_there);
                    let missing: Vec<_> = missing
                        .map(|(what, _)| what)
                        .filter(|what| !is_its_own(table, &column, what))
                        .collect();
                    if !missing.is_empty() {
                        failed.push(format!("{table}.{column} = {value}: {missing:?}"));
                    }
                }
                std::fs::remove_file(&file).unwrap();
            }
        }
    }
    assert!(tried > 300, "{tried}");
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Whether a call needs the damaged row itself, so that it may fail.
fn is_its_own(table: &str, column: &str, what: &str) -> bool {
    match (table, column) {
        // The damaged row changes the name of the instance, so an execution of that instance cannot be accepted.
        ("job_instances", "code" | "tenant") => what == "new of the same",
        _ => false,
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
