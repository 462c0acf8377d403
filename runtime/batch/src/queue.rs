//! The port of the queue: executions that wait for a worker, the workers, and what the lost ones left.
//!
//! An entry is there from publishing until its execution has ended, so nothing is acknowledged before it is
//! done. Whoever claims one holds the execution's lease; if the lease runs out, the entry waits again.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::execution::JobExecution;
use crate::listing::Listing;
use crate::name::{InstanceCode, JobExecutionId, JobName, TenantId};
use crate::repository::{Claim, Lease, NewJobExecution, Result};

/// How often a worker may be lost over one execution before it ends as FAILED.
pub const ATTEMPTS_MAX: u32 = 5;
/// The longest wait after a loss, in milliseconds.
const BACKOFF_MS_MAX: u64 = 300_000;

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
    /// How many entries of its tenant may wait with it; none sets no limit. Publishers that come at the same
    /// moment may exceed it by as many as they are.
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

/// How long an entry waits after its worker was lost for the `losses`th time, in milliseconds: not at all, then
/// 2 s, 4 s and so on, at most 5 minutes.
pub fn backoff_ms(losses: u32) -> u64 {
    match losses {
        0 | 1 => 0,
        _ => (1000_u64 << (losses - 1).min(20)).min(BACKOFF_MS_MAX),
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

/// An execution whose worker let its lease run out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rescued {
    /// Whose it is.
    pub tenant: TenantId,
    /// Which one.
    pub id: JobExecutionId,
    /// What became of it.
    pub fate: Fate,
    /// Why it was set aside; `None` for any other fate.
    pub reason: Option<String>,
}

/// What becomes of an execution whose worker was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It continues from its last checkpoint, not before that moment.
    Requeued(Timestamp),
    /// It was about to stop, and is STOPPED.
    Stopped,
    /// It was in no queue, or has cost too many workers: it is FAILED, with the reason.
    Failed,
    /// It could not be rescued, and is left alone until the store was repaired.
    SetAside,
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
    /// Whether it has been told to end, and takes nothing new.
    pub is_stopping: bool,
    /// By how many milliseconds the clock of its machine is ahead of the store's; negative if it is behind. `None` if
    /// the worker does not compare the two.
    pub clock_skew_ms: Option<i64>,
}

/// Whose lost executions are rescued, by the names of the workers that held them last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// All.
    All,
    /// All but those of these workers, which are known to live.
    AllBut(Vec<String>),
    /// Only those of these workers, which are known to be dead.
    Only(Vec<String>),
}

impl Whose {
    /// Whether the executions of a worker are among them.
    pub fn takes(&self, worker: &str) -> bool {
        let is_in = |workers: &[String]| workers.iter().any(|known| known == worker);
        match self {
            Self::All => true,
            Self::AllBut(living) => !is_in(living),
            Self::Only(dead) => is_in(dead),
        }
    }
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

/// What waits for workers, and who they are.
#[async_trait]
pub trait JobQueue: Send + Sync + 'static {
    /// Takes the leases of entries that may begin, fair between tenants: the tenant with the fewest running
    /// executions goes first, among equals the one that was served longest ago; within a tenant it is the
    /// priority, then the age. An instance whose job limits its concurrency is passed by while it is full. An
    /// execution that cannot be read is set aside, and the next one taken.
    async fn claim_next(&self, wanted: &QueueClaim) -> Result<Vec<(JobExecution, Lease)>>;

    /// Returns when something may have come into the queue, or after so many milliseconds.
    async fn wait_for_work(&self, timeout_ms: u64);

    /// Accepts the parts of a step of the execution whose lease it is, and puts them into the queue: all of them
    /// or none. When that execution is ended by somebody else than its worker, its parts stop as well.
    async fn create_partitions(&self, lease: &Lease, parts: &[NewJobExecution]) -> Result<()>;

    /// An execution's place in the queue; none if it was never there or has ended.
    async fn queue_entry(&self, tenant: &TenantId, id: JobExecutionId) -> Result<Option<QueueEntry>>;

    /// How much is in the queue, of all tenants, by tenant and state. Entries in no known state are not counted.
    async fn queue_depths(&self) -> Result<Vec<QueueDepth>>;

    /// Says that a worker lives, and what it takes. Forgets those not heard of for a day.
    async fn worker_beat(&self, worker: &Worker) -> Result<()>;

    /// Forgets a worker that has ended.
    async fn forget_worker(&self, name: &str) -> Result<()>;

    /// The workers, by name, dead ones among them for a day.
    async fn workers(&self) -> Result<Listing<Worker>>;

    /// What is leased at this moment, of all tenants, by worker and id.
    async fn held(&self, now: Timestamp) -> Result<Listing<Held>>;

    /// Ends the leases of a worker that is known to be dead, of all tenants, so that nobody waits for
    /// them to run out.
    async fn expire_leases(&self, worker: &str, now: Timestamp) -> Result<()>;

    /// Takes every execution whose worker let its lease run out, of all tenants, and has those that were in
    /// the queue wait there again; the others end, with a readable reason and an end time. A part whose whole has
    /// ended ends with it.
    ///
    /// Each one is rescued by itself, on what is stored of it at that moment. One that cannot be is set aside with
    /// its reason, and the others are rescued all the same.
    async fn rescue_lost(&self, now: Timestamp) -> Result<Vec<Rescued>> {
        self.rescue_lost_of(now, &Whose::All).await
    }

    /// [`rescue_lost`](Self::rescue_lost), of some workers alone.
    async fn rescue_lost_of(&self, now: Timestamp, whose: &Whose) -> Result<Vec<Rescued>>;

    /// What the clock of the store says, if the store has a clock of its own that all its users share. All moments
    /// that are written are to come from there then.
    async fn store_now(&self) -> Result<Option<Timestamp>>;

    /// Cuts leases whose last heartbeat lies in the future, of all tenants: a clock was ahead, and was put right. From
    /// now on they last as long as they did from that heartbeat.
    async fn cut_leases(&self, now: Timestamp) -> Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_after_a_loss_doubles_up_to_five_minutes() {
        let waits = [0, 1, 2, 3, 4, 9, 10, 64, u32::MAX].map(backoff_ms);
        assert_eq!(waits, [0, 0, 2000, 4000, 8000, 256_000, 300_000, 300_000, 300_000]);
    }
}
