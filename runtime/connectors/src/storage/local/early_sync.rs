//! Making an output durable while it is still being written.
//!
//! The wait for the disk at a checkpoint is short if most of the output is already on the disk. So from time to time
//! another thread syncs what was written so far. The writer continues meanwhile.

use std::fs::File;
use std::io;
use std::thread::{self, JoinHandle};

/// The number of bytes after which the next sync begins, if the last one has ended.
const BYTES_BETWEEN: u64 = 8 << 20;

/// The syncs of one file, one at a time.
#[derive(Default)]
pub(super) struct EarlySync {
    /// How many bytes were written since the last sync began.
    unsynced: u64,
    running: Option<JoinHandle<io::Result<()>>>,
}

impl EarlySync {
    /// Begins a sync if enough bytes were written since the last one, and if the last one has ended.
    pub(super) fn written(&mut self, file: &File, bytes: u64) -> io::Result<()> {
        self.unsynced += bytes;
        if self.unsynced < BYTES_BETWEEN || self.running.as_ref().is_some_and(|thread| !thread.is_finished())
        {
            return Ok(());
        }
        self.wait()?;
        let file = file.try_clone()?;
        let thread = thread::Builder::new().name("stepbox-sync".to_owned());
        self.running = Some(thread.spawn(move || file.sync_data())?);
        self.unsynced = 0;
        Ok(())
    }

    /// Waits for the sync that runs. The operating system reports an error of the disk once, to the first sync that
    /// meets it: a later sync does not report what this one failed to write.
    pub(super) fn wait(&mut self) -> io::Result<()> {
        match self.running.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(synced)) => synced,
            Some(Err(_)) => Err(io::Error::other("the thread that syncs has panicked")),
        }
    }
}

/// Waits for the thread. The thread has the file open, and so its lock. The next attempt that opens the output must
/// find the file free.
impl Drop for EarlySync {
    fn drop(&mut self) {
        let _ = self.wait();
    }
}
