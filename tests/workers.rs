//! Workers as processes: killed, stopped, shut down, and what happens to their executions.
#![expect(clippy::print_stdout, reason = "`cargo xtask failover` tells the figures")]

mod parts;

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use stepbox::batch::execution::JobExecution;
use stepbox::batch::execution::queue::QueueState;
use stepbox::batch::execution::status::BatchStatus;
use stepbox::batch::name::JobExecutionId;
use stepbox::{InstanceEdit, NewInstance, PublishOptions};
use stepbox_test_postgres::{Durability, Proxy, Server};
use stepbox_tests::guard::Guarded;

use crate::support::{Installation, counts, ending, local, stepbox_binary, until};

/// How long an event may take here before the test gives up.
const PATIENCE: Duration = Duration::from_secs(180);

/// Small chunks and frequent checkpoints, so that a run lasts for many of them.
const JOBS: &str = r#"
jobs:
  slow_export:
    type: export
    parameters:
      extends: csv_export
    steps:
      - &step
        name: export
        reader: { csv: { from: "${parameters.source}" } }
        writer: { csv: { to: "${parameters.storage}" } }
        chunk: 10
        checkpoint: { seconds: 0.1 }
  slow_export_in_parts:
    type: export
    parameters:
      extends: csv_export
    steps: [ { <<: *step, partitions: 4 } ]
"#;

/// How many rows are exported: few in the tests, a million by `cargo xtask failover`.
fn rows() -> usize {
    std::env::var("STEPBOX_FAILOVER_ROWS").map_or(2_000_000, |rows| rows.parse().expect("a number of rows"))
}

/// How long leases last: short in the tests, the default by `cargo xtask failover`.
fn lease() -> (String, Duration) {
    let text = std::env::var("STEPBOX_FAILOVER_LEASE").unwrap_or_else(|_| "2s".to_owned());
    let seconds = text.trim_end_matches('s').parse().expect("a number of seconds");
    (text, Duration::from_secs(seconds))
}

/// The store of executions and queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Store {
    /// A file that all workers have open; they share the data folder.
    Sqlite,
    /// A database; each worker has a data folder of its own, as on a machine of its own.
    Postgres,
}

/// An installation with an export, and its workers.
struct Fleet {
    installation: Installation,
    rows: usize,
    input: String,
    /// `None` for the store in the data folder.
    database: Option<String>,
}

impl Fleet {
    async fn new(store: Store) -> Self {
        Self::with(store, "slow_export", rows()).await
    }

    /// With another job, and this many rows.
    async fn with(store: Store, job: &str, rows: usize) -> Self {
        let database = (store == Store::Postgres).then(|| Server::shared().database().expect("a database"));
        Self::on(database, job, rows).await
    }

    async fn on(database: Option<String>, job: &str, rows: usize) -> Self {
        if let Some(url) = &database {
            let migrated = Command::new(stepbox_binary())
                .args(["--data-dir", "/nowhere", "store", "migrate"])
                .env("STEPBOX_DATABASE_URL", url)
                .output();
            assert!(migrated.is_ok_and(|output| output.status.success()), "the database has its tables");
        }
        let installation = Installation::with(|builder| match &database {
            Some(url) => builder.database_url(url.parse().expect("the URL of a database")),
            None => builder,
        })
        .await;
        installation.install(&[], JOBS).await;
        let lines: String = (0..rows).map(|row| format!("{row},item {row}\n")).collect();
        let input = format!("sku,name\n{lines}");
        installation.write("in.csv", &input);
        let new = NewInstance {
            connector: "test".to_owned(),
            job: job.to_owned(),
            job_type: "export".to_owned(),
            code: "export".to_owned(),
            label: None,
            parameters: json!({ "source": local("in.csv"), "storage": local("out.csv") }),
        };
        installation.tenant.create_instance(new).await.expect("the parameters are right");
        Self { installation, rows, input, database }
    }

    async fn publish(&self, options: PublishOptions) -> JobExecutionId {
        self.installation.tenant.publish("export", options).await.expect("there is room").id()
    }

    fn worker(&self) -> WorkerProcess {
        self.worker_at(self.database.as_deref())
    }

    /// A worker that reaches the database at another address.
    fn worker_at(&self, database: Option<&str>) -> WorkerProcess {
        static WORKERS: AtomicU32 = AtomicU32::new(0);
        let (lease, _) = lease();
        let data = match database {
            Some(_) => format!("data-{}", WORKERS.fetch_add(1, Ordering::Relaxed)),
            None => "data".to_owned(),
        };
        let log =
            std::fs::File::options().create(true).append(true).open(self.installation.path("workers.log"));
        let mut worker = Command::new(stepbox_binary());
        worker
            .current_dir(self.installation.folder.path())
            .args(["--data-dir", &data, "worker", "--concurrency", "2", "--grace", "0s", "--lease", &lease])
            .envs(database.map(|url| ("STEPBOX_DATABASE_URL", url)))
            .stdout(Stdio::null())
            .stderr(log.expect("a file for what they say"));
        WorkerProcess(Guarded::spawn(&mut worker).expect("the program starts"))
    }

    /// Waits until this many workers have logged that they look into the queue.
    async fn have_begun(&self, workers: usize) {
        let began_at = Instant::now();
        loop {
            let told = std::fs::read_to_string(self.installation.path("workers.log")).unwrap_or_default();
            if told.matches("takes executions from the queue").count() >= workers {
                return;
            }
            assert!(began_at.elapsed() < PATIENCE, "never {workers} workers: {told}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn execution(&self, id: JobExecutionId) -> JobExecution {
        self.installation.tenant.execution(id).await.expect("it is there")
    }

    /// Waits until an execution is in the state that a test needs.
    async fn wait_until(
        &self,
        id: JobExecutionId,
        what: &str,
        is_so: impl Fn(&JobExecution) -> bool,
    ) -> JobExecution {
        let began_at = Instant::now();
        loop {
            let execution = self.execution(id).await;
            if is_so(&execution) {
                return execution;
            }
            let told = || std::fs::read_to_string(self.installation.path("workers.log")).unwrap_or_default();
            assert!(began_at.elapsed() < PATIENCE, "never {what}: {execution:?}\n{}", told());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Stops a worker between two writes: a worker that is stopped while it writes to the file blocks all other
    /// writers.
    async fn suspend(&self, worker: &WorkerProcess) {
        let began_at = Instant::now();
        let write = || {
            let edit = InstanceEdit { label: Some("Export".to_owned()), ..InstanceEdit::default() };
            self.installation.tenant.edit_instance("export", edit)
        };
        loop {
            worker.signal("STOP");
            if write().await.is_ok() {
                return;
            }
            worker.signal("CONT");
            // The worker has to continue a little before it is stopped again.
            while let Err(error) = write().await {
                assert!(began_at.elapsed() < PATIENCE, "{error}");
            }
        }
    }

    /// Waits until one of the workers has made a checkpoint. Returns this worker, and then the others.
    async fn running(
        &self,
        id: JobExecutionId,
        mut workers: Vec<WorkerProcess>,
    ) -> (WorkerProcess, Vec<WorkerProcess>) {
        let is_under_way = |execution: &JobExecution| {
            assert!(execution.ended_at.is_none(), "it ended before anything happened: {execution:?}");
            execution.steps.first().is_some_and(|step| step.counts.written > 0)
        };
        let execution = self.wait_until(id, "at a checkpoint", is_under_way).await;
        (holder(&execution, &mut workers), workers)
    }

    /// Waits for the end, and compares it with an undisturbed run.
    async fn check_completed(&self, id: JobExecutionId) -> JobExecution {
        let execution = self.wait_until(id, "ended", |execution| execution.ended_at.is_some()).await;
        assert_eq!(ending(&execution), "COMPLETED");
        let rows = self.rows;
        assert_eq!(counts(&execution, 0), format!("read={rows} written={rows} filtered=0 skipped=0"));
        assert!(self.installation.read("out.csv") == self.input, "the output is that of an undisturbed run");
        let parts = self.installation.folder.path().read_dir().unwrap().filter_map(|entry| {
            entry.unwrap().file_name().into_string().ok().filter(|name| name.ends_with(".part"))
        });
        assert_eq!(parts.collect::<Vec<_>>(), [""; 0], "nothing is left behind");
        execution
    }
}

/// Takes the worker that holds an execution from the list.
fn holder(execution: &JobExecution, workers: &mut Vec<WorkerProcess>) -> WorkerProcess {
    let index = workers.iter().position(|worker| worker.holds(execution));
    workers.swap_remove(index.unwrap_or_else(|| panic!("{:?} is none of ours", execution.worker)))
}

/// A worker. It is killed at the end of the test, also if the test is killed.
struct WorkerProcess(Guarded);

impl WorkerProcess {
    fn holds(&self, execution: &JobExecution) -> bool {
        execution.worker.as_ref().is_some_and(|name| name.contains(&format!(":{}:", self.0.id())))
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([&format!("-{signal}"), &self.0.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "SIG{signal} is sent");
    }

    fn kill(mut self) {
        self.0.end().expect("it is ours");
    }

    /// Waits for its end, and returns its exit code.
    fn ended(mut self) -> Option<i32> {
        self.0.wait().expect("it is ours").code()
    }
}

#[tokio::test]
async fn a_killed_workers_job_goes_on_in_another() {
    kill_one_of_two(Store::Sqlite).await;
}

#[tokio::test]
async fn a_killed_workers_job_goes_on_in_another_on_postgresql() {
    kill_one_of_two(Store::Postgres).await;
}

async fn kill_one_of_two(store: Store) {
    let fleet = Fleet::new(store).await;
    let workers = vec![fleet.worker(), fleet.worker()];
    let id = fleet.publish(PublishOptions::default()).await;
    let (runs, _others) = fleet.running(id, workers).await;
    let killed_at = Instant::now();
    runs.kill();
    fleet.wait_until(id, "resumed", |execution| execution.attempt == 2).await;
    let gap = killed_at.elapsed();
    println!("resumed {gap:?} after its worker was killed");
    assert!(gap < Duration::from_secs(20), "{gap:?}");
    let execution = fleet.check_completed(id).await;
    assert_eq!(execution.attempt, 2);
}

#[tokio::test]
async fn a_pause_is_heard_by_the_worker_and_lasts_until_it_is_resumed() {
    pause_and_resume(Store::Sqlite, "slow_export").await;
}

#[tokio::test]
async fn a_pause_is_heard_by_the_worker_and_lasts_until_it_is_resumed_on_postgresql() {
    pause_and_resume(Store::Postgres, "slow_export").await;
}

#[tokio::test]
async fn parts_pause_and_go_on_with_their_whole() {
    pause_and_resume(Store::Sqlite, "slow_export_in_parts").await;
}

#[tokio::test]
async fn parts_pause_and_go_on_with_their_whole_on_postgresql() {
    pause_and_resume(Store::Postgres, "slow_export_in_parts").await;
}

/// The execution is paused under way, twice. Nobody continues it meanwhile, and its output is that of an undisturbed run.
async fn pause_and_resume(store: Store, job: &str) {
    let fleet = Fleet::with(store, job, rows()).await;
    let tenant = &fleet.installation.tenant;
    let _workers = [fleet.worker(), fleet.worker()];
    let id = fleet.publish(PublishOptions::default()).await;
    let written = async || {
        let parts = tenant.partitions(id).await.expect("the store answers");
        let steps = parts.into_iter().chain([fleet.execution(id).await]).flat_map(|one| one.steps);
        steps.map(|step| step.counts.written).sum::<u64>()
    };
    let mut before = 0;
    for _ in 0..2 {
        until("further", async || written().await > before).await;
        tenant.pause_execution(id).await.expect("it runs");
        let paused = |execution: &JobExecution| {
            assert!(execution.ended_at.is_none(), "it ended before it was paused: {execution:?}");
            execution.status == BatchStatus::Paused
        };
        fleet.wait_until(id, "paused", paused).await;
        until("paused with its parts", async || {
            let parts = tenant.partitions(id).await.expect("the store answers");
            parts.iter().all(|part| part.ended_at.is_some() || part.status == BatchStatus::Paused)
        })
        .await;
        let entry = tenant.queue_entry(id).await.expect("the store answers").expect("it has not ended");
        assert_eq!(entry.state, QueueState::Paused, "no worker takes it");
        before = written().await;
        tenant.publish_resume(id).await.expect("it is PAUSED");
    }
    fleet.check_completed(id).await;
}

#[tokio::test]
async fn a_stopped_worker_is_fenced_when_it_goes_on() {
    stop_one_of_two(Store::Sqlite).await;
}

#[tokio::test]
async fn a_stopped_worker_is_fenced_when_it_goes_on_on_postgresql() {
    stop_one_of_two(Store::Postgres).await;
}

/// A worker that does not move for longer than its lease, and then continues as if nothing had happened.
async fn stop_one_of_two(store: Store) {
    let fleet = Fleet::new(store).await;
    let workers = vec![fleet.worker(), fleet.worker()];
    let id = fleet.publish(PublishOptions::default()).await;
    let (stopped, _others) = fleet.running(id, workers).await;
    fleet.suspend(&stopped).await;
    let stopped_at = Instant::now();
    fleet.wait_until(id, "resumed", |execution| execution.attempt == 2).await;
    println!("resumed {:?} after its worker was stopped", stopped_at.elapsed());
    let committed = |execution: &JobExecution| execution.steps[0].counts.written;
    let before = committed(&fleet.execution(id).await);
    fleet
        .wait_until(id, "further", |execution| committed(execution) > before || execution.ended_at.is_some())
        .await;
    stopped.signal("CONT");
    let execution = fleet.check_completed(id).await;
    assert_eq!(execution.attempt, 2, "the one that was fenced had no part in it");
    stopped.signal("TERM");
    assert_eq!(stopped.ended(), Some(0), "it ends in good order");
    fleet.check_completed(id).await;
}

/// The server is stopped and started again, twice and in both ways, while jobs run and are published.
#[tokio::test]
async fn a_restart_of_the_server_loses_nothing_and_runs_nothing_twice() {
    let server = Server::start(Durability::Full).expect("a server");
    let fleet = Fleet::on(Some(server.database().expect("a database")), "slow_export", rows()).await;
    let workers = vec![fleet.worker(), fleet.worker()];
    let mut ids = vec![fleet.publish(PublishOptions::default()).await];
    let (_runs, _others) = fleet.running(ids[0], workers).await;
    for mode in ["immediate", "fast"] {
        server.restart(mode).expect("it comes back");
        let overrides = Some(json!({ "storage": local(format!("{mode}.csv")) }));
        let began_at = Instant::now();
        let published = loop {
            let options =
                PublishOptions { overrides: overrides.clone(), is_unique: true, ..PublishOptions::default() };
            match fleet.installation.tenant.publish("export", options).await {
                Ok(published) => break published,
                Err(error) => assert!(began_at.elapsed() < PATIENCE, "{error}"),
            }
        };
        ids.push(published.id());
        let under_way = |execution: &JobExecution| {
            execution.status == BatchStatus::Started || execution.ended_at.is_some()
        };
        fleet.wait_until(published.id(), "begun", under_way).await;
    }
    for (id, mode) in ids[1..].iter().zip(["immediate", "fast"]) {
        let execution = fleet.wait_until(*id, "ended", |execution| execution.ended_at.is_some()).await;
        assert_eq!(ending(&execution), "COMPLETED");
        assert!(fleet.installation.read(&format!("{mode}.csv")) == fleet.input, "{mode}: as undisturbed");
    }
    fleet.check_completed(ids[0]).await;
    let all = fleet.installation.tenant.executions(&Default::default()).await.unwrap();
    assert_eq!(all.len(), 3, "nothing was accepted twice");
}

/// One worker cannot reach the database for twice its lease: the other one continues.
#[tokio::test]
async fn a_worker_that_is_cut_off_is_replaced_and_touches_nothing_any_more() {
    let server = Server::shared();
    let fleet = Fleet::new(Store::Postgres).await;
    let url = fleet.database.clone().expect("a database");
    let proxy = Proxy::start(server.address()).await.expect("a way of its own");
    let cut_off = fleet.worker_at(Some(&server.url_at(&proxy.address(), &url)));
    let id = fleet.publish(PublishOptions::default()).await;
    let (cut_off, _) = fleet.running(id, vec![cut_off]).await;
    let _other = fleet.worker();
    let (_, lease) = lease();
    proxy.cut();
    let cut_at = Instant::now();
    fleet.wait_until(id, "resumed", |execution| execution.attempt == 2).await;
    println!("resumed {:?} after its worker was cut off", cut_at.elapsed());
    tokio::time::sleep((2 * lease).saturating_sub(cut_at.elapsed())).await;
    proxy.mend();
    let execution = fleet.check_completed(id).await;
    assert_eq!(execution.attempt, 2, "the one that was cut off had no part in it");
    cut_off.signal("TERM");
    // The proxy also runs on this thread.
    let ended = tokio::task::spawn_blocking(move || cut_off.ended()).await.expect("it is waited for");
    let told = || std::fs::read_to_string(fleet.installation.path("workers.log")).unwrap_or_default();
    assert_eq!(ended, Some(0), "it ends in good order: {}", told());
    fleet.check_completed(id).await;
}

#[tokio::test]
async fn a_worker_that_is_told_to_end_hands_back_what_it_runs() {
    let fleet = Fleet::new(Store::Sqlite).await;
    let id = fleet.publish(PublishOptions::default()).await;
    let (first, _) = fleet.running(id, vec![fleet.worker()]).await;
    first.signal("TERM");
    assert_eq!(first.ended(), Some(0));
    let paused = fleet.execution(id).await;
    assert_eq!(paused.status, BatchStatus::Paused);
    let entry = fleet.installation.tenant.queue_entry(id).await.unwrap().unwrap();
    assert_eq!((entry.state, entry.losses), (QueueState::Waiting, 0), "it waits, and nobody was lost");
    let _second = fleet.worker();
    assert_eq!(fleet.check_completed(id).await.attempt, 2);
}

#[tokio::test]
async fn a_worker_that_is_told_twice_leaves_at_once_and_loses_nothing() {
    let fleet = Fleet::new(Store::Sqlite).await;
    let id = fleet.publish(PublishOptions::default()).await;
    let (first, _) = fleet.running(id, vec![fleet.worker()]).await;
    // The second signal may come while the worker handles the first one.
    first.signal("TERM");
    first.signal("INT");
    let code = first.ended();
    assert!(matches!(code, Some(0 | 130)), "{code:?}");
    let _second = fleet.worker();
    assert_eq!(fleet.check_completed(id).await.attempt, 2);
}

/// A job that kills its workers ends, and others continue.
#[tokio::test]
async fn a_poison_job_ends_as_failed_and_blocks_nobody() {
    let fleet = Fleet::new(Store::Sqlite).await;
    let poison = fleet.publish(PublishOptions { attempts_max: 2, ..PublishOptions::default() }).await;
    for attempt in [1, 2] {
        let worker = fleet.worker();
        let has_begun = |execution: &JobExecution| {
            execution.attempt == attempt && execution.status == BatchStatus::Started
        };
        fleet.wait_until(poison, "begun", has_begun).await;
        worker.kill();
    }
    let _worker = fleet.worker();
    let failed = fleet.wait_until(poison, "ended", |execution| execution.ended_at.is_some()).await;
    let told = ending(&failed);
    assert!(told.starts_with("FAILED [attempts-exhausted] worker `"), "{told}");
    assert!(told.contains("2 workers were lost over this execution"), "{told}");
    // The folder exists, unless both workers were killed before they made it.
    for entry in fleet.installation.folder.path().read_dir().unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_string_lossy().starts_with(&format!(".out.csv.{poison}.")) {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
    let next = fleet.publish(PublishOptions::default()).await;
    fleet.check_completed(next).await;
}

/// Two processes on one SQLite file share the queue, and run nothing twice.
#[tokio::test]
async fn several_workers_share_the_queue() {
    let installation = Installation::new().await;
    installation.write("in.csv", "sku\n1\n");
    let new = NewInstance {
        connector: "stepbox".to_owned(),
        job: "csv_export".to_owned(),
        job_type: "export".to_owned(),
        code: "export".to_owned(),
        label: None,
        parameters: json!({ "source": local("in.csv"), "storage": local("out.csv") }),
    };
    installation.tenant.create_instance(new).await.unwrap();
    let fleet = Fleet { installation, rows: 1, input: String::new(), database: None };
    let mut ids = Vec::new();
    for number in 0..60 {
        let overrides = Some(json!({ "storage": local(format!("out/{number}.csv")) }));
        ids.push(fleet.publish(PublishOptions { overrides, ..PublishOptions::default() }).await);
    }
    let _workers = [fleet.worker(), fleet.worker(), fleet.worker()];
    let mut by_worker = BTreeSet::new();
    for id in ids {
        let execution = fleet.wait_until(id, "ended", |execution| execution.ended_at.is_some()).await;
        assert_eq!((ending(&execution).as_str(), execution.attempt), ("COMPLETED", 1));
        by_worker.insert(execution.worker);
    }
    assert!(by_worker.len() > 1, "{by_worker:?}");
    assert_eq!(fleet.installation.path("out").read_dir().unwrap().count(), 60);
}

/// How long a process may take to end beside a silent database: five seconds of silence, and a busy machine.
const ENDS_WITHIN: Duration = Duration::from_secs(15);

/// Work that can no longer be saved is left to its lease: no process waits for a silent database.
#[tokio::test]
async fn a_worker_and_a_run_end_although_the_database_is_silent() {
    let server = Server::shared();
    let fleet = Fleet::new(Store::Postgres).await;
    let url = fleet.database.clone().expect("a database");
    for command in ["worker", "run"] {
        let proxy = Proxy::start(server.address()).await.expect("a way of its own");
        let url = server.url_at(&proxy.address(), &url);
        let (process, signal) = match command {
            "worker" => {
                let worker = fleet.worker_at(Some(&url));
                let id = fleet.publish(PublishOptions::default()).await;
                (fleet.running(id, vec![worker]).await.0, "TERM")
            }
            _ => {
                let mut run = Command::new(stepbox_binary());
                run.current_dir(fleet.installation.folder.path()).args([
                    "--data-dir",
                    "data-run",
                    "run",
                    "export",
                ]);
                run.args(["-c", r#"{"storage":{"type":"local","file_path":"run.csv"}}"#]);
                run.env("STEPBOX_DATABASE_URL", &url).stdout(Stdio::null()).stderr(Stdio::null());
                let run = WorkerProcess(Guarded::spawn(&mut run).expect("the program starts"));
                // The worker's execution was the first.
                let execution = async || fleet.installation.tenant.execution(JobExecutionId(2)).await;
                until("the run has come to a checkpoint", async || {
                    execution().await.is_ok_and(|run| run.steps.iter().any(|step| step.counts.written > 0))
                })
                .await;
                (run, "INT")
            }
        };
        proxy.cut();
        process.signal(signal);
        let told_at = Instant::now();
        assert_eq!(process.ended(), Some(8), "{command}");
        assert!(told_at.elapsed() < ENDS_WITHIN, "{command} took {:?}", told_at.elapsed());
    }
}
