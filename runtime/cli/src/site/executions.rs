//! Executions: looking at them, and asking something of them. Those that the command follows are in `run`.

use std::path::PathBuf;
use std::pin::Pin;

use jiff::tz::TimeZone;
use stepbox::batch::execution::status::BatchStatus;
use stepbox::batch::execution::{ExecutionFilter, filter_text};
use stepbox::batch::name::{InstanceCode, JobExecutionId};
use stepbox::batch::ports::RepositoryError;
use stepbox::{Error, Purge, RestartOptions};
use stepbox_api::execution::{
    Abandoned, Execution, LogLine, NotRemoved, OutputFile, PauseAnswer, Purged, Remains, Status, StopAnswer,
    Warning,
};
use stepbox_api::list::Row;
use stepbox_api::queue;
use stepbox_api::request::{PurgeExecutions, Restart, SkipLimit};
use stepbox_client::Pages;
use tokio::fs::File;
use tokio::io::AsyncRead;

use super::pages::{Numbered as _, in_order};
use super::{Here, Site, There};
use crate::error::CliError;

/// The code of what is damaged in a server's store.
const DAMAGED: &str = "store-corrupt";

/// Which executions a list shows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    pub(crate) instance: Option<InstanceCode>,
    pub(crate) status: Option<BatchStatus>,
    /// The text of a filter.
    pub(crate) filter: Option<String>,
}

/// Executions, newest first.
pub(crate) enum Executions {
    Here(Here, ExecutionFilter),
    There(Pages<Execution>),
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
    /// The executions that are wanted, page by page.
    pub(crate) fn executions(&self, wanted: &Wanted) -> Result<Executions, CliError> {
        let Wanted { instance, status, filter } = wanted;
        match self {
            Self::Here(here) => {
                let text = filter.as_deref().unwrap_or_default();
                let read =
                    filter_text::parse(text, here.tenant.now(), &TimeZone::UTC).map_err(Error::from)?;
                let read = status.map_or(read.clone(), |status| read.in_status(status));
                let read = instance.clone().map_or(read.clone(), |code| read.of_instance(code));
                Ok(Executions::Here(here.clone(), read))
            }
            Self::There(there) => {
                Ok(Executions::There(there.tenant.executions(&stepbox_client::ExecutionFilter {
                    instance: instance.as_ref().map(ToString::to_string),
                    // The list of those that are STARTING has those that are shown as QUEUED, too.
                    status: status.map(Status::from),
                    filter: filter.clone(),
                })))
            }
        }
    }

    /// An execution with its steps and its place in the queue, or what is left of it.
    pub(crate) async fn find_execution(&self, id: u64) -> Result<Found, CliError> {
        match self {
            Self::Here(here) => here.find_execution(JobExecutionId(id)).await,
            Self::There(there) => match there.tenant.execution(id).await {
                Err(error) if error.code() == DAMAGED => Ok(Found::Damaged(there.tenant.remains(id).await?)),
                found => Ok(Found::Whole { execution: Box::new(found?), damage: None }),
            },
        }
    }

    /// The parts of an execution's steps.
    pub(crate) async fn parts(&self, id: u64) -> Result<Vec<Execution>, CliError> {
        match self {
            Self::Here(Here { tenant, .. }) => {
                let id = tenant.execution(JobExecutionId(id)).await?.id;
                Ok(tenant.partitions(id).await?.iter().map(Execution::of).collect())
            }
            Self::There(there) => Ok(there.tenant.parts(id).await?),
        }
    }

    /// The files that the steps of an execution have written.
    pub(crate) async fn output_files(&self, id: u64) -> Result<Vec<OutputFile>, CliError> {
        match self {
            Self::Here(here) => {
                let outputs = here.tenant.outputs(JobExecutionId(id)).await?;
                let files = outputs.iter().enumerate();
                Ok(files.map(|(number, output)| OutputFile::of(number, output)).collect())
            }
            Self::There(there) => {
                let files = there.tenant.output_files(id).all().await?;
                Ok(files.into_iter().filter_map(|row| row.whole().cloned()).collect())
            }
        }
    }

    /// An execution with its steps. A damaged one is an error.
    pub(crate) async fn execution(&self, id: u64) -> Result<Execution, CliError> {
        match self {
            Self::Here(here) => Ok(Execution::of(&here.tenant.execution(JobExecutionId(id)).await?)),
            Self::There(there) => Ok(there.tenant.execution(id).await?),
        }
    }

    /// The log of an execution.
    pub(crate) async fn log(&self, id: u64) -> Result<Vec<LogLine>, CliError> {
        match self {
            Self::Here(here) => {
                Ok(here.tenant.log(JobExecutionId(id)).await?.iter().map(LogLine::of).collect())
            }
            Self::There(there) => Ok(there.log(id).await?),
        }
    }

    /// The stored warnings of an execution.
    pub(crate) async fn warnings(&self, id: u64) -> Result<Vec<Row<Warning>>, CliError> {
        match self {
            Self::Here(here) => Ok(Row::of(&here.tenant.warnings(JobExecutionId(id)).await?, Warning::of)),
            Self::There(there) => Ok(there.tenant.warnings(id).all().await?),
        }
    }

    /// Asks an execution to stop.
    pub(crate) async fn stop_execution(&self, id: u64) -> Result<StopAnswer, CliError> {
        match self {
            Self::Here(here) => {
                let id = JobExecutionId(id);
                Ok(StopAnswer::of(id, here.tenant.stop_execution(id).await?))
            }
            Self::There(there) => Ok(there.tenant.stop_execution(id).await?),
        }
    }

    /// Asks an execution to pause.
    pub(crate) async fn pause_execution(&self, id: u64) -> Result<PauseAnswer, CliError> {
        match self {
            Self::Here(here) => {
                let id = JobExecutionId(id);
                Ok(PauseAnswer::of(id, here.tenant.pause_execution(id).await?))
            }
            Self::There(there) => Ok(there.tenant.pause_execution(id).await?),
        }
    }

    /// Lets an execution that is PAUSED wait for a worker.
    pub(crate) async fn publish_resume(&self, id: u64) -> Result<(), CliError> {
        match self {
            Self::Here(here) => Ok(here.tenant.publish_resume(JobExecutionId(id)).await?),
            Self::There(there) => there.tenant.publish_resume(id).await.map(drop).map_err(CliError::from),
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
            Self::There(there) => Ok(there.tenant.publish_restart(id, &changes_of(changes)).await?),
        }
    }

    /// Gives up an execution.
    pub(crate) async fn abandon_execution(&self, id: u64) -> Result<Abandoned, CliError> {
        match self {
            Self::Here(here) => {
                let not_removed = here.tenant.abandon_execution(JobExecutionId(id)).await?;
                Ok(Abandoned { id, not_removed: not_removed.iter().map(NotRemoved::of).collect() })
            }
            Self::There(there) => Ok(there.tenant.abandon_execution(id).await?),
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
            Self::There(there) => {
                let Purge { instance, status, older_than_days } = purge;
                let (instance, status) = (instance.map(|code| code.to_string()), status.map(Status::from));
                let purge = PurgeExecutions { older_than_days, status, instance };
                Ok(there.tenant.purge_executions(&purge).await?)
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
            Self::There(there) => {
                let steps = there.tenant.rejected_items(id).all().await?;
                Ok(steps.iter().filter_map(Row::whole).map(|items| items.step.clone()).collect())
            }
        }
    }

    /// The items that a step rejected.
    pub(crate) async fn rejected_items(&self, id: u64, step: &str) -> Result<Download, CliError> {
        match self {
            Self::Here(here) => here.rejected_items(id, step).await,
            Self::There(there) => {
                let bytes = Box::pin(there.tenant.download_rejected_items(id, step).await?);
                Ok(Download { name: format!("the rejected items of execution {id}").into(), bytes })
            }
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
            Self::There(executions) => Ok(executions.page(rows).await?),
        }
    }
}

impl There {
    /// The whole log of an execution.
    pub(super) async fn log(&self, id: u64) -> Result<Vec<LogLine>, CliError> {
        let lines = self.tenant.log(id).all().await?;
        Ok(lines.into_iter().filter_map(|row| row.whole().cloned()).collect())
    }
}

/// The changes of a restart, as a server takes them.
pub(super) fn changes_of(options: &RestartOptions) -> Restart {
    let RestartOptions { newest_components, newest_job, skip_limit, anew, .. } = *options;
    Restart { newest_components, newest_job, skip_limit: skip_limit.map(SkipLimit::of), anew }
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
