//! The state that a worker's loop shares with its handle, its probes and its runs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use serde::Serialize;
use stepbox_batch::lock::lock;
use stepbox_batch::name::JobExecutionId;
use stepbox_batch::ports::RepositoryError;
use stepbox_batch::run_context::RunContext;
use tokio::sync::watch;

use super::event::WorkerEvent;
use super::options::WorkerOptions;
use super::pulse::Pulse;
use crate::installation::Installation;
use crate::listening::tell;

/// The stages of a worker's shutdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// The worker takes executions from the queue.
    Working,
    /// The worker takes no new executions.
    ///
    /// Running executions may continue for the grace.
    Finishing,
    /// Running executions are asked to pause at their next checkpoint.
    Pausing,
}

/// The state that a worker's loop shares with its handle, its probes and its runs.
pub(super) struct Shared {
    pub(super) installation: Arc<Installation>,
    pub(super) options: WorkerOptions,
    /// The running executions, each with the context that can ask it to pause.
    running: Mutex<BTreeMap<JobExecutionId, Arc<RunContext>>>,
    /// The stage that the worker is in, or was asked to enter.
    pub(super) stage: watch::Sender<Stage>,
    /// When the worker last worked.
    pub(super) pulse: Pulse,
    /// Why the worker ends by itself.
    failure: Mutex<Option<RepositoryError>>,
    /// Whether this is the current worker of the installation.
    is_the_one: AtomicBool,
}

impl Shared {
    pub(super) fn new(installation: Arc<Installation>, options: WorkerOptions) -> Arc<Self> {
        Arc::new(Self {
            pulse: Pulse::begin(installation.clock.clone()),
            installation,
            options,
            running: Mutex::default(),
            stage: watch::Sender::new(Stage::Working),
            failure: Mutex::default(),
            is_the_one: AtomicBool::new(true),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.installation.worker
    }

    pub(super) fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    /// Enters a later stage. A worker never returns to an earlier stage.
    pub(super) fn enter(&self, next: Stage) {
        self.stage.send_if_modified(|stage| {
            let is_later = next > *stage;
            *stage = (*stage).max(next);
            is_later
        });
    }

    pub(super) fn running(&self) -> MutexGuard<'_, BTreeMap<JobExecutionId, Arc<RunContext>>> {
        lock(&self.running)
    }

    pub(super) fn failure(&self) -> MutexGuard<'_, Option<RepositoryError>> {
        lock(&self.failure)
    }

    pub(super) fn tell(&self, event: &WorkerEvent) {
        if let Some(listener) = &self.options.listener {
            tell(&**listener, event);
        }
    }

    /// Allows another worker of the installation to start, after this one has ended.
    pub(super) fn make_room(&self) {
        if self.is_the_one.swap(false, Ordering::AcqRel) {
            self.installation.has_worker.store(false, Ordering::Release);
        }
    }
}
