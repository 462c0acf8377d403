//! What a worker gets when it claims an execution.

use super::job_execution::JobExecution;
use super::lease::Lease;

/// An execution, and the lease under which a worker runs it.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The execution, as it is stored.
    pub execution: JobExecution,
    /// The right to write its rows.
    pub lease: Lease,
}

impl Claimed {
    /// The execution and the lease, each by itself.
    pub fn into_parts(self) -> (JobExecution, Lease) {
        (self.execution, self.lease)
    }
}
