//! The options of a worker.

use stepbox_batch::execution::queue::QueueFilter;
use stepbox_batch::name::TenantId;

use super::event::WorkerListener;

/// Which executions a worker takes, and how it runs them.
#[derive(Clone)]
pub struct WorkerOptions {
    /// How many executions it runs at a time, at least 1.
    pub concurrency: usize,
    /// The tenants whose executions it runs, among those of the installation; empty means all.
    pub tenants: Vec<TenantId>,
    /// Which of their executions it takes.
    pub filter: QueueFilter,
    /// How long running executions may continue after a shutdown was requested, before they are paused, in
    /// milliseconds.
    pub grace_ms: u64,
    /// Receives each event.
    pub listener: Option<WorkerListener>,
}

impl Default for WorkerOptions {
    /// As many executions at a time as there are processors, of all tenants and jobs, with a grace of 5
    /// seconds.
    fn default() -> Self {
        let concurrency = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            concurrency,
            tenants: Vec::new(),
            filter: QueueFilter::default(),
            grace_ms: 5_000,
            listener: None,
        }
    }
}

impl WorkerOptions {
    /// How many executions run at a time, at least 1.
    pub(crate) fn slots(&self) -> usize {
        self.concurrency.max(1)
    }
}

impl std::fmt::Debug for WorkerOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkerOptions")
            .field("concurrency", &self.concurrency)
            .field("tenants", &self.tenants)
            .field("filter", &self.filter)
            .field("grace_ms", &self.grace_ms)
            .finish_non_exhaustive()
    }
}
