//! The store for many machines: a PostgreSQL database, which any number of processes use at the same time.

mod accounts;
mod address;
mod aside;
mod audit;
mod check;
mod claim;
mod components;
mod connection;
mod connectors;
mod credentials;
mod door;
mod endings;
mod executions;
mod idempotency;
mod installation;
mod instance_rights;
mod instances;
mod lanes;
mod leases;
mod locks;
mod maker;
mod migrate;
mod outbox;
mod parts;
mod pauses;
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
mod tokens;
mod trouble;
mod uploads;
mod value;
mod views;
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
    /// How many connections there are at most, at least 1.
    ///
    /// `pool_max` in the URL overrides it. A worker that waits for work has one more. There are fewer connections
    /// while few callers wait for one.
    pub connections_max: usize,
    /// How long an unused connection stays open, in milliseconds.
    pub idle_timeout_ms: u64,
    /// How long to wait for a free connection, in milliseconds.
    ///
    /// After that the answer is [`Busy`](stepbox_batch::ports::RepositoryError::Busy).
    pub pool_timeout_ms: u64,
    /// How long connecting may take, in milliseconds.
    pub connect_timeout_ms: u64,
    /// How long the server may take to answer, in milliseconds.
    ///
    /// After that the connection is dropped, because the network may be cut. The server itself gives up at that
    /// time, too.
    pub response_timeout_ms: u64,
    /// For how long a worker's save is tried again while there is no connection, in milliseconds.
    ///
    /// No other call is tried again.
    pub save_patience_ms: u64,
}

impl Default for PostgresOptions {
    /// 16 connections, closed after 30 s without use. Waits 5 s for a free connection, 5 s for a new one, 10 s for
    /// an answer; tries saves again for 30 s.
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

/// The versions of a database's server and schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresSchema {
    /// The server's version: `15.13`.
    pub server: String,
    /// The version of the schema; 0 if there is none.
    pub version: u32,
    /// The version that this program needs.
    pub known: u32,
}

/// A job repository in a PostgreSQL database.
///
/// Calls need the Tokio runtime in which it was opened.
#[derive(Debug)]
pub struct PostgresStore {
    name: Arc<str>,
    connections: Connections,
    desk: Desk,
    wake: Wake,
}

impl PostgresStore {
    /// Opens a database with `postgres://user:password@host:port/database?sslmode=verify-full`, and brings its
    /// schema up to date.
    ///
    /// The tables are in the schema to which the user's `search_path` leads.
    pub async fn open(url: &str, options: PostgresOptions) -> Result<Self> {
        Self::migrate(url, &options).await?;
        let (address, options) = (Arc::new(Address::parse(url, &options)?), Arc::new(options));
        let name: Arc<str> = address.name.as_str().into();
        let connections = explained(Connections::new(address.clone(), options.clone()), &name)?;
        let patience = Duration::from_millis(options.save_patience_ms);
        let desk = Desk::open(connections.clone(), name.clone(), patience);
        Ok(Self { name, connections, desk, wake: Wake::new(address, options) })
    }

    /// Brings the schema up to date, and returns its state after that.
    ///
    /// Needs the right to create tables, unless the schema is up to date already.
    pub async fn migrate(url: &str, options: &PostgresOptions) -> Result<PostgresSchema> {
        let address = Address::parse(url, options)?;
        let outcome = async {
            let db = Db::open(&address, options).await?.patient();
            migrate::migrate(&db, now()).await
        };
        explained(outcome.await, &address.name)
    }

    /// Returns the state of the database, and changes nothing.
    pub async fn check(url: &str, options: &PostgresOptions) -> Result<PostgresSchema> {
        let address = Address::parse(url, options)?;
        let outcome = async { migrate::look(&Db::open(&address, options).await?).await };
        explained(outcome.await, &address.name)
    }

    /// Reads everything in an up-to-date database, tries whether lost executions could be rescued, and returns what
    /// is wrong.
    ///
    /// Changes nothing unless `mends` is true.
    pub async fn check_contents(url: &str, options: &PostgresOptions, mends: bool) -> Result<Vec<Finding>> {
        let address = Address::parse(url, options)?;
        let outcome = async {
            let db = Db::open(&address, options).await?.patient();
            let now = connection::now(&db).await?;
            check::check(&db, now, mends).await
        };
        explained(outcome.await, &address.name)
    }

    /// The name of the database of a URL in errors: `PostgreSQL at db.example.com:5432/stepbox`.
    pub fn name_of(url: &str) -> Result<String> {
        Ok(Address::parse(url, &PostgresOptions::default())?.name)
    }

    /// The name of the store in errors: `PostgreSQL at db.example.com:5432/stepbox`.
    pub fn name(&self) -> &str {
        &self.name
    }
}

fn now() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_millisecond())
}
