//! Executions.

use serde::Deserialize;
use stepbox_api::execution::{
    Abandoned, Execution, LogLine, OutputFile, PauseAnswer, Purged, RejectedItems, Remains, Status,
    StopAnswer, Warning,
};
use stepbox_api::queue::Published;
use stepbox_api::request::{PurgeExecutions, Restart};

use super::{Tenant, field};
use crate::answer::Download;
use crate::ask::{Ask, Content};
use crate::error::ClientError;
use crate::events::{Events, ExecutionEvents};
use crate::outgoing::Outgoing;
use crate::pages::Pages;

/// Which executions to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecutionFilter {
    /// Only those of the instance with this code.
    pub instance: Option<String>,
    /// Only those in this status.
    pub status: Option<Status>,
    /// Only those that match this text: `-user:schedule created:7d`.
    pub filter: Option<String>,
}

/// Several things that have no list of pages.
#[derive(Deserialize)]
struct Items<T> {
    items: Vec<T>,
}

impl Tenant {
    /// The executions that match a filter, newest first.
    pub fn executions(&self, filter: &ExecutionFilter) -> Pages<Execution> {
        let fields = [
            field("instance", filter.instance.as_ref()),
            field("status", filter.status),
            field("filter", filter.filter.as_ref()),
        ];
        self.pages(&["executions"], fields.into_iter().flatten().collect())
    }

    /// An execution with its steps and its place in the queue.
    pub async fn execution(&self, id: u64) -> Result<Execution, ClientError> {
        self.get(&["executions", &id.to_string()]).await
    }

    /// What can be read of an execution that is damaged in the store.
    pub async fn remains(&self, id: u64) -> Result<Remains, ClientError> {
        self.get(&["executions", &id.to_string(), "remains"]).await
    }

    /// The parts of an execution's steps, which are executions of their own.
    pub async fn parts(&self, id: u64) -> Result<Vec<Execution>, ClientError> {
        let Items { items } = self.get(&["executions", &id.to_string(), "parts"]).await?;
        Ok(items)
    }

    /// The files that the steps of an execution have written.
    pub fn output_files(&self, id: u64) -> Pages<OutputFile> {
        self.pages(&["executions", &id.to_string(), "files"], Vec::new())
    }

    /// The stored warnings of an execution, in their order.
    pub fn warnings(&self, id: u64) -> Pages<Warning> {
        self.pages(&["executions", &id.to_string(), "warnings"], Vec::new())
    }

    /// The log of an execution, in its order.
    pub fn log(&self, id: u64) -> Pages<LogLine> {
        self.pages(&["executions", &id.to_string(), "log"], Vec::new())
    }

    /// The steps that have rejected items.
    pub fn rejected_items(&self, id: u64) -> Pages<RejectedItems> {
        self.pages(&["executions", &id.to_string(), "rejected"], Vec::new())
    }

    /// The items that a step has rejected, in the format of its input, as they come.
    pub async fn download_rejected_items(&self, id: u64, step: &str) -> Result<Download, ClientError> {
        let id = id.to_string();
        let ask = Ask::get(self.path(&["executions", &id, "rejected", step])).accept("*/*");
        self.client.transport().send(ask).await?.download()
    }

    /// All files of an execution, as a zip archive, as they come.
    pub async fn download_archive(&self, id: u64) -> Result<Download, ClientError> {
        let id = id.to_string();
        let ask = Ask::get(self.path(&["executions", &id, "archive"])).accept("application/zip");
        self.client.transport().send(ask).await?.download()
    }

    /// What happens to an execution, from now on.
    pub fn execution_events(&self, id: u64) -> ExecutionEvents {
        ExecutionEvents::new(self.events_of(&["executions", &id.to_string(), "events"]))
    }

    /// What happens to the executions of the tenant that the token may see, from now on.
    pub fn events(&self) -> Events {
        self.events_of(&["events"])
    }

    fn events_of(&self, below: &[&str]) -> Events {
        let path = self.path(below).into_iter().map(str::to_owned).collect();
        Events::new(self.client.clone(), path, Vec::new())
    }

    /// Asks an execution to stop, wherever it runs.
    pub async fn stop_execution(&self, id: u64) -> Result<StopAnswer, ClientError> {
        self.json(Ask::post(self.path(&["executions", &id.to_string(), "stop"]))).await
    }

    /// Asks an execution to pause at its next checkpoint, wherever it runs.
    pub async fn pause_execution(&self, id: u64) -> Result<PauseAnswer, ClientError> {
        self.json(Ask::post(self.path(&["executions", &id.to_string(), "pause"]))).await
    }

    /// Puts an execution that is PAUSED into the queue again.
    pub async fn publish_resume(&self, id: u64) -> Result<Published, ClientError> {
        self.json(Ask::post(self.path(&["executions", &id.to_string(), "resume"]))).await
    }

    /// Puts a restart of a stopped or failed execution into the queue.
    ///
    /// The request has a key, so that a repetition after a lost answer makes no second execution.
    pub async fn publish_restart(&self, id: u64, changes: &Restart) -> Result<Published, ClientError> {
        let id = id.to_string();
        let ask = Ask::post(self.path(&["executions", &id, "restart"])).once()?;
        self.json(ask.json(changes)?).await
    }

    /// Sends corrected items, and lets the step that has rejected them, and those after it, run with them as a new
    /// execution.
    pub async fn reimport(&self, id: u64, step: &str, items: &Outgoing) -> Result<Published, ClientError> {
        let id = id.to_string();
        let content = Content::File { media_type: "application/octet-stream", file: items };
        let ask = Ask::post(self.path(&["executions", &id, "reimport"])).once()?;
        self.json(ask.query("step", Some(step)).content(content)).await
    }

    /// Gives up an execution, so that nobody can restart it, and removes its unfinished outputs.
    pub async fn abandon_execution(&self, id: u64) -> Result<Abandoned, ClientError> {
        self.json(Ask::post(self.path(&["executions", &id.to_string(), "abandon"]))).await
    }

    /// Deletes executions that have ended.
    pub async fn purge_executions(&self, purge: &PurgeExecutions) -> Result<Purged, ClientError> {
        self.json(Ask::post(self.path(&["executions", "purge"])).json(purge)?).await
    }
}
