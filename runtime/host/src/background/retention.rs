//! Retention: deletes data that is kept for a limited time: the events of executions, the keys under which executions
//! were asked for, and uploaded files.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::Idempotency;
use stepbox_batch::execution::event::{EVENTS_KEPT_MAX, EVENTS_KEPT_MS};
use stepbox_batch::ports::RepositoryError;

use super::service::Background;
use crate::error::Error;
use crate::installation::Installation;
use crate::worker::event::WorkerEvent;

/// How often a worker deletes old data, in milliseconds: every hour.
const RETENTION_MS: u64 = 3_600_000;

/// A file without a row that was written to within this time may belong to an upload that has just begun.
const UNKNOWN_UPLOAD_KEPT: Duration = Duration::from_secs(3600);

/// Deletes old data, as a service of the worker.
pub(crate) struct Retention {
    installation: Arc<Installation>,
    /// When old data was last deleted, in ticks.
    dropped_us: AtomicU64,
}

impl Retention {
    /// The first deletion is due after an hour, because the builder has just deleted old data.
    pub(crate) fn new(installation: Arc<Installation>) -> Self {
        let dropped_us = AtomicU64::new(installation.clock.ticks_us());
        Self { installation, dropped_us }
    }
}

#[async_trait]
impl Background for Retention {
    fn is_due(&self) -> bool {
        let since_us = self.dropped_us.load(Ordering::Relaxed);
        self.installation.clock.ticks_us().saturating_sub(since_us) / 1000 >= RETENTION_MS
    }

    async fn tick(&self) -> Result<Vec<WorkerEvent>, RepositoryError> {
        drop_old_data(&self.installation).await?;
        remove_unknown_uploads(&self.installation).await?;
        self.dropped_us.store(self.installation.clock.ticks_us(), Ordering::Relaxed);
        Ok(Vec::new())
    }
}

/// Deletes events that are older than a week, all events except the newest million, keys of yesterday, and uploaded
/// files whose time is over.
pub(crate) async fn drop_old_data(installation: &Installation) -> Result<(), RepositoryError> {
    let (now, repository) = (installation.clock.now(), &installation.repository);
    let before = Timestamp(now.0.saturating_sub_unsigned(EVENTS_KEPT_MS));
    repository.drop_events(before, EVENTS_KEPT_MAX).await?;
    repository.drop_keys(Idempotency::forgotten_at(now)).await?;
    match remove_old_uploads(installation).await {
        Err(Error::Repository(error)) => Err(error),
        // What cannot be removed now is tried again the next time.
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Removes the bytes of files that go, and then their rows.
async fn remove_old_uploads(installation: &Installation) -> Result<(), Error> {
    let (repository, now) = (&installation.repository, installation.clock.now());
    for (tenant, id) in repository.retire_files(now).await? {
        installation.data.remove_upload_everywhere(&tenant, &id).await?;
        repository.forget_file(&tenant, &id).await?;
    }
    Ok(())
}

/// Removes what no row names: copies of files that another machine has removed, and what killed processes have left.
async fn remove_unknown_uploads(installation: &Installation) -> Result<(), RepositoryError> {
    let repository = &installation.repository;
    for (tenant, id, path) in installation.data.silent_uploads(UNKNOWN_UPLOAD_KEPT) {
        let is_known = match &id {
            Some(id) => repository.is_known_file(&tenant, id).await?,
            None => false,
        };
        if !is_known {
            // It is tried again later.
            let _ = fs::remove_file(&path);
        }
    }
    Ok(())
}
