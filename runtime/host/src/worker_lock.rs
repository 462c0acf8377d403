//! Which workers of a data folder live: each holds a lock on a file of its own for as long as it does.
//!
//! A lease tells it, too, but only once it has run out. The operating system lets go of a lock the moment
//! a process ends, however it ends, so whoever comes next need not wait.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// The lock of a living worker.
#[derive(Debug)]
pub(crate) struct WorkerLock(#[expect(dead_code, reason = "held, not used")] File);

impl WorkerLock {
    /// Says that a worker lives.
    pub(crate) fn take(folder: &Path, worker: &str) -> io::Result<Self> {
        let file = File::create(folder.join(worker))?;
        file.try_lock()?;
        Ok(Self(file))
    }

    /// The workers that have ended without being missed yet.
    pub(crate) fn dead(folder: &Path) -> io::Result<Vec<String>> {
        let mut dead = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let is_free = File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok());
            if is_free && let Ok(worker) = entry.file_name().into_string() {
                dead.push(worker);
            }
        }
        Ok(dead)
    }

    /// Forgets a worker whose executions others have seen to.
    pub(crate) fn forget(folder: &Path, worker: &str) {
        // Who finds it again does the same once more.
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
        WorkerLock::forget(folder.path(), "one");
        assert_eq!(dead(), [""; 0]);
    }
}
