//! A log for several machines: what came since the last time goes to the shared folder now and then, and at
//! the end.

use std::sync::Arc;
use std::time::Duration;

use stepbox_batch::name::JobExecutionId;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::FileLog;
use crate::shared_folder::SharedFolder;

/// How often, in milliseconds: as often as the lease is renewed, mostly.
const BEAT_MS: u64 = 5_000;

/// How long somebody who wants a run to end waits for the last piece, in milliseconds.
const HASTE_MS: u64 = 500;

/// A log that is being shared. Dropping it shares what is left, without waiting for that.
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
                        // It stands in this machine's file; the next piece brings it along.
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

    /// Shares what is left. A log that cannot be shared must not fail the job, nor hold it up: `is_in_haste` says that
    /// somebody waits for its end.
    pub(crate) async fn finish(self, is_in_haste: bool) {
        // The task ends by nothing else.
        let _ = self.end.send(());
        let patience = if is_in_haste { HASTE_MS } else { BEAT_MS };
        let _ = timeout(Duration::from_millis(patience), self.task).await;
    }
}
