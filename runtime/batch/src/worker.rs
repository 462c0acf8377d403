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
    /// When it was last heard of.
    pub seen_at: Timestamp,
    /// How many executions it runs at a time.
    pub concurrency: u32,
    /// What it takes.
    pub filter: QueueFilter,
    /// The tenants that it works for.
    pub tenants: Vec<TenantId>,
    /// Whether it is shutting down, and takes nothing new.
    pub is_stopping: bool,
    /// By how many milliseconds the clock of its machine is ahead of the store's; negative if it is behind. `None` if
    /// the worker does not compare the two.
    pub clock_skew_ms: Option<i64>,
}

/// What a worker is at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Which worker.
    pub worker: String,
    /// Whose execution.
    pub tenant: TenantId,
    /// Which one.
    pub id: JobExecutionId,
    /// Of which instance.
    pub instance: InstanceCode,
}

/// A worker as the store knows it, and what it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerStatus {
    /// What it said of itself.
    pub worker: Worker,
    /// Whether it was heard of within the time of a lease.
    pub is_alive: bool,
    /// What it runs.
    pub running: Vec<Held>,
}

/// How a worker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerState {
    /// It takes executions from the queue.
    Working,
    /// It finishes what it runs, and takes nothing new.
    ShuttingDown,
    /// Nothing was heard of it for the time of a lease.
    Lost,
}

impl WorkerStatus {
    /// How it stands.
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
