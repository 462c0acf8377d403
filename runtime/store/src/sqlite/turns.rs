//! Decides which process writes next.
//!
//! SQLite lets one process write at a time, and the others ask again and again, with a pause between two questions.
//! If there are many processes, some ask without success until they give up. So a process that wants to write takes
//! a lock first, which the operating system passes from one process to the next. The process gives the lock back as
//! soon as SQLite has let it in. So at any time only one process asks SQLite, and it can ask often.
//!
//! The lock is on the folder of the file, so no extra file is left. It only improves the order; it is not needed
//! for safety. If the lock does not exist, or another program writes without it, SQLite itself lets one process
//! write at a time.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

/// How long to wait for a turn. A process with a turn gives it back as soon as SQLite lets it in, or has refused it
/// for too long. So this limit matters only for a process that hangs while it has a turn.
const PATIENCE: Duration = Duration::from_secs(30);

/// The lock of a folder.
#[derive(Debug)]
pub(super) struct Turns {
    folder: PathBuf,
    /// `None` if the folder cannot be locked.
    handle: Option<File>,
    patience: Duration,
}

/// A turn, until it is dropped.
#[derive(Debug)]
pub(super) enum Turn<'a> {
    /// No other process wanted the lock.
    Now(&'a File),
    /// Another process had the lock before.
    Later(#[expect(dead_code, reason = "held, not used")] File),
    /// Turns are not available here.
    Untaken,
}

/// Other processes had their turns for longer than this one waits.
#[derive(Debug)]
pub(super) struct NoTurn;

impl Turns {
    /// The turns of the folder of a file.
    pub(super) fn of(file: &Path) -> Self {
        let folder = file.parent().unwrap_or(Path::new("/")).to_owned();
        let handle = File::open(&folder).ok();
        Self { folder, handle, patience: PATIENCE }
    }

    /// Waits for a turn.
    pub(super) fn take(&self) -> Result<Turn<'_>, NoTurn> {
        let Some(handle) = &self.handle else { return Ok(Turn::Untaken) };
        match handle.try_lock() {
            Ok(()) => Ok(Turn::Now(handle)),
            Err(std::fs::TryLockError::WouldBlock) => self.wait(),
            Err(std::fs::TryLockError::Error(_)) => Ok(Turn::Untaken),
        }
    }

    /// Waits on a thread, because a wait for the operating system's lock has no timeout. If the caller gives up,
    /// the thread passes its turn on.
    fn wait(&self) -> Result<Turn<'_>, NoTurn> {
        let (turn, came) = mpsc::channel();
        let folder = self.folder.clone();
        let waiting = std::thread::Builder::new().name("stepbox-turn".to_owned()).spawn(move || {
            let locked = File::open(folder).and_then(|file| {
                while let Err(error) = file.lock() {
                    if error.kind() != ErrorKind::Interrupted {
                        return Err(error);
                    }
                }
                Ok(file)
            });
            let _ = turn.send(locked);
        });
        match waiting.map(|_| came.recv_timeout(self.patience)) {
            Ok(Ok(Ok(file))) => Ok(Turn::Later(file)),
            Ok(Err(mpsc::RecvTimeoutError::Timeout)) => Err(NoTurn),
            Ok(Ok(Err(_)) | Err(mpsc::RecvTimeoutError::Disconnected)) | Err(_) => Ok(Turn::Untaken),
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Self::Now(handle) = self {
            // It fails only for a handle without a lock.
            let _ = handle.unlock();
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_turn_comes_from_one_to_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let turns = |patience| Turns { patience, ..Turns::of(&folder.path().join("a.db")) };
        let (one, two) = (turns(Duration::from_secs(60)), turns(Duration::ZERO));
        let first = one.take().unwrap();
        assert!(matches!(first, Turn::Now(_)));
        assert!(two.take().is_err(), "its patience is over");
        std::thread::scope(|scope| {
            let next = turns(Duration::from_secs(60));
            let waiting = scope.spawn(move || matches!(next.take(), Ok(Turn::Later(_) | Turn::Now(_))));
            drop(first);
            assert!(waiting.join().unwrap());
        });
        let again = turns(Duration::from_secs(60));
        assert!(again.take().is_ok(), "whoever gave up or is done holds nothing");
    }
}
