//! What a worker tells: each event that its listener hears.

use std::sync::Arc;

use stepbox_batch::execution::Rescued;
use stepbox_batch::execution::status::BatchStatus;
use stepbox_batch::name::{JobExecutionId, TenantId};

/// Receives each event as it happens.
pub type WorkerListener = Arc<dyn Fn(&WorkerEvent) + Send + Sync>;

/// Something that happened to a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerEvent {
    /// The worker began to look into the queue.
    Began {
        /// The worker's name.
        worker: String,
    },
    /// The worker took an execution, and runs it.
    Claimed {
        /// Whose.
        tenant: TenantId,
        /// Which one.
        id: JobExecutionId,
        /// Of which instance.
        instance: String,
        /// How many workers have begun it.
        attempt: u32,
    },
    /// An execution ended here, or was handed back as PAUSED.
    Ended {
        /// Whose.
        tenant: TenantId,
        /// Which one.
        id: JobExecutionId,
        /// How it stands.
        status: BatchStatus,
    },
    /// The worker no longer runs an execution, which has not ended.
    Lost {
        /// Whose.
        tenant: TenantId,
        /// Which one.
        id: JobExecutionId,
        /// Why, as a stable code.
        code: &'static str,
        /// Why, for people.
        reason: String,
    },
    /// The watchdog took up an execution that another worker had lost.
    Rescued(Rescued),
    /// The store does not answer; the worker tries again.
    Trouble {
        /// As a stable code.
        code: &'static str,
        /// For people.
        reason: String,
    },
    /// The clock of its machine differs from the store's by a second or more, by another difference than before, or no
    /// longer differs. Nothing goes by that clock, but people who read times there should know.
    ClockSkewed {
        /// By how many milliseconds the machine's clock is ahead; negative if it is behind.
        skew_ms: i64,
    },
    /// The store cannot be worked with, and trying again is no use: the worker ends, and
    /// [`Worker::wait`](crate::Worker::wait) says why.
    GaveUp {
        /// As a stable code.
        code: &'static str,
        /// For people.
        reason: String,
        /// How many executions the worker runs. They are left to others.
        running: usize,
    },
    /// The worker takes nothing new, and waits for the executions that run.
    ShuttingDown {
        /// How many executions run.
        running: usize,
    },
    /// The grace is over: running executions are to rest at their next checkpoint.
    Pausing {
        /// How many executions run.
        running: usize,
    },
    /// The worker has ended in good order.
    Over,
}
