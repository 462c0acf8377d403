//! Many calls at once: what they share, and what only one of them gets.

use std::sync::Arc;

use serde_json::json;
use stepbox_batch::execution::queue::{Enqueue, QueueClaim, QueueFilter};
use stepbox_batch::execution::status::BatchStatus;
use stepbox_batch::execution::{NewJobExecution, Save, StepExecution};
use stepbox_batch::job::JobInstance;
use stepbox_batch::ports::{
    ExecutionJournal, Executions, Instances, Inventory, JobQueue, Leases, Result, Workers,
};
use stepbox_store_testing::sample::*;
use tokio::sync::Barrier;

use super::super::{PostgresOptions, PostgresStore};
use super::store_with;

const MANY: usize = 12;

async fn store() -> Arc<PostgresStore> {
    let store = store_with(PostgresOptions::default()).await;
    with_instance(&store).await;
    Arc::new(store)
}

/// The answers of many calls that begin at the same moment, in order.
async fn at_once<T: Send + 'static, F: Future<Output = Result<T>> + Send + 'static>(
    call: impl Fn(usize) -> F,
) -> Vec<&'static str> {
    let barrier = Arc::new(Barrier::new(MANY));
    let calls: Vec<_> = (0..MANY)
        .map(|number| {
            let (barrier, call) = (barrier.clone(), call(number));
            tokio::spawn(async move {
                barrier.wait().await;
                told(call.await)
            })
        })
        .collect();
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await.unwrap());
    }
    answers.sort_unstable();
    answers
}

fn one_ok(refusal: &'static str) -> Vec<&'static str> {
    let mut expected = vec![refusal; MANY - 1];
    expected.push("ok");
    expected.sort_unstable();
    expected
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_restarts_one_goes_on() {
    let store = store().await;
    let (before, _) = in_status(&*store, BatchStatus::Failed, Hold::Free).await;
    let answers = at_once(|_| {
        let (store, new) = (store.clone(), NewJobExecution { restart_of: Some(before.id), ..new("nightly") });
        async move { store.create_execution(&new, None).await }
    });
    assert_eq!(answers.await, one_ok("in-use"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_unique_ones_one_is_accepted() {
    let store = store().await;
    let queue = Enqueue { is_unique: true, ..Enqueue::at_once(NOW) };
    let new = NewJobExecution { queue: Some(queue), ..new("nightly") };
    let answers = at_once(|_| {
        let (store, new) = (store.clone(), new.clone());
        async move { store.create_execution(&new, None).await }
    });
    assert_eq!(answers.await, one_ok("not-unique"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_that_may_not_run_together_one_begins() {
    let store = store().await;
    let mut new = new("nightly");
    new.job.concurrency = Some(1);
    let answers = at_once(|number| {
        let (store, new) = (store.clone(), new.clone());
        let claim = claim(&format!("w-{number}"), NOW);
        async move { store.create_execution(&new, Some(&claim)).await }
    });
    assert_eq!(answers.await, one_ok("concurrency-reached"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_claims_by_number_one_wins() {
    let store = store().await;
    let execution = waiting(&*store).await;
    let answers = at_once(|number| {
        let (store, claim) = (store.clone(), claim(&format!("w-{number}"), NOW));
        async move { store.claim(&tenant(), execution.id, &claim, &by(NOW)).await }
    });
    assert_eq!(answers.await, one_ok("wrong-status"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_connectors_with_a_job_of_that_name_one_is_installed() {
    let store = store().await;
    let answers = at_once(|number| {
        let (store, name) = (store.clone(), format!("c{number}"));
        async move { store.put_connector(&tenant(), &connector(&name, &name, &["greet"]), &by(NOW)).await }
    });
    assert_eq!(answers.await, one_ok("already-exists"));
}

/// Either the instance is deleted and no execution begins, or an execution begins and the instance is kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_begins_while_its_instance_is_deleted() {
    let store = store().await;
    for round in 0..20 {
        let name = format!("i{round}");
        store.create_instance(&instance(&name), &by(NOW)).await.unwrap();
        let (deleting, accepting) = (store.clone(), store.clone());
        let (code, new) = (code(&name), new(&name));
        let deleted =
            tokio::spawn(
                async move { told(deleting.delete_instance(&tenant(), &code, None, &by(NOW)).await) },
            );
        let accepted = tokio::spawn(async move { told(accepting.create_execution(&new, None).await) });
        let found = (deleted.await.unwrap(), accepted.await.unwrap());
        assert!(matches!(found, ("ok", "not-found") | ("in-use", "ok")), "{found:?}");
    }
}

/// Workers that claim at the same moment keep the limits.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_claims_at_once_keep_to_the_limits() {
    let store = store().await;
    let mut alone = new("nightly");
    alone.job.concurrency = Some(2);
    alone.queue = Some(Enqueue::at_once(EARLIER));
    store.create_instance(&instance("weekly"), &by(NOW)).await.unwrap();
    let free = NewJobExecution { queue: alone.queue.clone(), ..new("weekly") };
    for _ in 0..MANY {
        store.create_execution(&alone, None).await.unwrap();
        store.create_execution(&free, None).await.unwrap();
    }
    let wanted = QueueClaim {
        claim: claim("w-1", NOW),
        tenants: vec![(tenant(), 7)],
        filter: QueueFilter::default(),
        limit: 3,
    };
    at_once(|_| {
        let (store, wanted) = (store.clone(), wanted.clone());
        async move { store.claim_next(&wanted).await }
    })
    .await;
    let held = store.held(NOW).await.unwrap();
    let of = |name: &str| held.iter().filter(|held| held.instance == code(name)).count();
    assert_eq!((held.len(), of("nightly")), (7, 2));
}

/// Publishers of one job wait neither for each other nor for a claim.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_many_publish_is_claimed_once_each() {
    let store = store().await;
    let new = NewJobExecution { queue: Some(Enqueue::at_once(EARLIER)), ..new("nightly") };
    let answers = at_once(|_| {
        let (store, new) = (store.clone(), new.clone());
        async move {
            for _ in 0..10 {
                store.create_execution(&new, None).await?;
            }
            Ok(())
        }
    });
    assert_eq!(answers.await, vec!["ok"; MANY]);
    let wanted = QueueClaim {
        claim: claim("w-1", NOW),
        tenants: vec![(tenant(), 1000)],
        filter: QueueFilter::default(),
        limit: 7,
    };
    let mut taken = Vec::new();
    loop {
        let (one, two) = tokio::join!(store.claim_next(&wanted), store.claim_next(&wanted));
        let both: Vec<_> =
            one.unwrap().into_iter().chain(two.unwrap()).map(|taken| taken.execution.id).collect();
        if both.is_empty() {
            break;
        }
        taken.extend(both);
    }
    let count = taken.len();
    taken.sort_unstable();
    taken.dedup();
    assert_eq!((count, taken.len()), (MANY * 10, MANY * 10));
}

#[tokio::test]
async fn jobs_that_save_at_once_share_commits_and_none_takes_from_another() {
    let store = store().await;
    let mut jobs = Vec::new();
    for _ in 0..60 {
        jobs.push(started(&*store).await);
    }
    let before = store.save_commits();
    let saves: Vec<_> = jobs
        .into_iter()
        .enumerate()
        .map(|(index, (mut execution, lease))| {
            let store = store.clone();
            tokio::spawn(async move {
                // Every third save has a status that may not follow.
                execution.status =
                    if index % 3 == 0 { BatchStatus::Abandoned } else { BatchStatus::Completed };
                let step = StepExecution { warning_count: index as u64, ..step() };
                let save = Save { execution: Some(&execution), step: Some(&step), ..Save::default() };
                let answer = told(store.save(&lease, save).await);
                (index, answer, store.execution(&tenant(), execution.id).await.unwrap().unwrap())
            })
        })
        .collect();
    for save in saves {
        let (index, answer, found) = save.await.unwrap();
        let expected = if index % 3 == 0 { ("wrong-status", 0) } else { ("ok", 1) };
        assert_eq!((answer, found.steps.len()), expected, "{index}");
    }
    let commits = store.save_commits() - before;
    assert!(commits < 30, "{commits} commits for 60 saves");
}

/// A save that the database cannot hold at all fails alone.
#[tokio::test]
async fn a_save_that_the_database_refuses_takes_nothing_from_its_neighbours() {
    let store = store().await;
    let session = store.connections.get().await.unwrap();
    let check = "ALTER TABLE step_executions ADD CONSTRAINT small CHECK (warning_count < 7)";
    session.run(check).await.unwrap();
    session.give_back();
    let mut jobs = Vec::new();
    for _ in 0..10 {
        jobs.push(started(&*store).await.1);
    }
    let saves: Vec<_> = jobs
        .into_iter()
        .enumerate()
        .map(|(index, lease)| {
            let store = store.clone();
            tokio::spawn(async move {
                let step = StepExecution { warning_count: index as u64, ..step() };
                told(store.save(&lease, Save { step: Some(&step), ..Save::default() }).await)
            })
        })
        .collect();
    for (index, save) in saves.into_iter().enumerate() {
        let expected = if index < 7 { "ok" } else { "store-unavailable" };
        assert_eq!(save.await.unwrap(), expected, "{index}");
    }
}

/// A hundred stores that are opened and dropped leave no connection open.
#[tokio::test]
async fn stores_that_are_let_go_leave_no_connection() {
    let server = stepbox_test_postgres::Server::shared();
    let url = server.database().unwrap();
    let name = url.rsplit('/').next().unwrap();
    for round in 0..100 {
        let store = PostgresStore::open(&url, PostgresOptions::default()).await.unwrap();
        store.wait_for_work(0).await;
        let instance = JobInstance { raw_parameters: json!({}), ..instance(&format!("i{round}")) };
        store.create_instance(&instance, &by(NOW)).await.unwrap();
    }
    let sql =
        format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}' AND pid <> pg_backend_pid()");
    let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
    // The server needs a moment until it has closed the connections.
    while server.sql("postgres", &sql).unwrap() != "0" {
        assert!(std::time::Instant::now() < end, "{} are left", server.sql("postgres", &sql).unwrap());
        tokio::task::yield_now().await;
    }
}
