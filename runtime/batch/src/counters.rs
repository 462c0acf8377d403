//! What a tenant's components and uploads ran into, counted as long as the process lives.
//!
//! Each number only grows, so that a collector can tell what came between two looks. Fuel is not
//! among them: components are interrupted by the clock, not by counting instructions.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

/// How often a tenant's components and uploads ran into something, since the process began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Components ended because they asked for more memory than they, their tenant or all together may have.
    pub memory_limits_reached: u64,
    /// Components ended because they ran, or computed, longer than they may.
    pub time_limits_reached: u64,
    /// Components ended because they went on after a stop request.
    pub stops_forced: u64,
    /// Requests of components that a grant, the policy or their address refused.
    pub http_requests_refused: u64,
    /// Accesses of components to files that a grant refused, or that led out of one.
    pub file_accesses_refused: u64,
    /// Messages of components that were dropped because the log of their step was full.
    pub log_messages_dropped: u64,
    /// Components that were refused when they were uploaded.
    pub uploads_refused: u64,
}

/// Where they are counted, from all threads.
#[derive(Debug, Default)]
pub struct Tally {
    memory_limits_reached: AtomicU64,
    time_limits_reached: AtomicU64,
    stops_forced: AtomicU64,
    http_requests_refused: AtomicU64,
    file_accesses_refused: AtomicU64,
    log_messages_dropped: AtomicU64,
    uploads_refused: AtomicU64,
}

impl Tally {
    /// The numbers now.
    pub fn counters(&self) -> Counters {
        let now = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counters {
            memory_limits_reached: now(&self.memory_limits_reached),
            time_limits_reached: now(&self.time_limits_reached),
            stops_forced: now(&self.stops_forced),
            http_requests_refused: now(&self.http_requests_refused),
            file_accesses_refused: now(&self.file_accesses_refused),
            log_messages_dropped: now(&self.log_messages_dropped),
            uploads_refused: now(&self.uploads_refused),
        }
    }

    /// A component was ended for want of memory.
    pub fn reached_memory_limit(&self) {
        self.memory_limits_reached.fetch_add(1, Ordering::Relaxed);
    }

    /// A component was ended at its time limit.
    pub fn reached_time_limit(&self) {
        self.time_limits_reached.fetch_add(1, Ordering::Relaxed);
    }

    /// A component was ended after a stop request that it did not heed.
    pub fn forced_stop(&self) {
        self.stops_forced.fetch_add(1, Ordering::Relaxed);
    }

    /// A component was refused a request.
    pub fn refused_request(&self) {
        self.http_requests_refused.fetch_add(1, Ordering::Relaxed);
    }

    /// A component was refused a file.
    pub fn refused_file(&self) {
        self.file_accesses_refused.fetch_add(1, Ordering::Relaxed);
    }

    /// A message was dropped.
    pub fn dropped_message(&self) {
        self.log_messages_dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// An upload was refused.
    pub fn refused_upload(&self) {
        self.uploads_refused.fetch_add(1, Ordering::Relaxed);
    }
}
