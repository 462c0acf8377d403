//! How many connections a process has: as few as it needs, and never more than allowed.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use stepbox_batch::ports::Instances;
use stepbox_store_testing::sample::*;
use stepbox_test_postgres::Server;

use super::super::{PostgresOptions, PostgresStore};
use super::store_with;

async fn until_open(store: &PostgresStore, connections: usize) {
    let began_at = Instant::now();
    while store.connections_open() != connections {
        let open = store.connections_open();
        assert!(began_at.elapsed() < Duration::from_secs(60), "{open} are open, not {connections}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_process_that_does_one_thing_after_the_other_has_one_connection() {
    let store = store_with(PostgresOptions::default()).await;
    with_instance(&store).await;
    for _ in 0..50 {
        store.instances(&tenant(), None).await.unwrap();
    }
    assert_eq!(store.connections_open(), 1);
}

/// Regression: each caller had a connection, which stayed open as long as the process.
#[tokio::test(flavor = "multi_thread")]
async fn many_short_calls_at_a_time_share_connections() {
    let store = store_with(PostgresOptions { connections_max: 100, ..PostgresOptions::default() }).await;
    with_instance(&store).await;
    let tenant = tenant();
    for answer in join_all((0..100).map(|_| store.instances(&tenant, None))).await {
        assert_eq!(answer.unwrap().len(), 1);
    }
    assert!(store.connections_open() < 50, "{} are open", store.connections_open());
}

/// By the options, and by the URL, which overrides them.
#[tokio::test]
async fn connections_are_made_up_to_the_bound_and_closed_when_they_are_idle() {
    let server = Server::shared();
    for (in_url, in_options, max) in
        [("", 5, 5), ("?pool_max=3", 16, 3), ("?pool_max=7", 2, 7), ("?pool_max=1", 16, 1)]
    {
        let url = server.database().unwrap();
        let options = PostgresOptions {
            connections_max: in_options,
            idle_timeout_ms: 200,
            pool_timeout_ms: 100,
            ..PostgresOptions::default()
        };
        let store = PostgresStore::open(&format!("{url}{in_url}"), options).await.unwrap();
        for _ in 0..2 {
            let mut in_use = Vec::new();
            for _ in 0..max {
                in_use.push(store.connections.get().await.unwrap());
            }
            assert_eq!(store.connections_open(), max, "{in_url}");
            let error = store.instances(&tenant(), None).await.unwrap_err();
            assert_eq!(error.code(), "store-busy");
            assert!(error.to_string().contains(&format!("all {max} connections")), "{error}");
            in_use.into_iter().for_each(|session| session.give_back());
            until_open(&store, 0).await;
        }
        store.instances(&tenant(), None).await.unwrap();
    }
}
