//! How often a tenant's components and uploads reached a limit or were refused, counted while the process runs.
//!
//! Each number only grows, so a collector can compute what happened between two readings. Fuel is not counted: the
//! clock interrupts components, and instructions are not counted.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

/// How often a tenant's components and uploads reached a limit or were refused, since the process began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Components that were ended because they asked for more memory than they, their tenant or all components
    /// together may have.
    pub memory_limits_reached: u64,
    /// Components that were ended because they ran, or computed, longer than they may.
    pub time_limits_reached: u64,
    /// Components that were ended because they continued after a stop request.
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

/// The counters themselves, which all threads share.
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

    /// Counts a component that was ended because it asked for too much memory.
    pub fn reached_memory_limit(&self) {
        self.memory_limits_reached.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a component that was ended at its time limit.
    pub fn reached_time_limit(&self) {
        self.time_limits_reached.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a component that was ended because it ignored a stop request.
    pub fn forced_stop(&self) {
        self.stops_forced.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a request of a component that was refused.
    pub fn refused_request(&self) {
        self.http_requests_refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an access to a file that was refused.
    pub fn refused_file(&self) {
        self.file_accesses_refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a message that was dropped.
    pub fn dropped_message(&self) {
        self.log_messages_dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an upload that was refused.
    pub fn refused_upload(&self) {
        self.uploads_refused.fetch_add(1, Ordering::Relaxed);
    }
}
