//! The health of a worker: while it waits for different things, and on a store that cannot be used.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::json;
use stepbox::batch::clock::{Clock, Timestamp};
use stepbox::batch::element::Tasklet;
use stepbox::batch::error::Halt;
use stepbox::batch::execution::status::BatchStatus;
use stepbox::batch::name::{JobExecutionId, TenantId};
use stepbox::batch::ports::RepositoryError;
use stepbox::batch::step_context::StepContext;
use stepbox::{
    DatabaseUrl, NewInstance, Policy, PublishOptions, Stepbox, StorePlace, SystemClock, Worker, WorkerEvent,
    WorkerHealth, WorkerOptions, WorkerProbe, migrate_store,
};
use stepbox_store::SqliteStore;
use stepbox_store_testing::interposed::{Call, Interposed, Interposer};
use stepbox_test_postgres::Server;
use tokio::sync::watch;

/// How long an event may take here before the test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until a condition holds.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    let began_at = Instant::now();
    while !is_so() {
        assert!(began_at.elapsed() < PATIENCE, "never {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The operating system's clock, whose ticks can jump ahead, as if the worker had not been seen for that time.
#[derive(Default)]
struct Ticks(AtomicU64);

impl Ticks {
    fn jump(&self, seconds: u64) {
        self.0.fetch_add(seconds * 1_000_000, Ordering::Relaxed);
    }
}

#[async_trait]
impl Clock for Ticks {
    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    fn ticks_us(&self) -> u64 {
        SystemClock.ticks_us() + self.0.load(Ordering::Relaxed)
    }

    async fn sleep_ms(&self, ms: u64) {
        SystemClock.sleep_ms(ms).await;
    }
}

/// How the store behaves.
#[derive(Debug, Clone, Copy)]
enum Manner {
    Answers,
    /// Never answers this question.
    Keeps(&'static str),
    /// Answers each question with this error.
    Fails(fn() -> RepositoryError),
    /// Answers this question with this error.
    FailsAt(&'static str, fn() -> RepositoryError),
    /// Carries out the last save of an execution, and never answers.
    KeepsTheEnd,
}

struct Store {
    manner: watch::Sender<Manner>,
    /// How many questions it has left open.
    open: Arc<AtomicU64>,
}

#[async_trait]
impl Interposer for Store {
    async fn before(&self, call: Call<'_>) -> Result<(), RepositoryError> {
        let mut manner = self.manner.subscribe();
        let keeps = |manner: &Manner| matches!(manner, Manner::Keeps(name) if *name == call.name());
        if keeps(&manner.borrow()) {
            self.open.fetch_add(1, Ordering::Relaxed);
        }
        let now = *manner.wait_for(|manner| !keeps(manner)).await.unwrap();
        match now {
            Manner::Fails(error) => Err(error()),
            Manner::FailsAt(name, error) if name == call.name() => Err(error()),
            _ => Ok(()),
        }
    }

    async fn after(&self, call: Call<'_>) -> Result<(), RepositoryError> {
        if let Call::Save(_, save) = call
            && save.is_last
        {
            let mut manner = self.manner.subscribe();
            let _ = manner.wait_for(|manner| !matches!(manner, Manner::KeepsTheEnd)).await;
        }
        Ok(())
    }
}

/// Runs until it is released, or asked to end.
struct Waits(watch::Receiver<bool>);

#[async_trait]
impl Tasklet for Waits {
    async fn run(&mut self, context: &StepContext) -> Result<Option<String>, Halt> {
        while !*self.0.borrow() && !context.should_stop() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(None)
    }
}

const WAITS: &str = "\
connector: test
jobs:
  wait:
    type: test
    steps: [ { name: wait, tasklet: waits } ]
";

/// An installation with a store that behaves as a test needs, and a job that waits until it is released.
struct Place {
    ticks: Arc<Ticks>,
    store: watch::Sender<Manner>,
    open: Arc<AtomicU64>,
    go: watch::Sender<bool>,
    stepbox: Stepbox,
    events: Arc<Mutex<Vec<WorkerEvent>>>,
}

impl Place {
    async fn new(folder: &Path) -> Self {
        let (ticks, go) = (Arc::<Ticks>::default(), watch::Sender::new(false));
        let store = watch::Sender::new(Manner::Answers);
        let open = Arc::<AtomicU64>::default();
        let interposer = Store { manner: store.clone(), open: open.clone() };
        let sqlite = SqliteStore::open(folder.join("data/stepbox.db")).unwrap();
        let repository = Arc::new(Interposed { store: sqlite, interposer });
        let waits = go.subscribe();
        let stepbox = Stepbox::builder(folder.join("data"))
            .tenant(TenantId::default(), Policy::own_machine(folder))
            .clock(ticks.clone())
            .repository(repository)
            .tasklet("waits", move |_| Ok(Box::new(Waits(waits.clone()))))
            .open()
            .await
            .unwrap();
        install(&stepbox, folder).await;
        Self { ticks, store, open, go, stepbox, events: Arc::default() }
    }

    async fn publish(&self) -> JobExecutionId {
        let tenant = self.stepbox.tenant(&TenantId::default()).unwrap();
        tenant.publish("wait", PublishOptions::default()).await.unwrap().id()
    }

    /// A worker with one place, which is taken by a waiting execution.
    async fn full(&self, grace_ms: u64) -> Worker {
        let worker = self.worker(grace_ms).await;
        self.publish().await;
        until("full", || worker.running() == 1).await;
        worker
    }

    async fn worker(&self, grace_ms: u64) -> Worker {
        let events = self.events.clone();
        let listener = move |event: &WorkerEvent| events.lock().unwrap().push(event.clone());
        let options = WorkerOptions {
            concurrency: 1,
            grace_ms,
            listener: Some(Arc::new(listener)),
            ..WorkerOptions::default()
        };
        self.stepbox.start_worker(options).await.unwrap()
    }

    fn troubles(&self) -> usize {
        let events = self.events.lock().unwrap();
        let is_trouble =
            |event: &&WorkerEvent| matches!(event, WorkerEvent::Trouble { .. } | WorkerEvent::GaveUp { .. });
        events.iter().filter(is_trouble).count()
    }
}

async fn install(stepbox: &Stepbox, folder: &Path) {
    let tenant = stepbox.tenant(&TenantId::default()).unwrap();
    if !tenant.instances(None).await.unwrap().is_empty() {
        return;
    }
    std::fs::write(folder.join("connector.yaml"), WAITS).unwrap();
    tenant.install_connector(folder).await.unwrap();
    let (code, label, parameters) = ("wait".to_owned(), None, json!({}));
    let (connector, job, job_type) = ("test".to_owned(), "wait".to_owned(), "test".to_owned());
    tenant.create_instance(NewInstance { connector, job, job_type, code, label, parameters }).await.unwrap();
}

/// The view of supervisors: live, ready, and the problems.
fn seen(health: &WorkerHealth) -> String {
    let problems: Vec<_> = health.problems.iter().map(|problem| problem.code()).collect();
    format!("live={} ready={} {}", health.is_live(), health.is_ready(), problems.join(" "))
}

/// The worker was not seen for 20 s. A moment later its health is as expected, and stays so.
async fn comes_to(place: &Place, probe: &WorkerProbe, expected: &str, what: &str) {
    place.ticks.jump(20);
    let began_at = Instant::now();
    while seen(&probe.health()) != expected {
        assert!(began_at.elapsed() < PATIENCE, "{what}: never `{expected}`: {:?}", probe.health());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

const WELL: &str = "live=true ready=true ";
const SILENT: &str = "live=true ready=false store-silent";
const STOPPING: &str = "live=true ready=false ";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_waits_is_well_whatever_it_waits_for() {
    let folder = crate::support::tempdir().unwrap();
    let place = Place::new(folder.path()).await;
    // Work, with a free place.
    let mut worker = place.worker(3_600_000).await;
    let probe = worker.probe();
    comes_to(&place, &probe, WELL, "it waits for work").await;

    // An answer of the store: a new process would have the same store.
    for question in ["claim_next", "rescue_lost", "worker_beat"] {
        let before = place.open.load(Ordering::Relaxed);
        place.store.send_replace(Manner::Keeps(question));
        until("asked", || place.open.load(Ordering::Relaxed) > before).await;
        comes_to(&place, &probe, SILENT, question).await;
        place.store.send_replace(Manner::Answers);
        comes_to(&place, &probe, WELL, question).await;
    }
    let silent = || RepositoryError::Unavailable { store: "here".to_owned(), detail: "away".to_owned() };
    place.store.send_replace(Manner::Fails(silent));
    comes_to(&place, &probe, SILENT, "a store that fails").await;
    place.store.send_replace(Manner::Answers);
    comes_to(&place, &probe, WELL, "a store that is there again").await;

    // The end of an execution that takes the only place, for any time.
    place.publish().await;
    until("full", || worker.running() == 1).await;
    for _ in 0..3 {
        comes_to(&place, &probe, WELL, "its places are all taken").await;
        assert_eq!((probe.health().running, probe.health().concurrency), (1, 1));
    }

    // The grace, and then the last executions.
    worker.shut_down();
    comes_to(&place, &probe, STOPPING, "a grace of an hour").await;
    place.go.send_replace(true);
    worker.wait().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_grace_begins_whether_or_not_the_store_hears_of_it() {
    let folder = crate::support::tempdir().unwrap();
    let place = Place::new(folder.path()).await;
    let mut worker = place.full(0).await;
    let began_at = Instant::now();
    place.store.send_replace(Manner::Keeps("worker_beat"));
    worker.shut_down();
    let has_paused = || {
        let events = place.events.lock().unwrap();
        events.iter().any(|event| matches!(event, WorkerEvent::Pausing { running: 1 }))
    };
    until("pausing", has_paused).await;
    assert!(began_at.elapsed() < Duration::from_secs(10), "{:?}", began_at.elapsed());
    place.store.send_replace(Manner::Answers);
    worker.wait().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_ends_on_what_lasts_and_goes_on_with_what_passes() {
    let newer = || RepositoryError::NewerVersion { store: "here".to_owned(), found: 999, known: 6 };
    let refused = || RepositoryError::Refused { store: "here".to_owned(), detail: "no rights".to_owned() };
    let corrupt = || RepositoryError::Corrupt { what: "page".to_owned(), detail: "broken".to_owned() };
    let away = || RepositoryError::Unavailable { store: "here".to_owned(), detail: "away".to_owned() };
    let busy = || RepositoryError::Busy { detail: "many".to_owned() };
    // The behaviour of the store, whether it lasts for the time of a lease, and why the worker ends, if it does.
    let rows: [(Manner, bool, Option<&str>); 8] = [
        (Manner::Fails(newer), false, Some("store-newer-version")),
        (Manner::FailsAt("rescue_lost", newer), false, Some("store-newer-version")),
        (Manner::Fails(refused), false, None),
        (Manner::Fails(refused), true, Some("store-refused")),
        (Manner::Fails(corrupt), true, Some("store-corrupt")),
        // One record is damaged, and the others are not.
        (Manner::FailsAt("claim_next", corrupt), true, None),
        (Manner::Fails(away), true, None),
        (Manner::Fails(busy), true, None),
    ];
    for (manner, lasts, expected) in rows {
        let folder = crate::support::tempdir().unwrap();
        let place = Place::new(folder.path()).await;
        let mut worker = place.worker(0).await;
        place.store.send_replace(manner);
        until("any trouble", || place.troubles() > 0).await;
        if lasts {
            place.ticks.jump(20);
        }
        match expected {
            Some(code) => {
                let ended = tokio::time::timeout(PATIENCE, worker.wait()).await.expect("it ends by itself");
                assert_eq!(ended.unwrap_err().code(), code, "{manner:?}");
                let events = place.events.lock().unwrap();
                assert!(!events.contains(&WorkerEvent::Over), "{events:?}");
                let gave_up = |event: &&WorkerEvent| matches!(event, WorkerEvent::GaveUp { .. });
                assert_eq!(events.iter().filter(gave_up).count(), 1, "{events:?}");
            }
            None => {
                let seen = place.troubles();
                until("ten troubles more", || place.troubles() >= seen + 10).await;
                place.store.send_replace(Manner::Answers);
                place.go.send_replace(true);
                place.publish().await;
                let is_ended = |event: &WorkerEvent| {
                    matches!(event, WorkerEvent::Ended { status: BatchStatus::Completed, .. })
                };
                until("at work again", || place.events.lock().unwrap().iter().any(is_ended)).await;
                worker.shut_down();
                worker.wait().await.unwrap();
            }
        }
    }
}

/// A newer program migrates the store while an execution runs: the worker ends, and leaves everything as it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_whose_store_becomes_newer_ends_and_leaves_what_it_ran_to_others() {
    for is_postgres in [false, true] {
        let folder = crate::support::tempdir().unwrap();
        let data = folder.path().join("data");
        let url = is_postgres.then(|| Server::shared().database().unwrap());
        let go = watch::Sender::new(false);
        let waits = go.subscribe();
        let mut builder = Stepbox::builder(&data)
            .tenant(TenantId::default(), Policy::own_machine(folder.path()))
            .tasklet("waits", move |_| Ok(Box::new(Waits(waits.clone()))));
        if let Some(url) = &url {
            let url = DatabaseUrl::new(url);
            migrate_store(StorePlace::Database(&url)).await.unwrap();
            builder = builder.database_url(url);
        }
        let stepbox = builder.open().await.unwrap();
        install(&stepbox, folder.path()).await;
        let tenant = stepbox.tenant(&TenantId::default()).unwrap();
        let id = tenant.publish("wait", PublishOptions::default()).await.unwrap().id();
        let mut worker = stepbox.start_worker(WorkerOptions::default()).await.unwrap();
        let work = data.join(format!("executions/{id}/work"));
        until("at work", || worker.running() == 1 && work.exists()).await;
        let kept = work.read_dir().unwrap().next().unwrap().unwrap().path().join("kept");
        std::fs::write(&kept, "as it was").unwrap();

        match &url {
            None => {
                let database = rusqlite::Connection::open(data.join("stepbox.db")).unwrap();
                database.pragma_update(None, "user_version", 999).unwrap();
            }
            Some(url) => {
                let name = url.rsplit('/').next().unwrap();
                // The change that a newer program makes to the schema.
                let migration =
                    "BEGIN; LOCK TABLE stepbox_schema; INSERT INTO stepbox_schema VALUES (999, 0);
                     SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                     WHERE datname = current_database() AND usename = current_user
                       AND pid <> pg_backend_pid() AND application_name LIKE 'stepbox%';
                     COMMIT";
                Server::shared().sql(name, migration).unwrap();
            }
        }
        let ended = tokio::time::timeout(PATIENCE, worker.wait()).await.expect("it ends by itself");
        assert_eq!(ended.unwrap_err().code(), "store-newer-version");
        assert_eq!(worker.running(), 0, "nothing goes on behind its back");
        assert_eq!(std::fs::read_to_string(&kept).unwrap(), "as it was");

        // For a program that knows the schema, the execution is as it was, and continues.
        match &url {
            None => {
                let database = rusqlite::Connection::open(data.join("stepbox.db")).unwrap();
                let known = SqliteStore::SCHEMA_VERSION;
                database.pragma_update(None, "user_version", known).unwrap();
            }
            Some(url) => {
                let name = url.rsplit('/').next().unwrap();
                Server::shared().sql(name, "DELETE FROM stepbox_schema WHERE version = 999").unwrap();
            }
        }
        let execution = tenant.execution(id).await.unwrap();
        assert_eq!((execution.status, execution.failures.len()), (BatchStatus::Started, 0), "{execution:?}");
    }
}

/// A process is killed after the last save of an execution, and before it has removed the working folder.
#[test]
fn working_folders_of_executions_that_have_ended_go() {
    // The next start removes the folder: any command finds that the process is gone, and a worker looks at its start.
    for comes_next in ["a command", "a worker"] {
        let folder = crate::support::tempdir().unwrap();
        let work = |id: JobExecutionId| folder.path().join(format!("data/executions/{id}/work"));
        let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let killed = runtime().unwrap();
        let (id, place, worker) = killed.block_on(async {
            let place = Place::new(folder.path()).await;
            let worker = place.worker(0).await;
            place.store.send_replace(Manner::KeepsTheEnd);
            place.go.send_replace(true);
            let id = place.publish().await;
            let tenant = place.stepbox.tenant(&TenantId::default()).unwrap();
            let began_at = Instant::now();
            while tenant.execution(id).await.unwrap().status != BatchStatus::Completed {
                assert!(began_at.elapsed() < PATIENCE, "never completed");
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            (id, place, worker)
        });
        assert!(work(id).exists());
        // Like a kill by the operating system: no thread of the process continues, and its locks are free.
        killed.shutdown_timeout(Duration::from_secs(10));
        assert!(work(id).exists(), "it is the process's end that leaves it");
        if comes_next == "a worker" {
            // Another process may have noticed the dead one already.
            for lock in std::fs::read_dir(folder.path().join("data/workers")).unwrap() {
                std::fs::remove_file(lock.unwrap().path()).unwrap();
            }
        }
        drop((worker, place));

        runtime().unwrap().block_on(async {
            let next = Place::new(folder.path()).await;
            if comes_next == "a worker" {
                assert!(work(id).exists(), "nobody knows of it");
                // A running execution keeps its own.
                let worker = next.full(0).await;
                until("swept", || !work(id).exists()).await;
                let running = work(JobExecutionId(id.0 + 1));
                assert_eq!(running.read_dir().unwrap().count(), 1, "it runs");
                worker.leave().await;
            }
            assert!(!work(id).exists(), "{comes_next}");
        });
    }
}
