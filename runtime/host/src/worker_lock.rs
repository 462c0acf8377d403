//! Which workers of a data folder are alive: each holds a lock on its own file as long as it lives.
//!
//! A lease also shows this, but only after it has expired. The operating system releases a lock as soon as a
//! process ends, however it ends, so the next process need not wait.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;

use crate::data_folder::private;

/// The lock of a living worker.
#[derive(Debug)]
pub(crate) struct WorkerLock(#[expect(dead_code, reason = "held, not used")] File);

impl WorkerLock {
    /// Takes the lock of a worker, which shows that the worker is alive.
    pub(crate) fn take(folder: &Path, worker: &str) -> io::Result<Self> {
        let file = private().truncate(true).open(folder.join(worker))?;
        file.try_lock()?;
        Ok(Self(file))
    }

    /// The workers that have ended and are not yet removed.
    pub(crate) fn dead(folder: &Path) -> io::Result<Vec<String>> {
        Self::all(folder).map(|(_, dead)| dead)
    }

    /// The workers that are alive, and the workers that have ended and are not yet removed.
    pub(crate) fn all(folder: &Path) -> io::Result<(Vec<String>, Vec<String>)> {
        let (mut living, mut dead) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let Ok(worker) = entry.file_name().into_string() else { continue };
            match File::open(entry.path()).map(|file| file.try_lock()) {
                Ok(Ok(())) => dead.push(worker),
                Ok(Err(TryLockError::WouldBlock)) => living.push(worker),
                // The worker has just been removed, or the file does not belong to a worker.
                Ok(Err(TryLockError::Error(_))) | Err(_) => {}
            }
        }
        Ok((living, dead))
    }

    /// Removes a worker whose executions have been handled.
    pub(crate) fn forget(folder: &Path, worker: &str) {
        // If this fails, the next process that finds the file removes it.
        let _ = fs::remove_file(folder.join(worker));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_dead_once_it_lets_go() {
        let folder = tempfile::tempdir().unwrap();
        let dead = || WorkerLock::dead(folder.path()).unwrap();
        let (one, _two) =
            ["one", "two"].map(|worker| WorkerLock::take(folder.path(), worker).unwrap()).into();
        assert_eq!(dead(), [""; 0]);
        drop(one);
        assert_eq!(dead(), ["one"]);
        let all = WorkerLock::all(folder.path()).unwrap();
        assert_eq!(all, (vec!["two".to_owned()], vec!["one".to_owned()]));
        WorkerLock::forget(folder.path(), "one");
        assert_eq!(dead(), [""; 0]);
    }
}
