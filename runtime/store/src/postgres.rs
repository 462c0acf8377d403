//! The store for many machines: a PostgreSQL database, which any number of processes use at the same time.

mod address;
mod aside;
mod audit;
mod check;
mod claim;
mod components;
mod connection;
mod connectors;
mod door;
mod endings;
mod executions;
mod installation;
mod instances;
mod leases;
mod locks;
mod maker;
mod migrate;
mod outbox;
mod parts;
mod pool;
mod ports;
mod purging;
mod queue;
mod rescue;
mod saves;
mod schema;
mod session;
mod steps;
mod submit;
mod trouble;
mod value;
mod wake;
mod workers;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use stepbox_batch::clock::Timestamp;
use stepbox_batch::ports::{Finding, Result};

use address::Address;
use connection::Db;
use pool::Connections;
use saves::Desk;
use trouble::explained;
use wake::Wake;

/// How a database is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresOptions {
    /// How many connections there are at most, at least 1, unless the URL says `pool_max`. A worker that waits for
    /// work has one more. There are fewer while few wait for one.
    pub connections_max: usize,
    /// How long a connection stays open that nobody uses, in milliseconds.
    pub idle_timeout_ms: u64,
    /// How long to wait for one of them to be free, in milliseconds. After that the answer is
    /// [`Busy`](stepbox_batch::ports::RepositoryError::Busy).
    pub pool_timeout_ms: u64,
    /// How long connecting may take, in milliseconds.
    pub connect_timeout_ms: u64,
    /// How long the server may take to answer, in milliseconds. After that the connection is thrown away: the
    /// network may be cut. The server gives up by then, too.
    pub response_timeout_ms: u64,
    /// For how long a worker's save is made again while there is no connection, in milliseconds. Nothing else is
    /// made again.
    pub save_patience_ms: u64,
}

impl Default for PostgresOptions {
    /// 16 connections, closed after 30 s without use; waits 5 s for one of them, 5 s for a new one, 10 s for an
    /// answer; makes saves again for 30 s.
    fn default() -> Self {
        Self {
            connections_max: 16,
            idle_timeout_ms: 30_000,
            pool_timeout_ms: 5000,
            connect_timeout_ms: 5000,
            response_timeout_ms: 10_000,
            save_patience_ms: 30_000,
        }
    }
}

/// What a database has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresSchema {
    /// The server's version: `15.13`.
    pub server: String,
    /// The version of the schema; 0 if nothing is there.
    pub version: u32,
    /// The version that this program needs.
    pub known: u32,
}

/// A job repository in a PostgreSQL database. Calls need the Tokio runtime in which it was opened.
#[derive(Debug)]
pub struct PostgresStore {
    name: Arc<str>,
    connections: Connections,
    desk: Desk,
    wake: Wake,
}

impl PostgresStore {
    /// Opens a database with `postgres://user:password@host:port/database?sslmode=verify-full`, and brings its
    /// schema up to date. Tables are where the user's `search_path` leads.
    pub async fn open(url: &str, options: PostgresOptions) -> Result<Self> {
        Self::migrate(url, &options).await?;
        let (address, options) = (Arc::new(Address::parse(url, &options)?), Arc::new(options));
        let name: Arc<str> = address.name.as_str().into();
        let connections = explained(Connections::new(address.clone(), options.clone()), &name)?;
        let patience = Duration::from_millis(options.save_patience_ms);
        let desk = Desk::open(connections.clone(), name.clone(), patience);
        Ok(Self { name, connections, desk, wake: Wake::new(address, options) })
    }

    /// Brings the schema up to date, and tells what is there then. Needs the right to create tables, unless
    /// nothing has to be done.
    pub async fn migrate(url: &str, options: &PostgresOptions) -> Result<PostgresSchema> {
        let address = Address::parse(url, options)?;
        let outcome = async {
            let db = Db::open(&address, options).await?.patient();
            migrate::migrate(&db, now()).await
        };
        explained(outcome.await, &address.name)
    }

    /// Tells what is there, and changes nothing.
    pub async fn check(url: &str, options: &PostgresOptions) -> Result<PostgresSchema> {
        let address = Address::parse(url, options)?;
        let outcome = async { migrate::look(&Db::open(&address, options).await?).await };
        explained(outcome.await, &address.name)
    }

    /// Reads everything that an up-to-date database holds, tries whether what is lost could be rescued, and tells what
    /// is wrong with it. Changes nothing, unless it is to mend what can be mended.
    pub async fn check_contents(url: &str, options: &PostgresOptions, mends: bool) -> Result<Vec<Finding>> {
        let address = Address::parse(url, options)?;
        let outcome = async {
            let db = Db::open(&address, options).await?.patient();
            let now = connection::now(&db).await?;
            check::check(&db, now, mends).await
        };
        explained(outcome.await, &address.name)
    }

    /// What errors call the database of a URL: `PostgreSQL at db.example.com:5432/stepbox`.
    pub fn name_of(url: &str) -> Result<String> {
        Ok(Address::parse(url, &PostgresOptions::default())?.name)
    }

    /// What errors call it: `PostgreSQL at db.example.com:5432/stepbox`.
    pub fn name(&self) -> &str {
        &self.name
    }
}

fn now() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_millisecond())
}
