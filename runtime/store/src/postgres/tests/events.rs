//! Events of transactions that commit in another order than they began.

use std::sync::Arc;

use stepbox_batch::execution::event::EventNumber;
use stepbox_batch::ports::{Executions, Outbox};
use stepbox_store_testing::sample::*;
use stepbox_test_postgres::Server;

use super::super::address::Address;
use super::super::connection::Db;
use super::super::{PostgresOptions, PostgresStore};

#[tokio::test]
async fn an_event_that_commits_late_comes_late() {
    let url = Server::shared().database().unwrap();
    let options = PostgresOptions::default();
    let store = PostgresStore::open(&url, options.clone()).await.unwrap();
    with_instance(&store).await;
    let slow = waiting(&store).await.id;
    let begin = store.events_after(None, EventNumber::BEGINNING, 10).await.unwrap().next;

    // This event is inserted first, and commits last.
    let db = Db::open(&Address::parse(&url, &options).unwrap(), &options).await.unwrap();
    db.run(&format!(
        "BEGIN; INSERT INTO new_execution_events (tenant, execution_id, at, kind) VALUES ('default', {slow}, 1, 2)"
    ))
    .await
    .unwrap();
    let fast = waiting(&store).await.id;
    let first = store.events_after(None, begin, 10).await.unwrap();
    assert_eq!(first.events.iter().map(|event| event.id).collect::<Vec<_>>(), [fast]);
    let nothing = store.events_after(None, first.next, 10).await.unwrap();
    assert!(nothing.events.is_empty());
    db.run("COMMIT").await.unwrap();
    let second = store.events_after(None, nothing.next, 10).await.unwrap();
    assert_eq!(second.events.iter().map(|event| event.id).collect::<Vec<_>>(), [slow]);
    assert!(second.is_complete && second.events[0].number > first.next);
    assert_eq!(all_events(&store, None).await.len(), 3, "each has one number");
}

/// A transaction that lasts long, in this database or another one, does not hide events from readers.
#[tokio::test]
async fn a_transaction_that_lasts_holds_nothing_up() {
    let url = Server::shared().database().unwrap();
    let options = PostgresOptions::default();
    let store = PostgresStore::open(&url, options.clone()).await.unwrap();
    let db = Db::open(&Address::parse(&url, &options).unwrap(), &options).await.unwrap();
    db.run("BEGIN; CREATE TABLE lasting (x INT)").await.unwrap();
    with_instance(&store).await;
    let id = waiting(&store).await.id;
    let page = store.events_after(None, EventNumber::BEGINNING, 10).await.unwrap();
    assert_eq!(page.events.iter().map(|event| event.id).collect::<Vec<_>>(), [id]);
    db.run("ROLLBACK").await.unwrap();
}

const READERS: usize = 6;
const WRITERS: usize = 6;
const EACH: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_readers_read_the_same_beside_many_writers() {
    let url = Server::shared().database().unwrap();
    let store = Arc::new(PostgresStore::open(&url, PostgresOptions::default()).await.unwrap());
    let other = Arc::new(PostgresStore::open(&url, PostgresOptions::default()).await.unwrap());
    with_instance(&*store).await;
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                for _ in 0..EACH {
                    waiting(&*store).await;
                }
            })
        })
        .collect();
    let readers: Vec<_> = (0..READERS)
        .map(|number| {
            let store = if number % 2 == 0 { store.clone() } else { other.clone() };
            tokio::spawn(async move {
                let (mut seen, mut after) = (Vec::new(), EventNumber::BEGINNING);
                while seen.len() < WRITERS * EACH {
                    let page = store.events_after(None, after, 10).await.unwrap();
                    if page.events.is_empty() {
                        store.wait_for_events(page.next, 5000).await;
                    }
                    after = page.next;
                    seen.extend(page.events.into_iter().map(|event| (event.number, event.id)));
                }
                seen
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let mut all = Vec::new();
    for reader in readers {
        all.push(reader.await.unwrap());
    }
    assert!(all[0].is_sorted_by(|a, b| a.0 < b.0) && all[0].len() == WRITERS * EACH);
    assert!(all.iter().all(|seen| *seen == all[0]), "each reader has seen each event once");
    assert_eq!(store.executions(&tenant(), &Default::default()).await.unwrap().len(), WRITERS * EACH);
}
