//! Executions that the command follows to their end.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use stepbox::batch::name::{JobExecutionId, StepName};
use stepbox::batch::ports::RepositoryError;
use stepbox::{Error, Reimport, RestartOptions, RunOptions, Running};
use stepbox_api::execution::{Execution, LogLine, Tracking};
use stepbox_api::request::Launch;
use stepbox_client::Outgoing;
use tokio::sync::watch;

use super::executions::changes_of;
use super::followed::{Followed, Since};
use super::progress::{Progress, Stopping};
use super::{Site, There};
use crate::error::CliError;
use crate::output::progress::ShowLog;
use crate::output::upload;

/// An execution that has begun.
pub(crate) enum Run {
    /// It runs in this process.
    Here(Running),
    /// Some worker of a server runs it.
    There(Box<Followed>),
}

/// The latest progress of an execution.
pub(crate) enum Progressing {
    Here(watch::Receiver<stepbox::Progress>),
    There(watch::Receiver<Progress>),
}

impl Site {
    /// Runs an instance.
    pub(crate) async fn run(
        &self,
        code: &str,
        overrides: Option<Value>,
        log: Option<ShowLog>,
    ) -> Result<Run, CliError> {
        match self {
            Self::Here(here) => {
                let options = RunOptions { overrides, log: listener(log) };
                Ok(Run::Here(here.tenant.run(code, options).await?))
            }
            Self::There(There { tenant }) => {
                let launch = Launch { overrides, ..Launch::default() };
                let published = tenant.publish(code, &launch).await?;
                Ok(Run::There(Followed::new(tenant, published.id, log, Since::Beginning)))
            }
        }
    }

    /// Continues an execution that was stopped or failed, as a new execution.
    pub(crate) async fn restart(
        &self,
        id: u64,
        options: RestartOptions,
        log: Option<ShowLog>,
    ) -> Result<Run, CliError> {
        match self {
            Self::Here(here) => {
                let options = RestartOptions { log: listener(log), ..options };
                Ok(Run::Here(here.tenant.restart_execution(JobExecutionId(id), options).await?))
            }
            Self::There(There { tenant }) => {
                let published = tenant.publish_restart(id, &changes_of(&options)).await?;
                Ok(Run::There(Followed::new(tenant, published.id, log, Since::Beginning)))
            }
        }
    }

    /// Continues an execution that is PAUSED.
    pub(crate) async fn resume(&self, id: u64, log: Option<ShowLog>) -> Result<Run, CliError> {
        match self {
            Self::Here(here) => {
                Ok(Run::Here(here.tenant.resume_execution(JobExecutionId(id), listener(log)).await?))
            }
            Self::There(there) => {
                // Only what is logged from now on is shown, as here.
                let known = if log.is_some() { there.log(id).await?.len() as u64 } else { 0 };
                there.tenant.publish_resume(id).await?;
                Ok(Run::There(Followed::new(&there.tenant, id, log, Since::Line(known))))
            }
        }
    }

    /// Lets a step read a file with corrected items.
    pub(crate) async fn reimport(
        &self,
        id: u64,
        step: &str,
        file: &Path,
        log: Option<ShowLog>,
    ) -> Result<Run, CliError> {
        match self {
            Self::Here(here) => {
                let step = StepName::new(step).map_err(Error::from)?;
                let path = std::path::absolute(file).map_err(CliError::unreadable(file))?;
                let invalid = || CliError::unreadable(file)(std::io::ErrorKind::InvalidFilename.into());
                let file = path.to_str().ok_or_else(invalid)?.to_owned();
                let reimport = Reimport { step, file, log: listener(log) };
                Ok(Run::Here(here.tenant.reimport(JobExecutionId(id), reimport).await?))
            }
            Self::There(There { tenant }) => {
                let items = Outgoing::open(file).await?;
                let items = upload::shown(items, &file.display().to_string());
                let published = tenant.reimport(id, step, &items).await?;
                Ok(Run::There(Followed::new(tenant, published.id, log, Since::Beginning)))
            }
        }
    }
}

/// Shows the lines of a log that is written in this process.
fn listener(log: Option<ShowLog>) -> Option<stepbox::LogListener> {
    let log = log?;
    Some(Arc::new(move |line: &stepbox::LogLine| log(&LogLine::of(line))))
}

impl Run {
    /// The number of the execution.
    pub(crate) fn id(&self) -> u64 {
        match self {
            Self::Here(running) => running.id().0,
            Self::There(followed) => followed.id(),
        }
    }

    /// The progress, with all later updates.
    pub(crate) fn progress(&self) -> Progressing {
        match self {
            Self::Here(running) => Progressing::Here(running.progress()),
            Self::There(followed) => Progressing::There(followed.progress()),
        }
    }

    /// Waits for the end, good or bad.
    pub(crate) async fn wait(&mut self) -> Result<Execution, CliError> {
        match self {
            Self::Here(running) => Ok(Execution::of(&running.wait().await?)),
            Self::There(followed) => followed.wait().await,
        }
    }

    /// Asks the execution to stop.
    pub(crate) async fn stop(&self) -> Result<Stopping, CliError> {
        match self {
            Self::Here(running) => match running.stop().await {
                Ok(_) => Ok(Stopping::Asked),
                Err(Error::Repository(RepositoryError::WrongStatus { reason, .. })) => {
                    Ok(Stopping::Continues { reason: reason.to_owned() })
                }
                Err(error) => Err(error.into()),
            },
            Self::There(followed) => followed.stop().await,
        }
    }

    /// Asks the execution to pause at its next checkpoint.
    pub(crate) async fn pause(&self) -> Result<(), CliError> {
        match self {
            Self::Here(running) => {
                running.pause();
                Ok(())
            }
            Self::There(followed) => followed.pause().await,
        }
    }
}

impl Progressing {
    /// The progress now.
    pub(crate) fn latest(&self) -> Progress {
        match self {
            Self::Here(progress) => {
                let stepbox::Progress { step, step_number, step_count, tracking } = progress.borrow().clone();
                let tracking = Tracking {
                    processed: tracking.processed,
                    total: tracking.total,
                    is_estimate: tracking.is_estimate,
                };
                Progress { step, step_number, step_count, tracking }
            }
            Self::There(progress) => progress.borrow().clone(),
        }
    }
}
