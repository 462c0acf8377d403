//! Whose turn it is to write, among processes.
//!
//! SQLite lets one process write at a time, and the others ask again and again, each after a while: under many of
//! them some ask in vain until they give up. So whoever wants to write takes a lock first, which the operating
//! system hands from one to the next, and gives it back as soon as SQLite has let it in: at any time a single
//! process asks SQLite, and can ask often.
//!
//! The lock is on the folder of the file, so nothing is left beside it. It is good manners, not safety: where
//! there is no such lock, or another program writes without it, SQLite keeps order as ever.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

/// How long a turn is waited for. Whoever has one gives it back as soon as SQLite lets it in or has kept it waiting
/// for too long, so this is for those alone that stand still with it.
const PATIENCE: Duration = Duration::from_secs(30);

/// The lock of a folder.
#[derive(Debug)]
pub(super) struct Turns {
    folder: PathBuf,
    /// None where a folder cannot be locked.
    handle: Option<File>,
    patience: Duration,
}

/// A turn, until it is dropped.
#[derive(Debug)]
pub(super) enum Turn<'a> {
    /// Nobody else wanted it.
    Now(&'a File),
    /// It came from somebody else.
    Later(#[expect(dead_code, reason = "held, not used")] File),
    /// There are no turns here.
    Untaken,
}

/// Others had their turns for longer than this one would wait.
#[derive(Debug)]
pub(super) struct NoTurn;

impl Turns {
    /// Those of the folder of a file.
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

    /// A wait in the operating system's row has no end of its own, so a thread does it. One that is left behind
    /// passes its turn on.
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
            // It fails for a handle without a lock alone.
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
