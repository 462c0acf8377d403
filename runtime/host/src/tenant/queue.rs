//! Executions that wait for a worker: how to publish and read them.

use std::ops::RangeInclusive;

use serde_json::Value;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::NewJobExecution;
use stepbox_batch::execution::queue::{ATTEMPTS_MAX, Enqueue, Published, QueueEntry};
use stepbox_batch::name::JobExecutionId;

use super::Tenant;
use crate::error::Error;
use crate::job_lifecycle::{self, RestartOptions};

/// The moments with a valid date: from the beginning of 1970 to the last moment that is in 9999 in every time
/// zone.
const CALENDAR: RangeInclusive<Timestamp> = Timestamp(0)..=Timestamp(253_402_207_200_999);

/// How an execution waits for a worker.
#[derive(Debug, Clone)]
pub struct PublishOptions {
    /// Parameters for this execution only, by top-level key.
    ///
    /// A JSON object; `None` changes nothing.
    pub overrides: Option<Value>,
    /// The priority within the tenant.
    ///
    /// Higher values come first; among equal values, the older execution comes first.
    pub priority: i16,
    /// The earliest start: no worker begins it before this moment.
    ///
    /// `None` is at once.
    pub available_at: Option<Timestamp>,
    /// Whether the execution is not published while another execution with the same instance and parameters
    /// has not ended.
    pub is_unique: bool,
    /// How many workers may be lost while running it, at least 1, before it ends as FAILED.
    pub attempts_max: u32,
}

impl Default for PublishOptions {
    /// At once, with priority 0 and five attempts.
    fn default() -> Self {
        Self {
            overrides: None,
            priority: 0,
            available_at: None,
            is_unique: false,
            attempts_max: ATTEMPTS_MAX,
        }
    }
}

impl Tenant {
    /// Puts an execution of an instance into the queue, for any worker.
    pub async fn publish(&self, code: &str, options: PublishOptions) -> Result<Published, Error> {
        let (new, _) = self.new_execution(code, options.overrides.clone()).await?;
        self.enqueue(new, &options).await
    }

    /// Queues a restart of a stopped or failed execution, with that execution's parameters.
    pub async fn publish_restart(
        &self,
        id: JobExecutionId,
        changes: &RestartOptions,
    ) -> Result<JobExecutionId, Error> {
        let earlier = self.execution(id).await?;
        let new = self.new_restart(earlier, changes).await?;
        Ok(self.enqueue(new, &PublishOptions::default()).await?.id())
    }

    async fn enqueue(&self, mut new: NewJobExecution, options: &PublishOptions) -> Result<Published, Error> {
        self.refuse_unless_active()?;
        let available_at = options.available_at.unwrap_or(new.by.at);
        if !CALENDAR.contains(&available_at) {
            return Err(Error::BadMoment { ms: available_at.0 });
        }
        new.queue = Some(Enqueue {
            priority: options.priority,
            available_at,
            is_unique: options.is_unique,
            attempts_max: options.attempts_max,
            queued_max: Some(self.policy().quotas.queued_max),
        });
        job_lifecycle::submit(self.here(), &new).await
    }

    /// An execution's entry in the queue; `None` if it was never there or has ended.
    pub async fn queue_entry(&self, id: JobExecutionId) -> Result<Option<QueueEntry>, Error> {
        Ok(self.installation.repository.queue_entry(&self.id, id).await?)
    }
}
