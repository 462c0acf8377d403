//! The queue: executions that wait for a worker.
//!
//! An entry is there from publishing until its execution has ended, so nothing is acknowledged before it is done. The
//! worker that claims an entry holds the execution's lease; if the lease runs out, the entry waits again.

use serde::{Deserialize, Serialize};

use super::lease::Claim;
use crate::clock::Timestamp;
use crate::name::{JobExecutionId, JobName, TenantId};

/// How often a worker may be lost over one execution before it ends as FAILED.
pub const ATTEMPTS_MAX: u32 = 5;

/// How an execution is to wait in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enqueue {
    /// Within its tenant, higher ones go first; among equals the older one.
    pub priority: i16,
    /// No worker begins it before.
    pub available_at: Timestamp,
    /// Whether it is refused while another execution of the same instance and parameters has not ended.
    pub is_unique: bool,
    /// How many workers may be lost over it, at least 1: with the last one it ends as FAILED.
    pub attempts_max: u32,
    /// How many entries of its tenant may wait, with this one; `None` sets no limit. Concurrent publishers may exceed
    /// it by one entry each.
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

/// Where an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QueueState {
    /// The next free worker may take it.
    Waiting,
    /// Its time has not come.
    Delayed,
    /// A worker has it.
    Claimed,
}

impl QueueState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Waiting, Self::Delayed, Self::Claimed];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delayed => "delayed",
            Self::Claimed => "claimed",
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
    /// Where it stands.
    pub state: QueueState,
    /// Its priority.
    pub priority: i16,
    /// Since when it may be claimed, or from when on.
    pub available_at: Timestamp,
    /// How many workers were lost over it.
    pub losses: u32,
    /// How many may be.
    pub attempts_max: u32,
}

/// Which entries a worker takes. Empty lists take all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct QueueFilter {
    /// Only those of these jobs.
    pub jobs: Vec<JobName>,
    /// Only those of these job types.
    pub types: Vec<String>,
}

/// A worker's wish for something to do.
#[derive(Debug, Clone)]
pub struct QueueClaim {
    /// Who, when, for how long.
    pub claim: Claim,
    /// The tenants that it works for, each with how many of its executions may run at a time, over all workers.
    pub tenants: Vec<(TenantId, u64)>,
    /// What it takes of theirs.
    pub filter: QueueFilter,
    /// How many it takes at most.
    pub limit: u32,
}

/// How much of a tenant's is in one state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueDepth {
    /// Whose.
    pub tenant: TenantId,
    /// In which state.
    pub state: QueueState,
    /// How many entries.
    pub count: u64,
    /// Since when the oldest of them could be claimed.
    pub oldest: Timestamp,
}

/// What became of the wish to publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// It is in the queue.
    Queued(JobExecutionId),
    /// Another one of the same instance and parameters has not ended.
    ThereAlready(JobExecutionId),
}

impl Published {
    /// The execution that does what was wished for.
    pub fn id(self) -> JobExecutionId {
        match self {
            Self::Queued(id) | Self::ThereAlready(id) => id,
        }
    }
}
