//! Other processes: this test program, started again.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rusqlite::Connection;
use stepbox_batch::execution::status::BatchStatus;
use stepbox_batch::execution::{ExecutionFilter, Fate, Save, Tracking};
use stepbox_batch::ports::{ExecutionJournal, Executions};
use stepbox_store_testing::sample::*;

use super::super::writer::Durability;
use super::{SqliteOptions, SqliteStore, empty_store};

const FILE: &str = "STEPBOX_STORE_TEST_FILE";
const ROLE: &str = "STEPBOX_STORE_TEST_ROLE";
/// Prefix of the output of other processes; all other output is from the test harness.
const SAYS: &str = "process says ";

fn start(role: &str, file: &Path) -> (Child, impl Iterator<Item = u64>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sqlite::tests::processes::another_process", "--ignored", "--nocapture"])
        .env(FILE, file)
        .env(ROLE, role)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let numbers = lines.filter_map(|line| {
        let line = line.ok()?;
        line.split_once(SAYS).map(|(_, number)| number.parse().unwrap())
    });
    (child, numbers)
}

fn say(number: u64) {
    writeln!(std::io::stdout(), "\n{SAYS}{number}").unwrap();
}

#[tokio::test]
#[ignore = "what the tests below start as a process of its own"]
async fn another_process() {
    let options = SqliteOptions { busy_timeout_ms: BUSY_MS, ..SqliteOptions::default() };
    let store = SqliteStore::open_with(std::env::var(FILE).unwrap(), options).unwrap();
    match std::env::var(ROLE).unwrap().as_str() {
        "accept twenty" => accept_twenty(&store).await,
        "run for ever" => run_for_ever(&store).await,
        "write slowly" => write_slowly(&store).await,
        "live many lives" => live_many_lives(&store).await,
        role => panic!("no such role: {role}"),
    }
}

async fn accept_twenty(store: &SqliteStore) {
    for _ in 0..20 {
        say(waiting(store).await.id.0);
    }
}

/// How long each of many processes keeps the others from writing, and how long SQLite lets each of them wait, in
/// milliseconds. All turns together take longer than one process would wait for SQLite.
const SLOW_MS: u64 = 150;
const BUSY_MS: u32 = 2000;
const CROWD: u64 = 20;

async fn write_slowly(store: &SqliteStore) {
    for _ in 0..2 {
        let slowly = |_: &_| {
            std::thread::sleep(std::time::Duration::from_millis(SLOW_MS));
            Ok(())
        };
        store.writer.write(Durability::Power, slowly).await.unwrap();
        say(waiting(store).await.id.0);
    }
}

#[tokio::test]
async fn many_processes_write_in_turn_and_none_is_refused() {
    let store = empty_store().await;
    with_instance(&*store).await;
    assert!(CROWD * SLOW_MS > u64::from(BUSY_MS));
    let started: Vec<_> = (0..CROWD).map(|_| start("write slowly", store.path())).collect();
    let mut accepted = Vec::new();
    for (mut child, ids) in started {
        accepted.extend(ids);
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(accepted.len() as u64, 2 * CROWD);
}

async fn run_for_ever(store: &SqliteStore) {
    let (execution, lease) = started(store).await;
    say(execution.id.0);
    let mut step = step();
    for processed in 1.. {
        step.tracking = Tracking { processed, ..Tracking::default() };
        let warnings = [warning("one more")];
        let save = Save { step: Some(&step), warnings: &warnings, ..Save::default() };
        store.save(&lease, save).await.unwrap();
        say(processed);
    }
}

#[tokio::test]
async fn several_processes_accept_at_the_same_time() {
    let store = empty_store().await;
    with_instance(&*store).await;
    let started: Vec<_> = (0..3).map(|_| start("accept twenty", store.path())).collect();
    let mut accepted = Vec::new();
    for _ in 0..20 {
        accepted.push(waiting(&*store).await.id.0);
    }
    for (mut child, ids) in started {
        accepted.extend(ids);
        assert!(child.wait().unwrap().success());
    }
    accepted.sort_unstable();
    let listed = listed(&*store, &ExecutionFilter::default()).await;
    let listed: Vec<_> = listed.into_iter().rev().map(|id| id.0).collect();
    assert_eq!((accepted.len(), accepted), (80, listed), "each id once, and every one is there");
}

#[tokio::test]
async fn what_was_answered_outlives_a_killed_process() {
    let store = empty_store().await;
    with_instance(&*store).await;
    let (mut child, mut numbers) = start("run for ever", store.path());
    let id = stepbox_batch::name::JobExecutionId(numbers.next().unwrap());
    let mut answered = numbers.nth(20).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    answered = numbers.last().unwrap_or(answered);

    let found = stored(&*store, id).await;
    let processed = found.steps[0].tracking.processed;
    assert!(processed == answered || processed == answered + 1, "{processed} stored, {answered} answered");
    let warnings = store.warnings(&tenant(), id).await.unwrap();
    assert_eq!(warnings.len() as u64, processed, "step and warnings go together");
    let whole: String = Connection::open(store.path())
        .unwrap()
        .pragma_query_value(None, "integrity_check", |row| row.get(0))
        .unwrap();
    assert_eq!(whole, "ok");

    assert_eq!(lost(&*store, NOW).await, [(tenant(), id, Fate::Failed)]);
    let found = stored(&*store, id).await;
    assert_eq!((found.status, found.steps[0].status), (BatchStatus::Failed, BatchStatus::Failed));
}

/// Executions that begin and end, one after the other.
async fn live_many_lives(store: &SqliteStore) {
    loop {
        let (mut execution, lease) = started(store).await;
        move_to(store, &lease, &mut execution, BatchStatus::Completed).await;
        store.save(&lease, Save { is_last: true, ..Save::default() }).await.unwrap();
        say(execution.id.0);
    }
}

/// Whenever the process is killed, a change is stored with its event, or neither is stored.
#[tokio::test]
async fn a_killed_process_leaves_no_change_without_its_event() {
    let store = empty_store().await;
    with_instance(&*store).await;
    for round in 1..=5 {
        let (mut child, mut lives) = start("live many lives", store.path());
        lives.nth(round).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let mut told = std::collections::BTreeMap::<_, Vec<_>>::new();
    for event in all_events(&*store, None).await {
        told.entry(event.id).or_default().push(in_words(&event.happened));
    }
    let ids = listed(&*store, &ExecutionFilter::default()).await;
    assert_eq!(told.len(), ids.len());
    for id in ids {
        let expected: &[&str] = match stored(&*store, id).await.status {
            BatchStatus::Starting => &["submitted"],
            BatchStatus::Started => &["submitted", "started"],
            BatchStatus::Completed => &["submitted", "started", "ended COMPLETED"],
            other => panic!("{other}"),
        };
        assert_eq!(told[&id], expected, "execution {id}");
    }
}
