//! The heartbeat of a run. While its steps work, requests are read, the lease is renewed, and progress is
//! stored.

use std::sync::atomic::Ordering;

use stepbox_batch::execution::status::BatchStatus;
use stepbox_batch::lock::lock;
use stepbox_batch::log::LogLevel;
use stepbox_batch::ports::RepositoryError;

use super::job_run::JobRun;
use crate::timing::{BEATS_PER_LEASE, PROGRESS_MS, STOP_CHECK_MS};

impl JobRun {
    /// Checks for requests and shows progress while the steps work.
    pub(super) async fn attend<T>(
        &self,
        work: impl Future<Output = Result<T, RepositoryError>>,
    ) -> Result<T, RepositoryError> {
        let clock = self.recorder.clock.clone();
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                outcome = &mut work => return outcome,
                () = clock.sleep_ms(STOP_CHECK_MS) => {
                    if let Err(error) = self.beat_if_it_can().await {
                        // The steps must close their files before another worker opens them.
                        self.run.request_pause();
                        let _ = work.await;
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Sends a heartbeat. Ignores a store that does not answer for a moment, because the lease lasts for a
    /// while.
    async fn beat_if_it_can(&self) -> Result<(), RepositoryError> {
        let last_heartbeat_us = lock(&self.state).last_heartbeat_us;
        match self.beat().await {
            Err(
                RepositoryError::Busy { .. }
                | RepositoryError::Unavailable { .. }
                | RepositoryError::Refused { .. },
            ) if self.ms_since(last_heartbeat_us) < self.lease_ms() - self.heartbeat_ms() => Ok(()),
            outcome => outcome,
        }
    }

    /// Checks for requests once, and sends a heartbeat if it is due. This is called about ten times a second.
    /// If the lease is lost, the run ends here, because another worker has the execution now.
    async fn beat(&self) -> Result<(), RepositoryError> {
        let (lease, journal) = (&self.recorder.lease, &self.recorder.journal);
        let requests = if self.ms_since(lock(&self.state).last_heartbeat_us) >= self.heartbeat_ms() {
            // If this process has a worker, the worker asks for the store's time once a second.
            if !self.installation.has_worker.load(Ordering::Acquire) {
                self.installation.look_at_clock().await?;
            }
            let (begun, now) = (self.recorder.clock.ticks_us(), self.recorder.clock.now());
            let requests = journal.heartbeat(lease, now, self.lease_ms()).await?;
            lock(&self.state).last_heartbeat_us = begun;
            requests
        } else {
            journal.requests(lease).await?
        };
        if requests.pause {
            self.run.request_pause();
        }
        if requests.stop && !self.run.stop_requested() {
            self.run.request_stop();
            self.run.log(LogLevel::Info, "Stop requested");
            self.change_status(BatchStatus::Stopping).await?;
        } else if self.run.should_pause() && lock(&self.execution).status == BatchStatus::Started {
            self.run.log(LogLevel::Info, "Pause requested");
            self.change_status(BatchStatus::Pausing).await?;
        }
        let running = lock(&self.state).running.clone();
        if let Some((_, context)) = running.first() {
            self.progress.send_modify(|progress| progress.tracking = context.tracking());
        }
        if self.ms_since(lock(&self.state).last_progress_us) >= PROGRESS_MS {
            lock(&self.state).last_progress_us = self.recorder.clock.ticks_us();
            for (position, context) in &running {
                // The values that a tasklet has stored are saved together with its progress.
                if !context.save_if_changed().await? {
                    self.recorder.save_tracking(*position, context.tracking()).await?;
                }
            }
        }
        Ok(())
    }

    fn ms_since(&self, tick_us: u64) -> u64 {
        self.recorder.clock.ticks_us().saturating_sub(tick_us) / 1000
    }

    fn lease_ms(&self) -> u64 {
        self.installation.lease_ms
    }

    fn heartbeat_ms(&self) -> u64 {
        self.lease_ms() / BEATS_PER_LEASE
    }
}
