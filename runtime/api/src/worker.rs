//! Workers.

use std::fmt;

use serde::{Deserialize, Serialize};
use stepbox_batch::worker::{self, Held, WorkerStatus};

/// A worker, and what it runs.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worker {
    /// Its name, unique among all workers.
    pub name: String,
    /// Its present state.
    pub state: WorkerState,
    /// How many executions it runs at a time.
    pub concurrency: u32,
    /// The jobs that it takes; all if the list is empty.
    pub jobs: Vec<String>,
    /// The types of jobs that it takes; all if the list is empty.
    pub types: Vec<String>,
    /// The tenants that it works for; all if the list is empty.
    pub tenants: Vec<String>,
    /// When it began.
    pub started_at: String,
    /// When it sent its last heartbeat.
    pub seen_at: String,
    /// By how much its clock is ahead of the store's, in milliseconds; `null` if the clocks are not compared.
    pub clock_skew_ms: Option<i64>,
    /// The executions that it runs.
    pub running: Vec<RunningExecution>,
}

/// An execution that a worker runs.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningExecution {
    /// The tenant of the execution.
    pub tenant: String,
    /// Its number.
    pub execution: u64,
    /// The code of its instance.
    pub instance: String,
}

/// The state of a worker.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WorkerState {
    /// It takes executions from the queue.
    #[serde(rename = "working")]
    Working,
    /// It finishes its running executions and takes no new ones.
    #[serde(rename = "shutting down")]
    ShuttingDown,
    /// It sent no heartbeat for the time of a lease.
    #[serde(rename = "lost")]
    Lost,
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

impl From<worker::WorkerState> for WorkerState {
    fn from(state: worker::WorkerState) -> Self {
        match state {
            worker::WorkerState::Working => Self::Working,
            worker::WorkerState::ShuttingDown => Self::ShuttingDown,
            worker::WorkerState::Lost => Self::Lost,
        }
    }
}

impl Worker {
    /// Built from a worker's record in the store.
    pub fn of(status: &WorkerStatus) -> Self {
        let worker = &status.worker;
        Self {
            name: worker.name.clone(),
            state: status.state().into(),
            concurrency: worker.concurrency,
            jobs: worker.filter.jobs.iter().map(ToString::to_string).collect(),
            types: worker.filter.types.clone(),
            tenants: worker.tenants.iter().map(ToString::to_string).collect(),
            started_at: worker.started_at.to_string(),
            seen_at: worker.seen_at.to_string(),
            clock_skew_ms: worker.clock_skew_ms,
            running: status.running.iter().map(RunningExecution::of).collect(),
        }
    }
}

impl RunningExecution {
    fn of(held: &Held) -> Self {
        Self { tenant: held.tenant.to_string(), execution: held.id.0, instance: held.instance.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{survives, worker};

    #[test]
    fn a_worker_survives_a_wire() {
        for (is_alive, is_stopping, state) in
            [(true, false, "working"), (true, true, "shutting down"), (false, true, "lost")]
        {
            let status = worker(is_alive, is_stopping);
            assert_eq!(survives(&Worker::of(&status))["state"], state);
            assert_eq!(status.state().to_string(), state);
            assert_eq!(WorkerState::from(status.state()).to_string(), state);
        }
    }
}
