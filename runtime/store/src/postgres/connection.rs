//! A connection, and the statements that are prepared on it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use stepbox_batch::clock::Timestamp;
use tokio::time::timeout;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement};

use super::PostgresOptions;
use super::address::Address;
use super::trouble::{Outcome, Trouble};
use super::value::{Value, numbered};
use crate::record::columns::Columns;

/// Named parameters.
pub(super) type Named<'a, 'b> = &'a [(&'static str, Value<'b>)];

/// One connection.
#[derive(Debug)]
pub(super) struct Db {
    client: Client,
    /// The prepared statements, by their text.
    statements: Mutex<HashMap<String, Arc<Prepared>>>,
    /// The server's plans for them are at most as old as this moment.
    planned_at: Instant,
    response: Duration,
}

#[derive(Debug)]
struct Prepared {
    statement: Statement,
    /// The named parameter of each number, and its index in the values when the statement was prepared.
    order: Vec<(usize, &'static str)>,
}

impl Prepared {
    fn ordered<'v>(&self, values: &'v [(&'static str, Value<'_>)]) -> Outcome<Vec<&'v (dyn ToSql + Sync)>> {
        let place = |(index, name): &(usize, &'static str)| {
            let usual = values.get(*index).filter(|(known, _)| known == name);
            let found = usual.or_else(|| values.iter().find(|(known, _)| known == name));
            let value = found.map(|(_, value)| value as &(dyn ToSql + Sync));
            value.ok_or_else(|| Trouble::Unfit(format!("a statement lacks its parameter `{name}`")))
        };
        self.order.iter().map(place).collect()
    }
}

impl Db {
    /// Connects, and runs the line until this connection is dropped.
    pub(super) async fn open(address: &Address, options: &PostgresOptions) -> Outcome<Self> {
        let patience = Duration::from_millis(options.connect_timeout_ms);
        let connecting = timeout(patience, address.connect()).await;
        let (client, line) = connecting.map_err(|_| Trouble::Silent(options.connect_timeout_ms))??;
        // It ends with the client. A caller that waits for an answer gets the error.
        tokio::spawn(async move { line.await.ok() });
        let response = Duration::from_millis(options.response_timeout_ms);
        Ok(Self { client, statements: Mutex::default(), planned_at: Instant::now(), response })
    }

    /// Sets how long the server may work, so that it does not work, or hold locks, after we gave up.
    ///
    /// Also forbids plans that read a table from end to end, and joins other than row by row through an index. The
    /// server may count the queue while it is empty, and still use the plans of that time when the queue has a
    /// million entries an hour later.
    pub(super) async fn bound(&self, options: &PostgresOptions) -> Outcome<()> {
        let ms = options.response_timeout_ms;
        let settings = format!(
            "SET statement_timeout = {ms}; SET idle_in_transaction_session_timeout = {ms}; \
             SET client_min_messages = warning; SET jit = off; SET enable_seqscan = off; \
             SET enable_hashjoin = off; SET enable_mergejoin = off"
        );
        self.run(&settings).await
    }

    /// Whether the connection is closed, as far as is known.
    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Whether the server may have plans that are at least `age` old.
    pub(super) fn has_plans_since(&self, age: Duration) -> bool {
        self.planned_at.elapsed() >= age
    }

    /// Makes the server plan again, for the present sizes of the tables.
    pub(super) async fn plan_anew(&mut self) -> Outcome<()> {
        self.planned_at = Instant::now();
        self.run("DISCARD PLANS").await
    }

    /// Runs statements without parameters and without a result.
    pub(super) async fn run(&self, statements: &str) -> Outcome<()> {
        self.in_time(statements, self.client.batch_execute(statements)).await
    }

    /// The rows that a statement returns.
    pub(super) async fn rows(&self, sql: &str, values: Named<'_, '_>) -> Outcome<Vec<Row>> {
        let prepared = self.prepared(sql, values).await?;
        let ordered = prepared.ordered(values)?;
        self.in_time(sql, self.client.query(&prepared.statement, &ordered)).await
    }

    /// The first row, if there is one.
    pub(super) async fn row(&self, sql: &str, values: Named<'_, '_>) -> Outcome<Option<Row>> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    /// How many rows a statement has changed.
    pub(super) async fn execute(&self, sql: &str, values: Named<'_, '_>) -> Outcome<u64> {
        let prepared = self.prepared(sql, values).await?;
        let ordered = prepared.ordered(values)?;
        self.in_time(sql, self.client.execute(&prepared.statement, &ordered)).await
    }

    /// Prepares these statements, unless they are prepared already, so that they can be sent one after the other
    /// without waiting.
    pub(super) async fn prepare_all<'a, 'v: 'a>(
        &self,
        statements: impl Iterator<Item = (&'a str, Named<'a, 'v>)>,
    ) -> Outcome<()> {
        try_join_all(statements.map(|(sql, values)| self.prepared(sql, values))).await.map(drop)
    }

    async fn prepared(&self, sql: &str, values: Named<'_, '_>) -> Outcome<Arc<Prepared>> {
        if let Some(known) = self.statements.lock().unwrap_or_else(PoisonError::into_inner).get(sql) {
            return Ok(known.clone());
        }
        let names: Vec<_> = values.iter().map(|(name, _)| *name).collect();
        let (text, order) = numbered(sql, &names);
        let statement = self.in_time(sql, self.client.prepare(&text)).await?;
        let order = order.into_iter().map(|index| (index, names[index])).collect();
        let prepared = Arc::new(Prepared { statement, order });
        let mut statements = self.statements.lock().unwrap_or_else(PoisonError::into_inner);
        statements.insert(sql.to_owned(), prepared.clone());
        Ok(prepared)
    }

    async fn in_time<T>(
        &self,
        sql: &str,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Outcome<T> {
        // If the server can be reached, its own limit ends the wait first.
        let patience = self.response + Duration::from_millis(500);
        let answer =
            timeout(patience, answer).await.map_err(|_| Trouble::Silent(patience.as_millis() as u64))?;
        answer.map_err(|error| match error.is_closed() {
            true => Trouble::HungUp { request: request(sql), error },
            false => error.into(),
        })
    }

    /// Removes the limits of time, for a migration.
    pub(super) fn patient(self) -> Self {
        Self { response: Duration::from_secs(24 * 3600), ..self }
    }
}

/// The first word of a statement, for people: `SELECT`.
fn request(sql: &str) -> String {
    match sql.split_whitespace().next() {
        Some(word) => format!("`{word}`"),
        None => "a sign of life".to_owned(),
    }
}

/// The time of the server's clock.
pub(super) async fn now(db: &Db) -> Outcome<Timestamp> {
    let sql = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT) AS now";
    let row =
        db.row(sql, &[]).await?.ok_or_else(|| Trouble::Unfit("it does not tell the time".to_owned()))?;
    Ok(Timestamp(row.number("now")?))
}
