//! Waiting for work: an entry of this process ends the wait at once, an entry of another one within [`POLL_MS`].

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};

use super::open;
use super::trouble::{Outcome, Place, Trouble};

/// How often to check whether another process has written, in milliseconds. A check reads a number in shared
/// memory.
const POLL_MS: u64 = 20;

/// The callers that wait for work.
#[derive(Debug)]
pub(super) struct Wake {
    place: Arc<Place>,
    published: Notify,
    /// SQLite counts the commits of others for each connection, so this must always be the same connection.
    watch: Mutex<Watch>,
}

#[derive(Debug, Default)]
struct Watch {
    db: Option<Connection>,
    seen: i64,
}

impl Wake {
    pub(super) fn new(place: Arc<Place>) -> Self {
        Self { place, published: Notify::new(), watch: Mutex::default() }
    }

    /// An entry came in: wakes the waiting callers.
    pub(super) fn now(&self) {
        self.published.notify_waiters();
    }

    /// Returns when a process has written; after `timeout_ms` milliseconds at the latest.
    pub(super) async fn wait(&self, timeout_ms: u64) {
        let end = Instant::now() + Duration::from_millis(timeout_ms);
        let others = async {
            // If the file cannot be read, only the timeout ends the wait. The next call reports the reason.
            while !self.has_changed().unwrap_or(false) {
                sleep(Duration::from_millis(POLL_MS)).await;
            }
        };
        tokio::select! {
            () = self.published.notified() => {}
            _ = timeout_at(end, others) => {}
        }
    }

    /// Returns when `is_there` is true; after `timeout_ms` milliseconds at the latest. `is_there` is called at
    /// first, and each time that a process has written. If the file cannot be read, only the timeout ends the wait.
    pub(super) async fn wait_until(&self, timeout_ms: u64, is_there: impl Fn(&Connection) -> Outcome<bool>) {
        let end = Instant::now() + Duration::from_millis(timeout_ms);
        let mut seen = None;
        while !self.is_there(&mut seen, &is_there).unwrap_or(false) && Instant::now() < end {
            sleep(Duration::from_millis(POLL_MS).min(end - Instant::now())).await;
        }
    }

    /// Each waiter keeps the version that it has seen, so that several waiters do not miss a change because another
    /// has seen it.
    fn is_there(
        &self,
        seen: &mut Option<i64>,
        is_there: impl Fn(&Connection) -> Outcome<bool>,
    ) -> Outcome<bool> {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let db = watch.db(&self.place)?;
        let version = version(db)?;
        if seen.replace(version) == Some(version) {
            return Ok(false);
        }
        is_there(db)
    }

    fn has_changed(&self) -> Outcome<bool> {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let version = version(watch.db(&self.place)?)?;
        Ok(std::mem::replace(&mut watch.seen, version) != version)
    }
}

impl Watch {
    fn db(&mut self, place: &Place) -> Outcome<&Connection> {
        if self.db.is_none() {
            self.db = Some(open::open_reader(place)?);
        }
        self.db.as_ref().ok_or(Trouble::Defect)
    }
}

/// A number that changes whenever another connection has written.
fn version(db: &Connection) -> Outcome<i64> {
    Ok(db.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?)
}
