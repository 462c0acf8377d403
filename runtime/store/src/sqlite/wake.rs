//! Waiting for work: at once for what this process publishes, within [`POLL_MS`] for what another one does.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};

use super::open;
use super::trouble::{Outcome, Place};

/// How often to look whether another process has written, in milliseconds. A look reads a number in shared
/// memory.
const POLL_MS: u64 = 20;

/// Who waits for work.
#[derive(Debug)]
pub(super) struct Wake {
    place: Arc<Place>,
    published: Notify,
    /// SQLite counts the commits of others for each connection, so it must always be the same one.
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

    /// Something came in.
    pub(super) fn now(&self) {
        self.published.notify_waiters();
    }

    /// Returns when somebody has written, or after so many milliseconds.
    pub(super) async fn wait(&self, timeout_ms: u64) {
        let end = Instant::now() + Duration::from_millis(timeout_ms);
        let others = async {
            // If the file cannot be looked at, the time alone ends the wait; whoever waits will hear why.
            while !self.has_changed().unwrap_or(false) {
                sleep(Duration::from_millis(POLL_MS)).await;
            }
        };
        tokio::select! {
            () = self.published.notified() => {}
            _ = timeout_at(end, others) => {}
        }
    }

    fn has_changed(&self) -> Outcome<bool> {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        if watch.db.is_none() {
            watch.db = Some(open::open_reader(&self.place)?);
        }
        let Some(db) = &watch.db else { return Ok(false) };
        let version = db.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        Ok(std::mem::replace(&mut watch.seen, version) != version)
    }
}
