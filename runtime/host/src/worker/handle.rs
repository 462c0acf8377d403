//! The handle of a worker: an embedder ends the worker with it, and waits for its end.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::health::WorkerProbe;
use super::input::Quiet;
use super::shared::{Shared, Stage};
use crate::error::Error;

/// How long a worker that leaves waits for the store to end its leases, in milliseconds.
const LEAVE_MS: u64 = 2_000;

/// A running worker.
///
/// Dropping the value ends the worker as [`Worker::leave`] does.
pub struct Worker {
    shared: Arc<Shared>,
    quiet: mpsc::Sender<Quiet>,
    task: Option<JoinHandle<()>>,
}

impl Worker {
    pub(super) fn new(shared: Arc<Shared>, quiet: mpsc::Sender<Quiet>, task: JoinHandle<()>) -> Self {
        Self { shared, quiet, task: Some(task) }
    }

    /// Its name, unique among all processes.
    pub fn name(&self) -> &str {
        self.shared.name()
    }

    /// How many executions it runs.
    pub fn running(&self) -> usize {
        self.shared.running().len()
    }

    /// Returns a probe of the worker's health, which also works after the worker has ended.
    pub fn probe(&self) -> WorkerProbe {
        WorkerProbe(self.shared.clone())
    }

    /// Starts an orderly end: the worker takes no new executions, finishes running executions within the
    /// grace, pauses the rest, and ends.
    pub fn shut_down(&self) {
        self.shared.enter(Stage::Finishing);
    }

    /// Waits for the end of the worker.
    ///
    /// Returns an error if the worker ended by itself, because the store cannot be used.
    pub async fn wait(&mut self) -> Result<(), Error> {
        if let Some(task) = &mut self.task {
            // The loop should never panic. If it does, it is over too.
            let _ = task.await;
            self.task = None;
            self.shared.make_room();
        }
        let failure = self.shared.failure().take();
        failure.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Ends the worker at once.
    ///
    /// The leases of running executions end now, so another worker continues from the last checkpoints. The
    /// process should end now too.
    pub async fn leave(mut self) {
        // A heartbeat in progress would list the worker again, and a claim would take new leases.
        let (told, is_quiet) = Quiet::new();
        let quiet = async {
            if self.quiet.send(told).await.is_ok() {
                let _ = is_quiet.await;
            }
        };
        let _ = timeout(Duration::from_millis(LEAVE_MS), quiet).await;
        if let Some(task) = self.task.take() {
            task.abort();
        }
        let (repository, now) = (&self.shared.installation.repository, self.shared.installation.clock.now());
        let worker = self.shared.name();
        // If the store does not answer, the leases expire by themselves.
        let _ = timeout(Duration::from_millis(LEAVE_MS), repository.expire_leases(worker, now)).await;
        let _ = timeout(Duration::from_millis(LEAVE_MS), repository.forget_worker(worker)).await;
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
        self.shared.make_room();
    }
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").field("name", &self.name()).finish_non_exhaustive()
    }
}
