//! The only thread that writes. All requests that wait when it becomes free are committed together.
//!
//! A durable commit costs one wait for the disk (4 ms on an ordinary disk), however large it is. So the thread
//! takes all requests that came during the last wait, runs each in a savepoint of one transaction, and answers them
//! after the commit: sixteen jobs that save at once share one wait. A request that is refused rolls back only its
//! own savepoint.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};
use stepbox_batch::ports::{RepositoryError, Result};
use tokio::sync::oneshot;

use super::migrate;
use super::trouble::{Outcome, Place, Trouble};
use super::turns::{NoTurn, Turns};

/// How long to wait between two attempts to begin writing. One process at a time tries.
const ASK_AGAIN: Duration = Duration::from_millis(1);

/// How many requests share a transaction at most, so that each gets its answer soon.
const TOGETHER_MAX: usize = 256;

/// Whether a request must survive a power loss after its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Durability {
    /// It survives the end of this process. Its commit does not wait for the disk, unless it shares a commit that
    /// does.
    Process,
    /// It survives a power loss.
    Power,
}

/// A handle to the thread. When it is dropped, the thread completes the waiting requests, and the drop waits for
/// that.
#[derive(Debug)]
pub(super) struct Writer {
    requests: Option<Sender<Box<dyn Request>>>,
    thread: Option<JoinHandle<()>>,
    place: Arc<Place>,
    durable_commits: Arc<AtomicU64>,
}

impl Writer {
    pub(super) fn start(db: Connection, place: Arc<Place>) -> Result<Self> {
        let durable_commits = Arc::new(AtomicU64::new(0));
        let (requests, incoming) = mpsc::channel();
        let busy_timeout = Duration::from_millis(place.options.busy_timeout_ms.into());
        let mut desk = Desk {
            db,
            turns: Turns::of(&place.path),
            busy_timeout,
            place: place.clone(),
            synchronous: Durability::Power,
            durable_commits: durable_commits.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("stepbox-store".to_owned())
            .spawn(move || desk.work(&incoming))
            .map_err(|error| place.unavailable(format!("its thread cannot be started: {error}")))?;
        Ok(Self { requests: Some(requests), thread: Some(thread), place, durable_commits })
    }

    /// Runs some work and commits it. The work may be run twice, in different transactions; only the last one is
    /// committed. If the caller stops waiting, the work is still done.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        durability: Durability,
        work: impl FnMut(&Connection) -> Outcome<T> + Send + 'static,
    ) -> Result<T> {
        let (caller, answer) = oneshot::channel();
        let request = Pending { work, durability, outcome: None, caller };
        let gone = || self.place.unavailable("its writing thread has ended; start again");
        let requests = self.requests.as_ref().ok_or_else(gone)?;
        requests.send(Box::new(request)).map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    /// How often the thread has waited for the disk.
    pub(super) fn durable_commits(&self) -> u64 {
        self.durable_commits.load(Ordering::Relaxed)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            // If the thread panicked, its callers got an error.
            let _ = thread.join();
        }
    }
}

/// Work that waits for its turn.
trait Request: Send {
    fn durability(&self) -> Durability;
    /// Does the work and keeps its outcome; returns whether it succeeded.
    fn run(&mut self, db: &Connection) -> bool;
    /// Sends the outcome, which is committed by now.
    fn answer(self: Box<Self>, place: &Place);
    /// Reports that nothing was committed: with the request's own failure, if it had one, or else with the given
    /// reason.
    fn refuse(self: Box<Self>, place: &Place, reason: &Lost);
}

struct Pending<T, W> {
    work: W,
    durability: Durability,
    outcome: Option<Outcome<T>>,
    caller: oneshot::Sender<Result<T>>,
}

impl<T: Send, W: FnMut(&Connection) -> Outcome<T> + Send> Request for Pending<T, W> {
    fn durability(&self) -> Durability {
        self.durability
    }

    fn run(&mut self, db: &Connection) -> bool {
        // A defect in one request must not end the thread that all others need. Its unfinished work is never
        // visible: its savepoint is rolled back.
        let outcome = catch_unwind(AssertUnwindSafe(|| (self.work)(db)));
        self.outcome.insert(outcome.unwrap_or(Err(Trouble::Defect))).is_ok()
    }

    fn answer(self: Box<Self>, place: &Place) {
        if let Some(outcome) = self.outcome {
            // The caller may have stopped waiting.
            let _ = self.caller.send(place.explain(outcome));
        }
    }

    fn refuse(self: Box<Self>, place: &Place, reason: &Lost) {
        let error = match self.outcome {
            Some(Err(trouble)) => trouble.explain(place),
            _ => reason.explain(place),
        };
        let _ = self.caller.send(Err(error));
    }
}

/// Why a transaction was not committed.
enum Lost {
    /// The transaction could not begin, so no other request could begin, either.
    AtBegin(rusqlite::Error),
    /// Another program has brought the file to this version in the meantime.
    Newer(u32),
    /// The transaction was rolled back because of one of its requests, or because of all of them.
    Later(rusqlite::Error),
}

impl Lost {
    fn explain(&self, place: &Place) -> RepositoryError {
        match self {
            Self::AtBegin(error) | Self::Later(error) => place.explain_sqlite(error),
            Self::Newer(found) => migrate::newer(*found, place),
        }
    }
}

/// The state of the thread.
struct Desk {
    db: Connection,
    place: Arc<Place>,
    turns: Turns,
    /// How long to wait for SQLite.
    busy_timeout: Duration,
    /// The present setting of the connection.
    synchronous: Durability,
    durable_commits: Arc<AtomicU64>,
}

impl Desk {
    fn work(&mut self, incoming: &Receiver<Box<dyn Request>>) {
        while let Ok(first) = incoming.recv() {
            let others = incoming.try_iter().take(TOGETHER_MAX - 1);
            let together = std::iter::once(first).chain(others).collect();
            self.settle(together);
        }
    }

    /// Commits requests together. If that fails, commits each alone, so that a request that does not fit on the
    /// disk does not fail the others.
    fn settle(&mut self, mut together: Vec<Box<dyn Request>>) {
        match self.commit(&mut together) {
            Ok(()) => together.into_iter().for_each(|request| request.answer(&self.place)),
            Err(Lost::Later(_)) if together.len() > 1 => {
                together.into_iter().for_each(|request| self.settle(vec![request]));
            }
            Err(lost) => together.into_iter().for_each(|request| request.refuse(&self.place, &lost)),
        }
    }

    fn commit(&mut self, together: &mut [Box<dyn Request>]) -> std::result::Result<(), Lost> {
        let durability = together.iter().map(|request| request.durability()).max();
        let durability = durability.unwrap_or(Durability::Power);
        self.begin(durability).map_err(Lost::AtBegin)?;
        let outcome = self.run_all(together);
        if outcome.is_err() {
            self.roll_back();
        } else if durability == Durability::Power {
            self.durable_commits.fetch_add(1, Ordering::Relaxed);
        }
        outcome
    }

    fn begin(&mut self, durability: Durability) -> rusqlite::Result<()> {
        self.set_synchronous(durability)?;
        let busy =
            || rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY), None);
        let _turn = self.turns.take().map_err(|NoTurn| busy())?;
        self.db.busy_timeout(Duration::ZERO)?;
        let begun = self.ask_to_begin();
        self.db.busy_timeout(self.busy_timeout)?;
        begun
    }

    /// Tries until SQLite lets this process write.
    fn ask_to_begin(&self) -> rusqlite::Result<()> {
        let end = Instant::now() + self.busy_timeout;
        loop {
            match self.execute("BEGIN IMMEDIATE") {
                Err(error)
                    if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && Instant::now() < end =>
                {
                    std::thread::sleep(ASK_AGAIN);
                }
                begun => return begun,
            }
        }
    }

    fn run_all(&self, together: &mut [Box<dyn Request>]) -> std::result::Result<(), Lost> {
        if let Some(found) = migrate::newer_version(&self.db).map_err(Lost::Later)? {
            return Err(Lost::Newer(found));
        }
        self.run_and_commit(together).map_err(Lost::Later)
    }

    fn run_and_commit(&self, together: &mut [Box<dyn Request>]) -> rusqlite::Result<()> {
        for request in together {
            self.execute("SAVEPOINT request")?;
            if !request.run(&self.db) {
                // Fails if SQLite rolled back the whole transaction, as it may on a full disk.
                self.execute("ROLLBACK TO request")?;
            }
            self.execute("RELEASE request")?;
        }
        self.execute("COMMIT")
    }

    /// Sets how commits reach the disk. In a write-ahead log, `normal` commits without waiting for the disk; the
    /// next `full` commit makes it durable as well.
    fn set_synchronous(&mut self, durability: Durability) -> rusqlite::Result<()> {
        if self.synchronous != durability {
            // Not through the cache of prepared statements: SQLite changes the setting when it prepares this
            // statement.
            let level = match durability {
                Durability::Process => "normal",
                Durability::Power => "full",
            };
            self.db.pragma_update(None, "synchronous", level)?;
            self.synchronous = durability;
        }
        Ok(())
    }

    fn roll_back(&self) {
        if !self.db.is_autocommit() {
            // It fails only if there is nothing left to roll back.
            let _ = self.execute("ROLLBACK");
        }
    }

    fn execute(&self, sql: &str) -> rusqlite::Result<()> {
        self.db.prepare_cached(sql)?.execute([]).map(|_| ())
    }
}
