//! Servers that are restarted, networks that are cut, and answers that are lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use stepbox_batch::execution::queue::{Enqueue, QueueClaim, QueueFilter};
use stepbox_batch::execution::status::BatchStatus::*;
use stepbox_batch::execution::{NewJobExecution, Save, Tracking};
use stepbox_batch::ports::{AuditTrail, ExecutionJournal, Executions, Instances, JobQueue, Leases};
use stepbox_store_testing::sample::*;
use stepbox_test_postgres::{Durability, Proxy, Server};

use super::super::{PostgresOptions, PostgresStore};

/// Shorter waits than those of users.
fn hasty() -> PostgresOptions {
    PostgresOptions {
        pool_timeout_ms: 1000,
        connect_timeout_ms: 1000,
        response_timeout_ms: 1000,
        ..PostgresOptions::default()
    }
}

/// Sixteen jobs save as fast as they can; the server crashes and is restarted meanwhile. No save fails, and nothing
/// is written twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_server_fails_no_job() {
    for mode in ["immediate", "fast"] {
        let server = Server::start(Durability::Full).unwrap();
        let store =
            PostgresStore::open(&server.database().unwrap(), PostgresOptions::default()).await.unwrap();
        let store = Arc::new(store);
        with_instance(&*store).await;
        let is_over = Arc::new(AtomicBool::new(false));
        let mut jobs = Vec::new();
        for _ in 0..16 {
            jobs.push(tokio::spawn(job(store.clone(), is_over.clone())));
        }
        let restarting = tokio::task::spawn_blocking(move || {
            server.restart(mode).unwrap();
            server
        });
        let server = restarting.await.unwrap();
        is_over.store(true, Ordering::SeqCst);
        for job in jobs {
            job.await.unwrap();
        }
        store.instances(&tenant(), None).await.unwrap();
        drop(server);
    }
}

/// A job that saves until the test is over, and a little longer.
async fn job(store: Arc<PostgresStore>, is_over: Arc<AtomicBool>) {
    let (mut execution, lease) = loop {
        // Accepting an execution may be refused while there is no server.
        if let Ok((execution, lease)) =
            store.create_execution(&new("nightly"), Some(&claim("w-1", NOW))).await
        {
            break (execution, lease.unwrap());
        }
        tokio::task::yield_now().await;
    };
    execution.status = Started;
    store.save(&lease, Save { execution: Some(&execution), ..Save::default() }).await.unwrap();
    let (mut saves, mut left) = (0, 20);
    while left > 0 {
        if is_over.load(Ordering::SeqCst) {
            left -= 1;
        }
        saves += 1;
        let step = stepbox_batch::execution::StepExecution {
            tracking: Tracking { processed: saves, ..Tracking::default() },
            ..step()
        };
        let warnings = [warning(&format!("{saves}"))];
        let save = Save { step: Some(&step), warnings: &warnings, ..Save::default() };
        store.save(&lease, save).await.unwrap();
    }
    execution.status = Completed;
    let last = Save { execution: Some(&execution), is_last: true, ..Save::default() };
    store.save(&lease, last).await.unwrap();
    let warnings = store.warnings(&tenant(), execution.id).await.unwrap();
    let told: Vec<_> = warnings.into_iter().map(|warning| warning.reason).collect();
    let expected: Vec<_> = (1..=saves).map(|number| number.to_string()).collect();
    assert_eq!(told, expected, "each once, in order");
}

/// Two stores on a database; the first is behind a proxy, so its network can be cut.
async fn behind_a_proxy(options: PostgresOptions) -> (PostgresStore, Proxy, PostgresStore) {
    let server = Server::shared();
    let url = server.database().unwrap();
    let proxy = Proxy::start(server.address()).await.unwrap();
    let far = PostgresStore::open(&server.url_at(&proxy.address(), &url), options).await.unwrap();
    let near = PostgresStore::open(&url, PostgresOptions::default()).await.unwrap();
    (far, proxy, near)
}

/// The worst moment: the save is made, but the answer is lost. The save is tried again, and has its effect once.
#[tokio::test]
async fn a_save_whose_answer_is_lost_is_made_once() {
    let (far, proxy, near) = behind_a_proxy(PostgresOptions::default()).await;
    with_instance(&near).await;
    let (warnings, step) = ([warning("one"), warning("two")], step());
    for is_last in [false, true] {
        let ((mut other, other_lease), (mut execution, lease)) = (started(&far).await, started(&far).await);
        for execution in [&mut other, &mut execution] {
            (execution.status, execution.updated_at) = (Completed, NOW);
        }
        let of = |execution| {
            let (execution, step) = (Some(execution), Some(&step));
            Save { execution, step, warnings: &warnings, is_last, ..Save::default() }
        };
        // So that the server knows the statement already, and the lost answer is the answer to the save.
        far.save(&other_lease, of(&other)).await.unwrap();
        proxy.hold_answers();
        let breaking = async {
            let saved = async {
                while near.warnings(&tenant(), execution.id).await.unwrap().is_empty() {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(Duration::from_secs(60), saved).await.expect("the save is done");
            proxy.break_off();
        };
        let (saved, ()) = tokio::join!(far.save(&lease, of(&execution)), breaking);
        saved.unwrap();
        assert_eq!(near.warnings(&tenant(), execution.id).await.unwrap(), warnings);
        assert_eq!(stored(&near, execution.id).await.status, Completed);
        let again = told(far.save(&lease, of(&execution)).await);
        assert_eq!(again, if is_last { "lease-lost" } else { "ok" }, "a second one is another matter");
    }
}

/// The same, but another process has ended the execution in between: the caller gets that answer.
#[tokio::test]
async fn a_last_save_that_came_too_late_is_refused_however_often_it_is_made() {
    let (far, proxy, near) = behind_a_proxy(hasty()).await;
    with_instance(&near).await;
    let (mut execution, lease) = started(&far).await;
    execution.status = Completed;
    let last = Save { execution: Some(&execution), is_last: true, ..Save::default() };
    proxy.cut();
    let ending = async {
        near.rescue_lost(NOW).await.unwrap();
        proxy.break_off();
    };
    let (saved, ()) = tokio::join!(far.save(&lease, last), ending);
    assert_eq!(told(saved), "lease-lost");
    assert_eq!(stored(&near, execution.id).await.status, Failed);
}

#[tokio::test]
async fn a_cut_network_is_noticed_and_saves_outlast_it() {
    let (far, proxy, near) = behind_a_proxy(hasty()).await;
    with_instance(&near).await;
    let (execution, lease) = started(&far).await;
    far.save(&lease, Save { step: Some(&step()), ..Save::default() }).await.unwrap();
    proxy.cut();
    let begun = Instant::now();
    let error = far.heartbeat(&lease, NOW, LEASE_MS).await.unwrap_err();
    assert_eq!(error.code(), "store-unavailable");
    assert!(error.to_string().contains("it gave no answer for"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(told(far.requests(&lease).await), "store-unavailable");

    let tracking = Tracking { processed: 7, ..Tracking::default() };
    let step = stepbox_batch::execution::StepExecution { tracking, ..step() };
    let mending = async {
        // Another call also waits for the network, so the network was cut for longer than any call waits.
        assert_eq!(told(far.heartbeat(&lease, NOW, LEASE_MS).await), "store-unavailable");
        proxy.mend();
    };
    let (saved, ()) = tokio::join!(far.save(&lease, Save { step: Some(&step), ..Save::default() }), mending);
    saved.unwrap();
    assert_eq!(stored(&near, execution.id).await.steps[0].tracking, tracking);
    assert!(!far.heartbeat(&lease, NOW, LEASE_MS).await.unwrap().stop, "what broke is not used again");
}

#[tokio::test]
async fn a_save_gives_up_when_its_time_is_over() {
    let options = PostgresOptions { save_patience_ms: 200, ..hasty() };
    let (far, proxy, near) = behind_a_proxy(options).await;
    with_instance(&near).await;
    let (execution, lease) = started(&far).await;
    proxy.cut();
    let error = far.save(&lease, Save { step: Some(&step()), ..Save::default() }).await.unwrap_err();
    assert_eq!(error.code(), "store-unavailable");
    assert_eq!(stored(&near, execution.id).await.steps, []);
    proxy.mend();
    far.save(&lease, Save { step: Some(&step()), ..Save::default() }).await.unwrap();
}

#[tokio::test]
async fn says_busy_when_no_connection_comes_free_and_when_a_row_stays_locked() {
    let server = Server::shared();
    let url = server.database().unwrap();
    let options = PostgresOptions { connections_max: 1, ..hasty() };
    let store = PostgresStore::open(&url, options).await.unwrap();
    with_instance(&store).await;
    let (execution, lease) = started(&store).await;
    let stranger = PostgresStore::open(&url, PostgresOptions::default()).await.unwrap();
    let session = stranger.connections.get().await.unwrap();
    session
        .run(&format!("BEGIN; SELECT FROM job_executions WHERE id = {} FOR UPDATE", execution.id))
        .await
        .unwrap();

    let waiting = store.heartbeat(&lease, NOW, LEASE_MS);
    let crowded = async {
        // The only connection is taken by now.
        tokio::task::yield_now().await;
        store.instances(&tenant(), None).await
    };
    let (waited, crowded) = tokio::join!(waiting, crowded);
    let error = waited.unwrap_err();
    assert_eq!(error.code(), "store-busy", "{error}");
    assert!(error.to_string().contains("canceling statement due to statement timeout"), "{error}");
    if let Err(error) = crowded {
        assert!(error.to_string().contains("all 1 connections"), "{error}");
        assert_eq!(error.code(), "store-busy");
    }
    session.run("ROLLBACK").await.unwrap();
    store.heartbeat(&lease, NOW, LEASE_MS).await.unwrap();
    assert_eq!(store.connections_open(), 1);
}

/// A caller that stops waiting in the middle leaves no open transaction.
#[tokio::test]
async fn whoever_goes_away_takes_the_connection_along() {
    let server = Server::shared();
    let url = server.database().unwrap();
    let options = PostgresOptions { connections_max: 1, ..PostgresOptions::default() };
    let store = PostgresStore::open(&url, options).await.unwrap();
    for number in 0..20 {
        let (one, actor) = (instance(&format!("i{number}")), by(NOW));
        let creating = store.create_instance(&one, &actor);
        tokio::select! {
            biased;
            created = creating => drop(created.unwrap()),
            () = polls(number) => {}
        }
    }
    let found = store.instances(&tenant(), None).await.unwrap();
    let events = store.audit(&tenant(), &Default::default()).await.unwrap();
    assert_eq!(found.len(), events.len(), "each with its event, or neither");
}

/// Completes after it was polled `times` times.
async fn polls(times: u32) {
    for _ in 0..times {
        tokio::task::yield_now().await;
    }
}

/// A worker that waits for work is notified again after a restart.
#[tokio::test]
async fn listening_goes_on_after_a_restart() {
    let server = Server::start(Durability::None).unwrap();
    let url = server.database().unwrap();
    let worker = PostgresStore::open(&url, PostgresOptions::default()).await.unwrap();
    let publisher = PostgresStore::open(&url, PostgresOptions::default()).await.unwrap();
    with_instance(&publisher).await;
    let new = NewJobExecution { queue: Some(Enqueue::at_once(EARLIER)), ..new("nightly") };
    let wanted = QueueClaim {
        claim: claim("w-1", NOW),
        tenants: vec![(tenant(), 1000)],
        filter: QueueFilter::default(),
        limit: 1,
    };
    for round in 0..2 {
        if round == 1 {
            server.restart("fast").unwrap();
        }
        let begun = Instant::now();
        let publishing = async {
            // The first entry may come before the worker listens; each of the others is noticed at once.
            publisher.create_execution(&new, None).await.unwrap().0.id
        };
        let waiting = async {
            loop {
                worker.wait_for_work(60_000).await;
                if let Some(claimed) = worker.claim_next(&wanted).await.unwrap().pop() {
                    break claimed.execution.id;
                }
            }
        };
        let (published, claimed) = tokio::join!(publishing, waiting);
        assert_eq!(published, claimed);
        assert!(begun.elapsed() < Duration::from_secs(30), "nobody was told: {:?}", begun.elapsed());
    }
}
