//! The log of a run for several machines: new messages are copied to the shared folder every few seconds, and
//! at the end of the run.

use std::sync::Arc;
use std::time::Duration;

use stepbox_batch::name::JobExecutionId;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::execution_log::FileLog;
use crate::shared_folder::SharedFolder;

/// How often new messages are shared, in milliseconds: as often as a lease of the usual length is renewed.
const BEAT_MS: u64 = 5_000;

/// How long a run that was asked to stop waits until its last messages are shared, in milliseconds.
const HASTE_MS: u64 = 500;

/// A log that is being shared. Dropping the value shares the last messages without waiting for that.
pub(crate) struct LogSharing {
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl LogSharing {
    pub(crate) fn begin(folder: SharedFolder, log: Arc<FileLog>, id: JobExecutionId, lease: u64) -> Self {
        let (end, mut ended) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut number = 1;
            loop {
                let is_last = tokio::select! {
                    _ = &mut ended => true,
                    () = sleep(Duration::from_millis(BEAT_MS)) => false,
                };
                let bytes = log.take_unshared();
                if !bytes.is_empty() {
                    let piece = bytes.clone();
                    match folder.wait(move |folder| folder.put_log(id, lease, number, piece)).await {
                        Ok(()) => number += 1,
                        // The messages are still in this machine's file. The next piece contains them.
                        Err(_) => log.give_back(bytes),
                    }
                }
                if is_last {
                    return;
                }
            }
        });
        Self { end, task }
    }

    /// Shares the last messages. A log that cannot be shared must not fail the job, and must not delay it.
    /// `is_in_haste` says that the run was asked to stop. The wait for the last messages is then shorter.
    pub(crate) async fn finish(self, is_in_haste: bool) {
        // The task ends when it receives this message, so send it before the wait.
        let _ = self.end.send(());
        let patience = if is_in_haste { HASTE_MS } else { BEAT_MS };
        let _ = timeout(Duration::from_millis(patience), self.task).await;
    }
}
