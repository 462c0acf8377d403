//! Executions that wait for a worker: how to publish and read them.

use std::ops::RangeInclusive;

use serde_json::Value;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::error_kind::ErrorKind;
use stepbox_batch::execution::queue::{ATTEMPTS_MAX, Enqueue, Published, QueueDepth, QueueEntry};
use stepbox_batch::execution::{Idempotency, NewJobExecution};
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
    /// The caller's name for the request: the same request under the same key is published once.
    ///
    /// Keys are remembered for [`IDEMPOTENCY_KEPT_MS`](stepbox_batch::execution::IDEMPOTENCY_KEPT_MS).
    pub idempotency: Option<Idempotency>,
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
            idempotency: None,
        }
    }
}

/// One of several executions to publish.
#[derive(Debug, Clone)]
pub enum Publication {
    /// An execution of an instance.
    Instance {
        /// The code of the instance.
        code: String,
        /// How it waits for a worker.
        options: PublishOptions,
    },
    /// A restart of a stopped or failed execution.
    Restart {
        /// The execution that it continues.
        id: JobExecutionId,
        /// What differs from that execution.
        changes: RestartOptions,
        /// The caller's name for the request.
        idempotency: Option<Idempotency>,
    },
}

/// What becomes of a request to publish, before the store is asked.
enum Prepared {
    /// The same request was accepted before.
    Before(Published),
    New(Box<NewJobExecution>),
}

impl Tenant {
    /// Puts an execution of an instance into the queue, for any worker.
    pub async fn publish(&self, code: &str, options: PublishOptions) -> Result<Published, Error> {
        if let Some(published) = self.published_before(options.idempotency.as_ref()).await? {
            return Ok(published);
        }
        let (new, _) = self.new_execution(code, options.overrides.clone()).await?;
        self.enqueue(new, &options).await
    }

    /// Queues a restart of a stopped or failed execution, with that execution's parameters.
    ///
    /// `idempotency` is the caller's name for the request: the same request under the same key is published once.
    pub async fn publish_restart(
        &self,
        id: JobExecutionId,
        changes: &RestartOptions,
        idempotency: Option<Idempotency>,
    ) -> Result<Published, Error> {
        if let Some(published) = self.published_before(idempotency.as_ref()).await? {
            return Ok(published);
        }
        let earlier = self.stored_execution(id).await?;
        let new = self.new_restart(earlier, changes).await?;
        self.enqueue(new, &PublishOptions { idempotency, ..PublishOptions::default() }).await
    }

    /// Makes an execution that is PAUSED wait in the queue, for any worker, which continues it from its checkpoint.
    pub async fn publish_resume(&self, id: JobExecutionId) -> Result<(), Error> {
        self.refuse_unless_active()?;
        Ok(self.installation.repository.enqueue_paused(&self.id, id, &self.by()?).await?)
    }

    /// The answer to a request that was accepted before under the same key.
    ///
    /// It is looked for before the request is checked, because the first request may have made a second one
    /// impossible: an execution is restarted once. The store looks again in the transaction that accepts the execution.
    async fn published_before(&self, idempotency: Option<&Idempotency>) -> Result<Option<Published>, Error> {
        let Some(idempotency) = idempotency else { return Ok(None) };
        let (repository, now) = (&self.installation.repository, self.now());
        Ok(repository.published_before(&self.id, idempotency, now).await?.map(Published::Replayed))
    }

    /// Puts several executions into the queue in one transaction, each with an answer of its own, in this order.
    ///
    /// What is refused does not affect the others. If the store fails, none is published. All of them are in memory at
    /// once, and other writers wait meanwhile: publish a few hundred at a time.
    pub async fn publish_many(&self, wanted: &[Publication]) -> Result<Vec<Result<Published, Error>>, Error> {
        self.refuse_unless_active()?;
        let (mut answers, mut new) = (Vec::new(), Vec::new());
        for wanted in wanted {
            answers.push(match self.prepared(wanted).await {
                Ok(Prepared::Before(published)) => Some(Ok(published)),
                Ok(Prepared::New(execution)) => {
                    new.push(*execution);
                    None
                }
                Err(error @ Error::Repository(_)) if error.kind() == ErrorKind::StoreUnavailable => {
                    return Err(error);
                }
                Err(error) => Some(Err(error)),
            });
        }
        let mut accepted = match new.is_empty() {
            true => Vec::new(),
            false => self.installation.repository.create_executions(&new).await?,
        }
        .into_iter();
        let answer = |known: Option<_>| match known {
            Some(known) => known,
            None => job_lifecycle::published(accepted.next().expect("the store answers each request")),
        };
        Ok(answers.into_iter().map(answer).collect())
    }

    async fn prepared(&self, wanted: &Publication) -> Result<Prepared, Error> {
        let (idempotency, new, options) = match wanted {
            Publication::Instance { code, options } => {
                if let Some(published) = self.published_before(options.idempotency.as_ref()).await? {
                    return Ok(Prepared::Before(published));
                }
                let (new, _) = self.new_execution(code, options.overrides.clone()).await?;
                (options.idempotency.clone(), new, options.clone())
            }
            Publication::Restart { id, changes, idempotency } => {
                if let Some(published) = self.published_before(idempotency.as_ref()).await? {
                    return Ok(Prepared::Before(published));
                }
                let new = self.new_restart(self.stored_execution(*id).await?, changes).await?;
                (idempotency.clone(), new, PublishOptions::default())
            }
        };
        let options = PublishOptions { idempotency, ..options };
        Ok(Prepared::New(Box::new(self.queued(new, &options)?)))
    }

    pub(super) async fn enqueue(
        &self,
        new: NewJobExecution,
        options: &PublishOptions,
    ) -> Result<Published, Error> {
        self.refuse_unless_active()?;
        job_lifecycle::submit(self.here(), &self.queued(new, options)?).await
    }

    /// The execution as it will wait.
    fn queued(&self, mut new: NewJobExecution, options: &PublishOptions) -> Result<NewJobExecution, Error> {
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
        new.idempotency = options.idempotency.clone();
        Ok(new)
    }

    /// How many executions of this tenant are in the queue, by state.
    pub async fn queue_depths(&self) -> Result<Vec<QueueDepth>, Error> {
        let mut depths = self.installation.repository.queue_depths().await?;
        depths.retain(|depth| depth.tenant == self.id);
        Ok(depths)
    }

    /// An execution's entry in the queue; `None` if it was never there or has ended.
    pub async fn queue_entry(&self, id: JobExecutionId) -> Result<Option<QueueEntry>, Error> {
        Ok(self.installation.repository.queue_entry(&self.id, id).await?)
    }
}
