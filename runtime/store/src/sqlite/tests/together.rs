//! Requests that are committed together, and the answer of each.

use std::sync::{Arc, mpsc};

use serde_json::json;
use stepbox_batch::execution::{Save, Tracking};
use stepbox_batch::job::JobInstance;
use stepbox_batch::ports::{ExecutionJournal, Instances};
use stepbox_store_testing::sample::*;
use tokio::task::JoinHandle;

use super::super::writer::Durability;
use super::{SqliteOptions, TemporaryStore, empty_store, store_with};

/// Keeps the writer busy; requests wait until [`Held::let_go`].
struct Held {
    go_on: mpsc::Sender<()>,
    holding: JoinHandle<()>,
}

impl Held {
    async fn begin(store: &Arc<TemporaryStore>) -> Self {
        let (is_held, held) = mpsc::channel();
        let (go_on, wait) = mpsc::channel();
        let store = store.clone();
        let holding = tokio::spawn(async move {
            let work = move |_: &_| {
                is_held.send(()).unwrap();
                wait.recv().unwrap();
                Ok(())
            };
            store.writer.write(Durability::Process, work).await.unwrap();
        });
        // The runtime has one thread, so every task has sent its request when this task runs again.
        tokio::task::yield_now().await;
        held.recv().unwrap();
        Self { go_on, holding }
    }

    async fn let_go(self) {
        tokio::task::yield_now().await;
        self.go_on.send(()).unwrap();
        self.holding.await.unwrap();
    }
}

fn create(store: &Arc<TemporaryStore>, instance: JobInstance) -> JoinHandle<&'static str> {
    let store = store.clone();
    tokio::spawn(async move { told(store.create_instance(&instance, &by(NOW)).await) })
}

#[tokio::test]
async fn sixteen_jobs_that_save_at_once_share_a_commit() {
    let store = Arc::new(empty_store().await);
    with_instance(&**store).await;
    let mut jobs = Vec::new();
    for _ in 0..16 {
        jobs.push(started(&**store).await.1);
    }
    let before = store.durable_commits();
    let held = Held::begin(&store).await;
    let save = |lease| {
        let store = store.clone();
        tokio::spawn(async move {
            store.save(&lease, Save { step: Some(&step()), ..Save::default() }).await.unwrap();
        })
    };
    let saves: Vec<_> = jobs.into_iter().map(save).collect();
    held.let_go().await;
    for save in saves {
        save.await.unwrap();
    }
    assert_eq!(store.durable_commits() - before, 1);
}

#[tokio::test]
async fn a_refused_request_takes_nothing_from_its_neighbours() {
    let store = Arc::new(empty_store().await);
    let before = store.durable_commits();
    let held = Held::begin(&store).await;
    let answers = ["a", "b", "a", "c"].map(|code| create(&store, instance(code)));
    held.let_go().await;
    let mut found = Vec::new();
    for answer in answers {
        found.push(answer.await.unwrap());
    }
    assert_eq!(found, ["ok", "ok", "already-exists", "ok"]);
    assert_eq!(store.durable_commits() - before, 1);
    assert_eq!(store.instances(&tenant(), None).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_request_that_does_not_fit_on_the_disk_takes_nothing_from_its_neighbours() {
    let options = SqliteOptions { size_bytes_max: Some(512 << 10), ..SqliteOptions::default() };
    let store = Arc::new(store_with(options));
    let too_large = JobInstance { raw_parameters: json!({"text": "x".repeat(1 << 20)}), ..instance("b") };
    let held = Held::begin(&store).await;
    let answers = [instance("a"), too_large, instance("c")].map(|instance| create(&store, instance));
    held.let_go().await;
    let mut found = Vec::new();
    for answer in answers {
        found.push(answer.await.unwrap());
    }
    assert_eq!(found, ["ok", "store-unavailable", "ok"]);
    assert_eq!(store.instances(&tenant(), None).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_defect_in_one_request_takes_nothing_from_its_neighbours() {
    let store = Arc::new(empty_store().await);
    let held = Held::begin(&store).await;
    let before = create(&store, instance("a"));
    let defect = {
        let store = store.clone();
        tokio::spawn(async move {
            let work = |db: &rusqlite::Connection| {
                db.execute("DELETE FROM job_instances", [])?;
                panic!("a defect, on purpose")
            };
            store.writer.write::<()>(Durability::Power, work).await.unwrap_err()
        })
    };
    let after = create(&store, instance("b"));
    held.let_go().await;
    assert_eq!((before.await.unwrap(), after.await.unwrap()), ("ok", "ok"));
    let error = defect.await.unwrap().to_string();
    assert!(error.ends_with("a defect of Stepbox ended this call; nothing of it was written"), "{error}");
    assert_eq!(store.instances(&tenant(), None).await.unwrap().len(), 2);
}

#[tokio::test]
async fn progress_alone_waits_for_no_disk() {
    let store = empty_store().await;
    with_instance(&*store).await;
    let (execution, lease) = started(&*store).await;
    store.save(&lease, Save { step: Some(&step()), ..Save::default() }).await.unwrap();
    let before = store.durable_commits();
    let tracking = Tracking { processed: 7, ..Tracking::default() };
    store.save_tracking(&lease, 0, tracking, NOW).await.unwrap();
    assert_eq!(stored(&*store, execution.id).await.steps[0].tracking, tracking, "everybody sees it");
    assert_eq!(store.durable_commits(), before);

    store.heartbeat(&lease, NOW, LEASE_MS).await.unwrap();
    assert_eq!(store.durable_commits(), before + 1);
}

#[tokio::test]
async fn what_was_asked_for_is_done_before_the_file_is_closed() {
    let store = Arc::new(empty_store().await);
    let held = Held::begin(&store).await;
    let forgotten = create(&store, instance("a"));
    tokio::task::yield_now().await;
    forgotten.abort();
    held.let_go().await;
    let path = store.path().to_owned();
    let _folder = Arc::into_inner(store).unwrap().close();

    let store = super::SqliteStore::open(path).unwrap();
    assert_eq!(store.instances(&tenant(), None).await.unwrap().len(), 1, "nobody waited, it was done");
}
