//! Executions: looking at them, and asking something of them. Those that the command follows are in `run`.

use std::path::PathBuf;
use std::pin::Pin;

use stepbox::batch::execution::ExecutionFilter;
use stepbox::batch::name::JobExecutionId;
use stepbox::batch::ports::RepositoryError;
use stepbox::{Error, Purge, RestartOptions};
use stepbox_api::execution::{
    Abandoned, Execution, LogLine, NotRemoved, PauseAnswer, Purged, Remains, StopAnswer, Warning,
};
use stepbox_api::list::Row;
use stepbox_api::queue;
use tokio::fs::File;
use tokio::io::AsyncRead;

use super::pages::{Numbered as _, in_order};
use super::{Here, Site};
use crate::error::CliError;

/// Executions, newest first.
pub(crate) enum Executions {
    Here(Here, ExecutionFilter),
}

/// An execution, as far as the store can read it.
pub(crate) enum Found {
    /// It can be read. Its place in the queue may be damaged, and is then told in words.
    Whole { execution: Box<Execution>, damage: Option<String> },
    /// It is damaged; this is what is left of it.
    Damaged(Remains),
}

/// The bytes of a file.
pub(crate) struct Download {
    /// The name of the file in messages.
    pub(crate) name: PathBuf,
    pub(crate) bytes: Pin<Box<dyn AsyncRead + Send>>,
}

impl Site {
    /// The executions that match a filter, page by page; the limit of the filter is left to the reader.
    pub(crate) fn executions(&self, filter: ExecutionFilter) -> Executions {
        match self {
            Self::Here(here) => Executions::Here(here.clone(), filter),
        }
    }

    /// An execution with its steps and its place in the queue, or what is left of it.
    pub(crate) async fn find_execution(&self, id: u64) -> Result<Found, CliError> {
        match self {
            Self::Here(here) => here.find_execution(JobExecutionId(id)).await,
        }
    }

    /// An execution with its steps. A damaged one is an error.
    pub(crate) async fn execution(&self, id: u64) -> Result<Execution, CliError> {
        match self {
            Self::Here(here) => Ok(Execution::of(&here.tenant.execution(JobExecutionId(id)).await?)),
        }
    }

    /// The log of an execution.
    pub(crate) async fn log(&self, id: u64) -> Result<Vec<LogLine>, CliError> {
        match self {
            Self::Here(here) => {
                Ok(here.tenant.log(JobExecutionId(id)).await?.iter().map(LogLine::of).collect())
            }
        }
    }

    /// The stored warnings of an execution.
    pub(crate) async fn warnings(&self, id: u64) -> Result<Vec<Row<Warning>>, CliError> {
        match self {
            Self::Here(here) => Ok(Row::of(&here.tenant.warnings(JobExecutionId(id)).await?, Warning::of)),
        }
    }

    /// Asks an execution to stop.
    pub(crate) async fn stop_execution(&self, id: u64) -> Result<StopAnswer, CliError> {
        match self {
            Self::Here(here) => {
                let id = JobExecutionId(id);
                Ok(StopAnswer::of(id, here.tenant.stop_execution(id).await?))
            }
        }
    }

    /// Asks an execution to pause.
    pub(crate) async fn pause_execution(&self, id: u64) -> Result<PauseAnswer, CliError> {
        match self {
            Self::Here(here) => {
                let id = JobExecutionId(id);
                Ok(PauseAnswer::of(id, here.tenant.pause_execution(id).await?))
            }
        }
    }

    /// Lets an execution that is PAUSED wait for a worker.
    pub(crate) async fn publish_resume(&self, id: u64) -> Result<(), CliError> {
        match self {
            Self::Here(here) => Ok(here.tenant.publish_resume(JobExecutionId(id)).await?),
        }
    }

    /// Puts a restart into the queue.
    pub(crate) async fn publish_restart(
        &self,
        id: u64,
        changes: &RestartOptions,
    ) -> Result<queue::Published, CliError> {
        match self {
            Self::Here(here) => {
                let published = here.tenant.publish_restart(JobExecutionId(id), changes, None).await?;
                Ok(queue::Published::of(published))
            }
        }
    }

    /// Gives up an execution.
    pub(crate) async fn abandon_execution(&self, id: u64) -> Result<Abandoned, CliError> {
        match self {
            Self::Here(here) => {
                let not_removed = here.tenant.abandon_execution(JobExecutionId(id)).await?;
                Ok(Abandoned { id, not_removed: not_removed.iter().map(NotRemoved::of).collect() })
            }
        }
    }

    /// Deletes executions that have ended.
    pub(crate) async fn purge_executions(&self, purge: Purge) -> Result<Purged, CliError> {
        match self {
            Self::Here(here) => {
                let purged = here.tenant.purge_executions(purge).await?;
                let not_removed = purged.not_removed.iter().map(NotRemoved::of).collect();
                Ok(Purged::of(&purged.executions).leaving(not_removed))
            }
        }
    }

    /// The names of the steps that have rejected items.
    pub(crate) async fn steps_with_rejected_items(&self, id: u64) -> Result<Vec<String>, CliError> {
        match self {
            Self::Here(here) => {
                let files = here.tenant.rejected_items(JobExecutionId(id)).await?;
                Ok(files.into_iter().map(|(step, _)| step.to_string()).collect())
            }
        }
    }

    /// The items that a step rejected.
    pub(crate) async fn rejected_items(&self, id: u64, step: &str) -> Result<Download, CliError> {
        match self {
            Self::Here(here) => here.rejected_items(id, step).await,
        }
    }
}

impl Executions {
    /// The next rows, at most `rows` of them.
    pub(crate) async fn next(&mut self, rows: u32) -> Result<Vec<Row<Execution>>, CliError> {
        match self {
            Self::Here(here, filter) => {
                let page = ExecutionFilter { limit: rows, ..filter.clone() };
                let page = in_order(&here.tenant.executions(&page).await?, Execution::listed);
                filter.before = page.last().map(|row| JobExecutionId(row.number())).or(filter.before);
                Ok(page)
            }
        }
    }
}

impl Here {
    async fn find_execution(&self, id: JobExecutionId) -> Result<Found, CliError> {
        let execution = match self.tenant.execution(id).await {
            Err(Error::Repository(RepositoryError::Corrupt { .. })) => {
                return Ok(Found::Damaged(Remains::of(id, &self.tenant.remains(id).await?)));
            }
            found => found?,
        };
        let (entry, damage) = match self.tenant.queue_entry(id).await {
            Err(Error::Repository(error @ RepositoryError::Corrupt { .. })) => {
                (None, Some(error.to_string()))
            }
            entry => (entry?, None),
        };
        let execution = Box::new(Execution::of(&execution).with_queue(entry.as_ref()));
        Ok(Found::Whole { execution, damage })
    }

    async fn rejected_items(&self, id: u64, step: &str) -> Result<Download, CliError> {
        let files = self.tenant.rejected_items(JobExecutionId(id)).await?;
        let found = files.into_iter().find(|(name, _)| name.as_str() == step);
        let (_, name) = found.ok_or(CliError::NothingRejected { id })?;
        let file = File::open(&name).await.map_err(CliError::unreadable(&name))?;
        Ok(Download { name, bytes: Box::pin(file) })
    }
}
