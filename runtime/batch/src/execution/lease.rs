//! The right to write the rows of an execution.

use crate::clock::Timestamp;
use crate::name::{JobExecutionId, TenantId};

/// A worker's request to run an execution.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The worker's name, unique among all processes.
    pub worker: String,
    /// Now.
    pub now: Timestamp,
    /// How long the lease lasts without a heartbeat, in milliseconds.
    pub lease_ms: u64,
}

/// The right to write the rows of an execution, until another worker claims it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The tenant of the execution.
    pub tenant: TenantId,
    /// Which execution.
    pub id: JobExecutionId,
    /// The fencing token.
    ///
    /// It grows with each claim, and the `WHERE` clause of each write compares it.
    pub token: u64,
}

/// Whether a lease is still valid. At the very millisecond at which it ends it is no longer valid.
pub(super) fn is_held(lease_expires_at: Option<Timestamp>, now: Timestamp) -> bool {
    lease_expires_at.is_some_and(|end| end > now)
}
