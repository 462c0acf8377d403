//! The metrics of a process for Prometheus, and their description in docs/operators.md.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use serde_json::json;
use stepbox::batch::clock::{Clock, Timestamp};
use stepbox::batch::element::Tasklet;
use stepbox::batch::error::Halt;
use stepbox::batch::execution::JobExecution;
use stepbox::batch::execution::queue::QueueFilter;
use stepbox::batch::execution::status::BatchStatus;
use stepbox::batch::name::{JobName, TenantId};
use stepbox::batch::ports::RepositoryError;
use stepbox::batch::step_context::StepContext;
use stepbox::{NewInstance, Policy, PublishOptions, Stepbox, SystemClock, WorkerOptions};
use stepbox_store::SqliteStore;
use stepbox_store_testing::interposed::{Call, Interposed, Interposer};
use tokio::sync::Notify;

use crate::support::until;

const PAGE: &str = include_str!("../docs/operators.md");

/// An installation with an export of three good items and a bad one, and with an export that fails.
async fn with_exports(folder: &std::path::Path) -> Stepbox {
    let policy = Policy::own_machine(folder);
    let builder = Stepbox::builder(folder.join("data")).tenant(TenantId::default(), policy);
    let stepbox = builder.open().await.unwrap();
    std::fs::write(folder.join("in.csv"), "sku,name\n1,Chair\n2,Table\n3,Lamp\n4\n").unwrap();
    let tenant = stepbox.tenant(&TenantId::default()).unwrap();
    for (code, source) in [("good", "in.csv"), ("bad", "no.csv")] {
        let local = |path: &str| json!({ "type": "local", "file_path": path });
        let new = NewInstance {
            connector: "stepbox".to_owned(),
            job: "csv_export".to_owned(),
            job_type: "export".to_owned(),
            code: code.to_owned(),
            label: None,
            parameters: json!({ "source": local(source), "storage": local(&format!("{code}.out.csv")) }),
        };
        tenant.create_instance(new).await.unwrap();
    }
    stepbox
}

/// Publishes an execution of each instance, lets a worker run them, and leaves one in the queue.
async fn work(stepbox: &Stepbox) {
    let tenant = stepbox.tenant(&TenantId::default()).unwrap();
    let mut ids = Vec::new();
    for code in ["good", "bad"] {
        ids.push(tenant.publish(code, PublishOptions::default()).await.unwrap().id());
    }
    let options = WorkerOptions { concurrency: 3, ..WorkerOptions::default() };
    let mut worker = stepbox.start_worker(options).await.unwrap();
    let has_ended = |execution: &JobExecution| execution.status.has_ended();
    for id in ids {
        until("ended", async || has_ended(&tenant.execution(id).await.unwrap())).await;
    }
    let health = worker.probe().health();
    assert!(health.is_well() && health.ms_since_store < 15_000, "{health:?}");
    worker.shut_down();
    worker.wait().await.unwrap();
    tenant.publish("good", PublishOptions::default()).await.unwrap();
}

/// The values of all series, by name and labels.
fn values(page: &str) -> BTreeMap<&str, f64> {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit_once(' ').unwrap()).map(|(of, value)| (of, value.parse().unwrap())).collect()
}

#[tokio::test]
async fn what_ran_is_counted_and_timed() {
    let folder = crate::support::tempdir().unwrap();
    let stepbox = with_exports(folder.path()).await;
    work(&stepbox).await;
    let page = stepbox.metrics().await;
    assert!(page.ends_with("# EOF\n"), "{page}");
    let values = values(&page);
    let expected = [
        (r#"stepbox_queue_entries{tenant="default",state="waiting"}"#, 1.0),
        (r#"stepbox_executions_running{tenant="default"}"#, 0.0),
        (r#"stepbox_executions_claimed_total{tenant="default"}"#, 2.0),
        (r#"stepbox_executions_ended_total{tenant="default",status="COMPLETED"}"#, 1.0),
        (r#"stepbox_executions_ended_total{tenant="default",status="FAILED"}"#, 1.0),
        (r#"stepbox_executions_ended_total{tenant="default",status="PAUSED"}"#, 0.0),
        (r#"stepbox_leases_lost_total{tenant="default"}"#, 0.0),
        (r#"stepbox_items_read_total{tenant="default"}"#, 4.0),
        (r#"stepbox_items_written_total{tenant="default"}"#, 3.0),
        (r#"stepbox_items_skipped_total{tenant="default"}"#, 1.0),
        (r#"stepbox_uploads_refused_total{tenant="default"}"#, 0.0),
        ("stepbox_chunk_seconds_count", 1.0),
        ("stepbox_checkpoint_seconds_count", 1.0),
        ("stepbox_worker_slots", 3.0),
        ("stepbox_store_up", 1.0),
        (r#"stepbox_claims_total{outcome="failed"}"#, 0.0),
    ];
    for (series, expected) in expected {
        assert_eq!(values.get(series), Some(&expected), "{series} in\n{page}");
    }
    let at_least_once = [
        r#"stepbox_claims_total{outcome="claimed"}"#,
        "stepbox_claim_seconds_count",
        r#"stepbox_store_call_seconds_count{call="save"}"#,
        r#"stepbox_files_read_bytes_total{tenant="default"}"#,
        r#"stepbox_files_written_bytes_total{tenant="default"}"#,
    ];
    for series in at_least_once {
        assert!(values.get(series).is_some_and(|value| *value >= 1.0), "{series} in\n{page}");
    }
    let age = values[r#"stepbox_queue_oldest_age_seconds{tenant="default",state="waiting"}"#];
    assert!((0.0..600.0).contains(&age), "{age}");
}

/// Runs until it is released.
struct Waits(Arc<Notify>);

#[async_trait]
impl Tasklet for Waits {
    async fn run(&mut self, _: &StepContext) -> Result<Option<String>, Halt> {
        self.0.notified().await;
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

#[tokio::test]
async fn what_a_lost_worker_leaves_is_counted_where_it_is_lost_and_where_it_is_found() {
    let (folder, go) = (crate::support::tempdir().unwrap(), Arc::<Notify>::default());
    let open = || {
        let (policy, go) = (Policy::own_machine(folder.path()), go.clone());
        let builder = Stepbox::builder(folder.path().join("data")).tenant(TenantId::default(), policy);
        builder.tasklet("waits", move |_| Ok(Box::new(Waits(go.clone())))).open()
    };
    let lost = open().await.unwrap();
    let tenant = lost.tenant(&TenantId::default()).unwrap();
    std::fs::write(folder.path().join("connector.yaml"), WAITS).unwrap();
    tenant.install_connector(folder.path()).await.unwrap();
    let (code, label, parameters) = ("wait".to_owned(), None, json!({}));
    let (connector, job, job_type) = ("test".to_owned(), "wait".to_owned(), "test".to_owned());
    tenant.create_instance(NewInstance { connector, job, job_type, code, label, parameters }).await.unwrap();
    let id = tenant.publish("wait", PublishOptions::default()).await.unwrap().id();
    let worker = lost.start_worker(WorkerOptions::default()).await.unwrap();
    until("begun", async || tenant.execution(id).await.unwrap().status != BatchStatus::Starting).await;
    worker.leave().await;
    // Its process lives, so only a worker may decide by the lease that it is lost. This worker takes nothing itself.
    let finder = open().await.unwrap();
    let jobs = vec![JobName::new("another").unwrap()];
    let filter = QueueFilter { jobs, ..QueueFilter::default() };
    let _worker = finder.start_worker(WorkerOptions { filter, ..WorkerOptions::default() }).await.unwrap();
    let rescued = r#"stepbox_executions_rescued_total{tenant="default",fate="requeued"}"#;
    until("found", async || values(&finder.metrics().await).get(rescued) == Some(&1.0)).await;

    go.notify_one();
    let is_counted = |page: &str| values(page)[r#"stepbox_leases_lost_total{tenant="default"}"#] == 1.0;
    until("counted", async || is_counted(&lost.metrics().await)).await;
}

#[tokio::test]
async fn every_metric_is_described_and_no_other() {
    let folder = crate::support::tempdir().unwrap();
    let stepbox = with_exports(folder.path()).await;
    work(&stepbox).await;
    let page = stepbox.metrics().await;
    let typed = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    // A counter's series has `_total` after the name of its type line.
    let name = |line: &str| match line.split_once(' ').unwrap() {
        (name, "counter") => format!("{name}_total"),
        (name, _) => name.to_owned(),
    };
    let mut exported: BTreeSet<String> = typed.map(name).collect();
    // Exists only after the loss of a worker, which another test shows.
    exported.insert("stepbox_executions_rescued_total".to_owned());
    let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| `stepbox_"));
    let described: BTreeSet<String> =
        rows.map(|row| format!("stepbox_{}", row.split('`').next().unwrap())).collect();
    assert_eq!(exported, described);
}

/// Counts how often the store is asked about the queue.
#[derive(Clone, Default)]
struct Asked(Arc<AtomicU64>);

#[async_trait]
impl Interposer for Asked {
    async fn before(&self, call: Call<'_>) -> Result<(), RepositoryError> {
        if call.name() == "queue_depths" {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn after(&self, _: Call<'_>) -> Result<(), RepositoryError> {
        Ok(())
    }
}

/// The test moves its ticks.
#[derive(Default)]
struct Ticks(AtomicU64);

#[async_trait]
impl Clock for Ticks {
    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    fn ticks_us(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    async fn sleep_ms(&self, ms: u64) {
        SystemClock.sleep_ms(ms).await;
    }
}

#[tokio::test]
async fn the_store_is_asked_once_however_many_look() {
    let folder = crate::support::tempdir().unwrap();
    let (asked, ticks) = (Asked::default(), Arc::<Ticks>::default());
    let store = SqliteStore::open(folder.path().join("store.db")).unwrap();
    let store = Interposed { store, interposer: asked.clone() };
    let builder = Stepbox::builder(folder.path().join("data")).repository(Arc::new(store));
    let stepbox = builder.clock(ticks.clone()).open().await.unwrap();
    for (second, expected) in [(0, 1), (1, 2), (5, 3)] {
        ticks.0.store(second * 1_000_000, Ordering::Relaxed);
        futures_util::future::join_all((0..50).map(|_| stepbox.metrics())).await;
        assert_eq!(asked.0.load(Ordering::Relaxed), expected, "at second {second}");
    }
}
