//! Tests of what is particular to a server: it is far away, it is restarted, and other programs use it at the same
//! time.

mod conformance;
mod cost;
mod events;
mod opening;
mod outages;
mod partitions;
mod plans;
mod pool;
mod setting_aside;
mod together;

use stepbox_test_postgres::Server;

use super::{PostgresOptions, PostgresStore};

/// An empty store, in a database of its own.
pub(super) async fn empty_store() -> Box<PostgresStore> {
    Box::new(store_with(PostgresOptions::default()).await)
}

/// An empty store with options of its own.
pub(super) async fn store_with(options: PostgresOptions) -> PostgresStore {
    PostgresStore::open(&Server::shared().database().unwrap(), options).await.unwrap()
}

impl PostgresStore {
    /// How many connections are open, without the one that listens.
    fn connections_open(&self) -> usize {
        self.connections.open()
    }

    /// How many transactions with saves were committed since it was opened. Saves that are made at the same time
    /// share one.
    fn save_commits(&self) -> u64 {
        self.desk.commits()
    }
}
