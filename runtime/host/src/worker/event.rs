//! The events that a worker sends to its listener.

use std::sync::Arc;

use stepbox_batch::execution::Rescued;
use stepbox_batch::execution::status::BatchStatus;
use stepbox_batch::name::{JobExecutionId, TenantId};

/// A function that receives each event when it happens.
pub type WorkerListener = Arc<dyn Fn(&WorkerEvent) + Send + Sync>;

/// An event of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerEvent {
    /// The worker began to look into the queue.
    Began {
        /// The worker's name.
        worker: String,
    },
    /// The worker took an execution, and runs it.
    Claimed {
        /// The tenant.
        tenant: TenantId,
        /// The execution.
        id: JobExecutionId,
        /// The instance.
        instance: String,
        /// How many workers have begun it.
        attempt: u32,
    },
    /// An execution ended here, or was handed back as PAUSED.
    Ended {
        /// The tenant.
        tenant: TenantId,
        /// The execution.
        id: JobExecutionId,
        /// Its status.
        status: BatchStatus,
    },
    /// The worker no longer runs an execution, which has not ended.
    Lost {
        /// The tenant.
        tenant: TenantId,
        /// The execution.
        id: JobExecutionId,
        /// The reason, as a stable code.
        code: &'static str,
        /// The reason, for people.
        reason: String,
    },
    /// The watchdog took over an execution that another worker had lost.
    Rescued(Rescued),
    /// The store does not answer.
    ///
    /// The worker tries again.
    Trouble {
        /// The reason, as a stable code.
        code: &'static str,
        /// The reason, for people.
        reason: String,
    },
    /// The clock of the machine differs from the store's clock by a second or more, the difference has
    /// changed, or there is no difference any more.
    ///
    /// Stepbox does not use that clock, but people who read times on that machine should know it.
    ClockSkewed {
        /// By how many milliseconds the machine's clock is ahead; negative if it is behind.
        skew_ms: i64,
    },
    /// The store cannot be used, and trying again does not help.
    ///
    /// The worker ends, and [`Worker::wait`](crate::Worker::wait) returns the reason.
    GaveUp {
        /// The reason, as a stable code.
        code: &'static str,
        /// The reason, for people.
        reason: String,
        /// How many executions the worker runs.
        ///
        /// Other workers take them over.
        running: usize,
    },
    /// The worker takes no new executions, and waits for its running executions.
    ShuttingDown {
        /// How many executions are running.
        running: usize,
    },
    /// The grace is over: running executions are asked to pause at their next checkpoint.
    Pausing {
        /// How many executions are running.
        running: usize,
    },
    /// The worker has ended in an orderly way.
    Over,
}
