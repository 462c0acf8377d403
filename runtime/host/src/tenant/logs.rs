//! The log of an execution: whole, or a part of it that is small however long the log is.

use std::path::PathBuf;

use stepbox_batch::log::LogLine;
use stepbox_batch::name::JobExecutionId;
use tokio::sync::Semaphore;

use super::Tenant;
use crate::error::Error;
use crate::execution_log::{self, LogPage, LogPlace, LogQuery, Window};

/// How many parts of logs are read at a time. Each search in a long log computes for a while, and others need threads, too.
const READ_TOGETHER: usize = 4;

static READS: Semaphore = Semaphore::const_new(READ_TOGETHER);

impl Tenant {
    /// The log of an execution.
    ///
    /// All its lines are in memory at once. A long log is read in parts, with [`log_after`](Self::log_after).
    pub async fn log(&self, id: JobExecutionId) -> Result<Vec<LogLine>, Error> {
        self.refuse_unknown(id).await?;
        if let Some(shared) = self.installation.data.shared() {
            let log = shared.wait(move |shared| shared.log(id)).await?;
            return Ok(execution_log::parse(&log));
        }
        let path = self.installation.data.execution(id);
        execution_log::read(&path).map_err(|source| unreadable(path, source))
    }

    /// Up to `limit` lines of a log after a place in it.
    pub async fn log_after(
        &self,
        id: JobExecutionId,
        place: LogPlace,
        query: LogQuery,
        limit: usize,
    ) -> Result<LogPage, Error> {
        self.some_of_log(id, Window::After(place), query, limit).await
    }

    /// The last lines of a log, up to `limit`, before the line with a number; `None` for those of the whole log.
    pub async fn log_before(
        &self,
        id: JobExecutionId,
        number: Option<u64>,
        query: LogQuery,
        limit: usize,
    ) -> Result<LogPage, Error> {
        self.some_of_log(id, Window::Before(number), query, limit).await
    }

    async fn some_of_log(
        &self,
        id: JobExecutionId,
        window: Window,
        query: LogQuery,
        limit: usize,
    ) -> Result<LogPage, Error> {
        self.refuse_unknown(id).await?;
        let (path, shared) = (self.installation.data.execution(id), self.installation.data.shared().cloned());
        let _turn = READS.acquire().await;
        let folder = path.clone();
        let read = tokio::task::spawn_blocking(move || match &shared {
            Some(shared) => execution_log::read_some_pieces(|| shared.open_log(id), window, &query, limit),
            None => execution_log::read_some(&folder, window, &query, limit),
        });
        match read.await {
            Ok(read) => read.map_err(|source| unreadable(path, source)),
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }

    /// A damaged execution has a log, too, so its row alone is looked for.
    async fn refuse_unknown(&self, id: JobExecutionId) -> Result<(), Error> {
        match self.installation.repository.ancestry(&self.id, id).await?.is_empty() {
            true => Err(Error::no_execution(id)),
            false => Ok(()),
        }
    }
}

fn unreadable(path: PathBuf, source: std::io::Error) -> Error {
    Error::DataFolder { path, action: "cannot be read", source }
}
