//! How often this crate looks, beats and stores, and how long leases last. All in milliseconds.

/// How long a lease lasts without a heartbeat, in milliseconds, unless the builder says otherwise.
pub const LEASE_MS: u64 = 15_000;
/// The shortest lease, in milliseconds: a shorter one would take a busy machine for a dead one.
pub const LEASE_MS_MIN: u64 = 1_000;
/// How many heartbeats there are in the time of a lease: two may fail.
pub(crate) const BEATS_PER_LEASE: u64 = 3;
/// How often a run looks whether it should stop, in milliseconds.
pub const STOP_CHECK_MS: u64 = 100;
/// How often a run stores its progress, in milliseconds.
pub const PROGRESS_MS: u64 = 500;
/// How often a worker looks for lost executions, in milliseconds.
pub const RESCUE_MS: u64 = 1_000;
