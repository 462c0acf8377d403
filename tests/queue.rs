//! The queue and a worker in this process: the order of executions, and that a worker leaves nothing behind.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::json;
use stepbox::batch::clock::{Clock, Timestamp};
use stepbox::batch::element::Tasklet;
use stepbox::batch::error::Halt;
use stepbox::batch::execution::ExecutionFilter;
use stepbox::batch::execution::event::{EventKind, EventNumber};
use stepbox::batch::execution::status::BatchStatus;
use stepbox::batch::name::{JobExecutionId, TenantId};
use stepbox::batch::step_context::StepContext;
use stepbox::{
    Builder, DatabaseUrl, Error, LogListener, NewInstance, Policy, PublishOptions, Published, Quotas,
    RunOptions, Stepbox, StorePlace, SystemClock, Tenant, WorkerListener, WorkerOptions, migrate_store,
};
use stepbox_test_postgres::Server;

use crate::support::until;

/// The tenant of each execution that ran, in order. An execution whose worker left may be there twice.
type Diary = Arc<Mutex<Vec<(String, JobExecutionId)>>>;

fn distinct(diary: &Diary) -> usize {
    diary.lock().unwrap().iter().map(|(_, id)| *id).collect::<BTreeSet<_>>().len()
}

/// Records its tenant and execution.
struct Notes(Diary);

#[async_trait]
impl Tasklet for Notes {
    async fn run(&mut self, context: &StepContext) -> Result<Option<String>, Halt> {
        let whose = context.run().parameters["whose"].as_str().unwrap_or_default().to_owned();
        self.0.lock().unwrap().push((whose, context.run().info.id));
        Ok(None)
    }
}

const JOBS: &str = r#"
connector: test
jobs:
  note:
    type: test
    parameters: { properties: { whose: { type: string } } }
    steps: [ { name: note, tasklet: notes } ]
  alone:
    type: test
    concurrency: 1
    parameters: { properties: { whose: { type: string } } }
    steps: [ { name: note, tasklet: notes } ]
"#;

async fn open(folder: &Path, diary: &Diary, tenants: &[&str], quotas: Quotas) -> Stepbox {
    open_on(Stepbox::builder(folder.join("data")), folder, diary, tenants, quotas).await
}

async fn open_on(
    builder: Builder,
    folder: &Path,
    diary: &Diary,
    tenants: &[&str],
    quotas: Quotas,
) -> Stepbox {
    let diary = diary.clone();
    let mut builder = builder.tasklet("notes", move |_| Ok(Box::new(Notes(diary.clone()))));
    for tenant in tenants {
        builder =
            builder.tenant(TenantId::new(*tenant).unwrap(), Policy::nothing().with_quotas(quotas.clone()));
    }
    let stepbox = builder.open().await.unwrap();
    std::fs::write(folder.join("connector.yaml"), JOBS).unwrap();
    for tenant in tenants {
        let tenant = stepbox.tenant(&TenantId::new(*tenant).unwrap()).unwrap();
        tenant.install_connector(folder).await.unwrap();
        for job in ["note", "alone"] {
            let new = NewInstance {
                connector: "test".to_owned(),
                job: job.to_owned(),
                job_type: "test".to_owned(),
                code: job.to_owned(),
                label: None,
                parameters: json!({ "whose": tenant.id() }),
            };
            tenant.create_instance(new).await.unwrap();
        }
    }
    stepbox
}

fn tenant(stepbox: &Stepbox, name: &str) -> Tenant {
    stepbox.tenant(&TenantId::new(name).unwrap()).unwrap()
}

async fn publish(tenant: &Tenant, times: usize) {
    for _ in 0..times {
        tenant.publish("note", PublishOptions::default()).await.unwrap();
    }
}

/// Works until this many tasklets have run, and then ends in good order.
async fn work(stepbox: &Stepbox, options: WorkerOptions, diary: &Diary, count: usize) {
    let mut worker = stepbox.start_worker(options).await.unwrap();
    until("so many ran", async || distinct(diary) >= count).await;
    worker.shut_down();
    worker.wait().await.unwrap();
}

async fn check_all_completed(tenant: &Tenant) {
    let executions = tenant.executions(&ExecutionFilter::default()).await.unwrap();
    assert!(executions.iter().all(|execution| execution.status == BatchStatus::Completed), "{executions:?}");
}

#[tokio::test]
async fn five_jobs_are_done_among_the_first_twenty_however_many_another_tenant_has() {
    for concurrency in [1, 4] {
        let (folder, diary) = (crate::support::tempdir().unwrap(), Diary::default());
        let tenants = ["many", "few"];
        let stepbox = open(folder.path(), &diary, &tenants, Quotas::default()).await;
        publish(&tenant(&stepbox, "many"), 500).await;
        publish(&tenant(&stepbox, "few"), 5).await;
        let options = WorkerOptions { concurrency, ..WorkerOptions::default() };
        work(&stepbox, options, &diary, 505).await;
        let diary = diary.lock().unwrap();
        let few = diary[..20].iter().filter(|(whose, _)| whose == "few").count();
        assert_eq!((diary.len(), few), (505, 5), "{:?}", &diary[..20]);
    }
}

#[tokio::test]
async fn a_queue_that_is_full_refuses_and_a_double_is_not_published() {
    let (folder, diary) = (crate::support::tempdir().unwrap(), Diary::default());
    let quotas = Quotas { queued_max: 2, ..Quotas::default() };
    let stepbox = open(folder.path(), &diary, &["one"], quotas).await;
    let one = tenant(&stepbox, "one");
    let unique = || PublishOptions { is_unique: true, ..PublishOptions::default() };
    let first = one.publish("note", unique()).await.unwrap();
    let Published::Queued(id) = first else { panic!("{first:?}") };
    assert_eq!(one.publish("note", unique()).await.unwrap(), Published::ThereAlready(id));
    one.publish("note", PublishOptions::default()).await.unwrap();
    let refused = one.publish("note", PublishOptions::default()).await.unwrap_err();
    assert_eq!(refused.code(), "queue-full", "{refused}");
    work(&stepbox, WorkerOptions::default(), &diary, 2).await;
    one.publish("note", unique()).await.unwrap();
}

#[tokio::test]
async fn one_worker_at_a_time_is_started() {
    let (folder, diary) = (crate::support::tempdir().unwrap(), Diary::default());
    let stepbox = open(folder.path(), &diary, &["one"], Quotas::default()).await;
    let first = stepbox.start_worker(WorkerOptions::default()).await.unwrap();
    let refused = stepbox.start_worker(WorkerOptions::default()).await.unwrap_err();
    assert_eq!(refused.code(), "worker-exists");
    let stranger = WorkerOptions { tenants: vec![TenantId::new("two").unwrap()], ..WorkerOptions::default() };
    assert_eq!(stepbox.start_worker(stranger).await.unwrap_err().code(), "unknown-tenant");
    drop(first);
    stepbox.start_worker(WorkerOptions::default()).await.unwrap();
}

/// Regression: the second worker was refused for as long as the handle of the first one existed.
#[tokio::test]
async fn a_worker_that_has_ended_makes_room_for_another() {
    let (folder, diary) = (crate::support::tempdir().unwrap(), Diary::default());
    let stepbox = open(folder.path(), &diary, &["one"], Quotas::default()).await;
    let mut first = stepbox.start_worker(WorkerOptions::default()).await.unwrap();
    first.shut_down();
    first.wait().await.unwrap();
    let second = stepbox.start_worker(WorkerOptions::default()).await.unwrap();
    // Dropping the first one has no effect on the second.
    drop(first);
    let refused = stepbox.start_worker(WorkerOptions::default()).await.unwrap_err();
    assert_eq!(refused.code(), "worker-exists");
    drop(second);
    stepbox.start_worker(WorkerOptions::default()).await.unwrap();
}

/// Regression: an execution was lost together with the listener that received its event.
#[tokio::test]
async fn listeners_that_panic_cost_nothing() {
    let (folder, diary) = (crate::support::tempdir().unwrap(), Diary::default());
    let stepbox = open(folder.path(), &diary, &["one"], Quotas::default()).await;
    let tenant = tenant(&stepbox, "one");
    publish(&tenant, 3).await;
    let listener: Option<WorkerListener> = Some(Arc::new(|_| panic!("a listener's defect")));
    work(&stepbox, WorkerOptions { listener, ..WorkerOptions::default() }, &diary, 3).await;
    let log: Option<LogListener> = Some(Arc::new(|_| panic!("a listener's defect")));
    let mut running = tenant.run("note", RunOptions { log, ..RunOptions::default() }).await.unwrap();
    assert_eq!(running.wait().await.unwrap().status, BatchStatus::Completed);
    let all = tenant.executions(&ExecutionFilter::default()).await.unwrap();
    let attempts: Vec<_> = all.iter().map(|execution| execution.status).collect();
    assert_eq!(attempts, [BatchStatus::Completed; 4]);
    assert_eq!(diary.lock().unwrap().len(), 4, "each ran once");
}

#[tokio::test]
async fn nothing_waits_for_a_moment_that_is_none() {
    let (folder, diary) = (crate::support::tempdir().unwrap(), Diary::default());
    let stepbox = open(folder.path(), &diary, &["one"], Quotas::default()).await;
    let tenant = tenant(&stepbox, "one");
    for (ms, is_taken) in [
        (0, true),
        (253_402_207_200_999, true),
        (-1, false),
        (253_402_207_201_000, false),
        (i64::MAX, false),
        (i64::MIN, false),
    ] {
        let options = PublishOptions { available_at: Some(Timestamp(ms)), ..PublishOptions::default() };
        let published = tenant.publish("note", options).await;
        let code = published.as_ref().map_or_else(Error::code, |_| "taken");
        assert_eq!(code, if is_taken { "taken" } else { "bad-moment" }, "{ms}");
    }
}

/// Two hundred lives of a worker, each with an execution, end in several ways. None leaves anything behind.
#[tokio::test]
async fn nothing_is_left_of_a_worker() {
    let (folder, diary) = (crate::support::tempdir().unwrap(), Diary::default());
    let stepbox = open(folder.path(), &diary, &["one"], Quotas::default()).await;
    live_often(&stepbox, &diary, |cycle| {
        let (files, tasks) = (open_files(folder.path()), tasks());
        assert!(files <= FILES_MAX && tasks == 0, "after {cycle} cycles: {files} files and {tasks} tasks");
    })
    .await;
}

/// The same on a database: no more connections than are kept, and none once the installation is gone.
#[tokio::test]
async fn nothing_is_left_of_a_worker_on_postgresql() {
    let server = Server::shared();
    let url = server.database().unwrap();
    let database = url.rsplit('/').next().unwrap();
    let connections = || {
        let sql = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND pid <> pg_backend_pid()"
        );
        server.sql(database, &sql).unwrap().trim().parse::<usize>().unwrap()
    };
    let place = DatabaseUrl::new(&url);
    migrate_store(StorePlace::Database(&place)).await.unwrap();
    let (folder, diary) = (crate::support::tempdir().unwrap(), Diary::default());
    let builder = Stepbox::builder(folder.path().join("data")).database_url(place);
    let stepbox = open_on(builder, folder.path(), &diary, &["one"], Quotas::default()).await;
    live_often(&stepbox, &diary, |cycle| {
        let open = connections();
        assert!(open <= CONNECTIONS_MAX, "after {cycle} cycles: {open} connections");
    })
    .await;
    drop(stepbox);
    let began_at = Instant::now();
    while connections() > 0 {
        assert!(began_at.elapsed() < Duration::from_secs(60), "{} connections are left", connections());
        tokio::task::yield_now().await;
    }
}

/// The most files that an installation has open: its lock; the database, its log and the log's index for each of five
/// connections, which are opened as they are needed; and its five folders, which no job may reach.
const FILES_MAX: usize = 16 + 5;

/// The most connections of an installation: the pool's, and the one that listens for new work.
const CONNECTIONS_MAX: usize = 17;

/// Two hundred lives of a worker. After some of them, the test checks once everything has settled.
async fn live_often(stepbox: &Stepbox, diary: &Diary, mut look: impl FnMut(usize)) {
    let one = tenant(stepbox, "one");
    for cycle in 0..200 {
        publish(&one, 2).await;
        match cycle % 3 {
            0 => work(stepbox, WorkerOptions::default(), diary, 2 * (cycle + 1)).await,
            1 => {
                let mut worker = stepbox.start_worker(WorkerOptions::default()).await.unwrap();
                worker.shut_down();
                worker.wait().await.unwrap();
            }
            _ => stepbox.start_worker(WorkerOptions::default()).await.unwrap().leave().await,
        }
        if cycle % 3 == 0 && cycle >= 30 {
            look(cycle);
        }
    }
    work(stepbox, WorkerOptions::default(), diary, 400).await;
    check_all_completed(&one).await;
    assert_eq!(stepbox.workers().await.unwrap(), [], "none is listed, and no lease is held");
}

/// Files that this process has open below a folder, including connections to the store.
fn open_files(folder: &Path) -> usize {
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    // A descriptor that is gone by now was another test's.
    open.filter_map(|entry| entry.unwrap().path().read_link().ok())
        .filter(|path| path.starts_with(folder))
        .count()
}

fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

/// Another handle reads what a worker does, event by event, and each tenant reads its own.
#[tokio::test]
async fn what_a_worker_does_is_read_as_events() {
    let (folder, diary) = (crate::support::tempdir().unwrap(), Diary::default());
    let stepbox = open(folder.path(), &diary, &["one", "two"], Quotas::default()).await;
    let (one, two) = (tenant(&stepbox, "one"), tenant(&stepbox, "two"));
    publish(&one, 2).await;
    publish(&two, 1).await;
    let reader = async {
        let (mut kinds, mut after) = (BTreeMap::<_, Vec<_>>::new(), EventNumber::BEGINNING);
        while kinds.values().filter(|life| life.last() == Some(&EventKind::Ended)).count() < 2 {
            let page = one.events(after, 100).await.unwrap();
            assert!(page.is_complete);
            after = page.next;
            for event in page.events {
                assert_eq!((&event.tenant, event.instance.as_str()), (one.id(), "note"));
                kinds.entry(event.id).or_default().push(event.happened.kind());
            }
            one.wait_for_events(after, 1000).await;
        }
        kinds
    };
    let (lives, ()) = tokio::join!(reader, work(&stepbox, WorkerOptions::default(), &diary, 3));
    let life = [EventKind::Submitted, EventKind::Started, EventKind::StepEnded, EventKind::Ended];
    assert!(lives.len() == 2 && lives.values().all(|found| *found == life), "{lives:?}");
    let all = stepbox.events(EventNumber::BEGINNING, 100).await.unwrap();
    let of_two = two.events(EventNumber::BEGINNING, 100).await.unwrap();
    assert_eq!((all.events.len(), of_two.events.len()), (12, 4));
}

/// The system's clock, a week and a day ahead.
struct NextWeek;

#[async_trait]
impl Clock for NextWeek {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus_ms(8 * 24 * 3_600_000)
    }

    fn ticks_us(&self) -> u64 {
        SystemClock.ticks_us()
    }

    async fn sleep_ms(&self, ms: u64) {
        SystemClock.sleep_ms(ms).await;
    }
}

#[tokio::test]
async fn events_are_kept_for_a_week() {
    let (folder, diary) = (crate::support::tempdir().unwrap(), Diary::default());
    let stepbox = open(folder.path(), &diary, &["one"], Quotas::default()).await;
    publish(&tenant(&stepbox, "one"), 1).await;
    drop(stepbox);
    let builder = Stepbox::builder(folder.path().join("data")).clock(Arc::new(NextWeek));
    let policy = Policy::nothing();
    let stepbox = builder.tenant(TenantId::new("one").unwrap(), policy).open().await.unwrap();
    let page = tenant(&stepbox, "one").events(EventNumber::BEGINNING, 10).await.unwrap();
    assert!(page.events.is_empty() && !page.is_complete, "{page:?}");
    let next = tenant(&stepbox, "one").events(page.next, 10).await.unwrap();
    assert!(next.events.is_empty() && next.is_complete, "{next:?}");
}
