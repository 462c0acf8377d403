//! The queue: executions that wait for a worker.
//!
//! An entry is in the queue from its publication until its execution has ended, so nothing is acknowledged before
//! it is done. The worker that claims an entry holds the execution's lease; if the lease expires, the entry waits
//! again.

use serde::{Deserialize, Serialize};

use super::lease::Claim;
use crate::clock::Timestamp;
use crate::name::{JobExecutionId, JobName, TenantId};

/// How often a worker may be lost over one execution before it ends as FAILED.
pub const ATTEMPTS_MAX: u32 = 5;

/// How an execution will wait in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enqueue {
    /// Within a tenant, higher priorities go first; among equals, the older entry.
    pub priority: i16,
    /// No worker begins it before this moment.
    pub available_at: Timestamp,
    /// Whether it is refused while another execution of the same instance and parameters has not ended.
    pub is_unique: bool,
    /// How many workers may be lost over it, at least 1.
    ///
    /// With the loss of the last one it ends as FAILED.
    pub attempts_max: u32,
    /// How many entries of its tenant may wait, including this one; `None` sets no limit.
    ///
    /// Concurrent publishers may exceed the limit by one entry each.
    pub queued_max: Option<u64>,
}

impl Enqueue {
    /// An entry of ordinary priority that may begin at once.
    pub fn at_once(now: Timestamp) -> Self {
        Self {
            priority: 0,
            available_at: now,
            is_unique: false,
            attempts_max: ATTEMPTS_MAX,
            queued_max: None,
        }
    }
}

/// The state of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QueueState {
    /// The next free worker may take it.
    Waiting,
    /// Its `available_at` is still to come.
    Delayed,
    /// A worker has it.
    Claimed,
    /// It is PAUSED by a request: no worker takes it until it is resumed.
    Paused,
}

impl QueueState {
    /// All states.
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Delayed, Self::Claimed, Self::Paused];

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delayed => "delayed",
            Self::Claimed => "claimed",
            Self::Paused => "paused",
        }
    }

    /// The stored number.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The state of a stored number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.number() == number)
    }
}

/// An execution's place in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueEntry {
    /// The state of the entry.
    pub state: QueueState,
    /// Its priority.
    pub priority: i16,
    /// From when on it may be claimed, in the past or in the future.
    pub available_at: Timestamp,
    /// How many workers were lost over it.
    pub losses: u32,
    /// How many workers may be lost over it.
    pub attempts_max: u32,
}

/// Which entries a worker takes.
///
/// An empty list does not filter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct QueueFilter {
    /// Only entries of these jobs.
    pub jobs: Vec<JobName>,
    /// Only entries of these job types.
    pub types: Vec<String>,
}

/// A worker's request for entries.
#[derive(Debug, Clone)]
pub struct QueueClaim {
    /// The name of the worker, the time, and how long the lease lasts.
    pub claim: Claim,
    /// The tenants that it works for, each with how many of its executions may run at a time, over all workers.
    pub tenants: Vec<(TenantId, u64)>,
    /// Which entries of these tenants it takes.
    pub filter: QueueFilter,
    /// How many it takes at most.
    pub limit: u32,
}

/// How many entries of a tenant are in one state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueDepth {
    /// The tenant.
    pub tenant: TenantId,
    /// The state.
    pub state: QueueState,
    /// How many entries.
    pub count: u64,
    /// From when on the oldest of these entries could be claimed.
    pub oldest: Timestamp,
}

/// The outcome of a publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// The execution is in the queue.
    Queued(JobExecutionId),
    /// Another execution of the same instance and parameters has not ended.
    ThereAlready(JobExecutionId),
    /// The same request was accepted before under the same key, and became that execution.
    Replayed(JobExecutionId),
}

impl Published {
    /// The execution that does the requested work.
    pub fn id(self) -> JobExecutionId {
        match self {
            Self::Queued(id) | Self::ThereAlready(id) | Self::Replayed(id) => id,
        }
    }
}
