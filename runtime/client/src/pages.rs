//! Lists, page by page.

use std::collections::VecDeque;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use stepbox_api::list::Row;

use crate::ask::Ask;
use crate::client::Client;
use crate::error::ClientError;

/// How many rows are asked for at a time, unless the caller says otherwise.
const ROWS: u32 = 200;

/// How many pages in a row may have no rows, before the list is taken for one without an end.
const EMPTY_MAX: u32 = 100;

/// A list that is read page by page, so that it takes no more memory than a page.
#[derive(Debug)]
pub struct Pages<T> {
    client: Client,
    path: Vec<String>,
    query: Vec<(&'static str, String)>,
    /// Where the next page begins; `None` at the beginning.
    after: Option<String>,
    is_at_end: bool,
    waiting: VecDeque<Row<T>>,
    /// How many pages in a row had no rows.
    empty: u32,
}

/// A page as the server sends it.
#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
struct PageBody<T> {
    items: Vec<Row<T>>,
    /// Where the next page begins; absent at the end.
    #[serde(default)]
    next: Option<String>,
}

impl<T: DeserializeOwned> Pages<T> {
    pub(crate) fn new(client: Client, path: Vec<String>, query: Vec<(&'static str, String)>) -> Self {
        Self { client, path, query, after: None, is_at_end: false, waiting: VecDeque::new(), empty: 0 }
    }

    /// The next row; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Row<T>>, ClientError> {
        while self.waiting.is_empty() && !self.is_at_end {
            let rows = self.fetch(ROWS).await?;
            self.waiting.extend(rows);
        }
        Ok(self.waiting.pop_front())
    }

    /// The next rows, at most `rows` of them; empty at the end.
    pub async fn page(&mut self, rows: u32) -> Result<Vec<Row<T>>, ClientError> {
        let wanted = rows as usize;
        while self.waiting.len() < wanted && !self.is_at_end {
            let missing = u32::try_from(wanted - self.waiting.len()).unwrap_or(ROWS).min(ROWS);
            let rows = self.fetch(missing).await?;
            self.waiting.extend(rows);
        }
        Ok(self.waiting.drain(..wanted.min(self.waiting.len())).collect())
    }

    /// All rows that are left, in memory at once.
    pub async fn all(mut self) -> Result<Vec<Row<T>>, ClientError> {
        let mut all = Vec::from(std::mem::take(&mut self.waiting));
        while !self.is_at_end {
            all.extend(self.fetch(ROWS).await?);
        }
        Ok(all)
    }

    async fn fetch(&mut self, rows: u32) -> Result<Vec<Row<T>>, ClientError> {
        let mut ask = Ask::get(self.path.iter().map(String::as_str).collect());
        ask.query.clone_from(&self.query);
        let ask = ask.query("limit", Some(rows)).query("after", self.after.as_ref());
        let answer = self.client.transport().send(ask).await?;
        let PageBody { items, next } = answer.json().await?;
        self.empty = if items.is_empty() { self.empty + 1 } else { 0 };
        if next.is_some() && (next == self.after || self.empty > EMPTY_MAX) {
            let origin = self.client.transport().origin();
            return Err(origin.strange(reqwest::StatusCode::OK, "the pages of the list have no end"));
        }
        self.is_at_end = next.is_none();
        self.after = next;
        Ok(items)
    }
}
