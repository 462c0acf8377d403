//! The intervals of this crate: for checks, heartbeats, progress and leases. All are in milliseconds.

/// How long a lease lasts without a heartbeat, in milliseconds, unless the builder sets another value.
pub const LEASE_MS: u64 = 15_000;
/// The shortest lease, in milliseconds.
///
/// With a shorter one, a busy machine would count as dead.
pub const LEASE_MS_MIN: u64 = 1_000;
/// The number of heartbeats in the time of a lease: two may fail.
pub(crate) const BEATS_PER_LEASE: u64 = 3;
/// How often a run checks whether it should stop, in milliseconds.
pub const STOP_CHECK_MS: u64 = 100;
/// How often a run stores its progress, in milliseconds.
pub(crate) const PROGRESS_MS: u64 = 500;
/// How often a worker looks for lost executions, in milliseconds.
pub(crate) const RESCUE_MS: u64 = 1_000;
