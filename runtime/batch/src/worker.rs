//! The workers: processes that take executions from the queue.

use std::fmt;

use crate::clock::Timestamp;
use crate::execution::queue::QueueFilter;
use crate::name::{InstanceCode, JobExecutionId, TenantId};

/// A process that takes entries from the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worker {
    /// Unique among all processes.
    pub name: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it last reported.
    pub seen_at: Timestamp,
    /// How many executions it runs at a time.
    pub concurrency: u32,
    /// Which entries it takes.
    pub filter: QueueFilter,
    /// The tenants that it works for.
    pub tenants: Vec<TenantId>,
    /// Whether it is shutting down, and takes no new entries.
    pub is_stopping: bool,
    /// By how many milliseconds the clock of its machine is ahead of the store's; negative if it is behind.
    ///
    /// `None` if the worker does not compare the two.
    pub clock_skew_ms: Option<i64>,
}

/// An execution that a worker runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The worker.
    pub worker: String,
    /// The tenant of the execution.
    pub tenant: TenantId,
    /// The execution.
    pub id: JobExecutionId,
    /// The instance of the execution.
    pub instance: InstanceCode,
}

/// A worker as the store knows it, and the executions that it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerStatus {
    /// The worker's last report.
    pub worker: Worker,
    /// Whether it reported within the time of a lease.
    pub is_alive: bool,
    /// The executions that it runs.
    pub running: Vec<Held>,
}

/// The state of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerState {
    /// It takes executions from the queue.
    Working,
    /// It finishes its executions, and takes no new ones.
    ShuttingDown,
    /// It has not reported for the time of a lease.
    Lost,
}

impl WorkerStatus {
    /// The state of the worker.
    pub fn state(&self) -> WorkerState {
        match (self.is_alive, self.worker.is_stopping) {
            (false, _) => WorkerState::Lost,
            (true, true) => WorkerState::ShuttingDown,
            (true, false) => WorkerState::Working,
        }
    }
}

impl fmt::Display for WorkerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Working => "working",
            Self::ShuttingDown => "shutting down",
            Self::Lost => "lost",
        })
    }
}
