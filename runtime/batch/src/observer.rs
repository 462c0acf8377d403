//! The port for measuring runs: an observer hears what was done and how long it took, and changes nothing.
//!
//! An observer hears of chunks and checkpoints, never of single items, so that no step waits for it.

use crate::execution::Counts;
use crate::metering::ResourceUsage;

/// Hears what running steps have done. It must not wait.
pub trait Observer: Send + Sync + 'static {
    /// Hears of it.
    fn observe(&self, observation: Observation);
}

/// Something that a running step has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observation {
    /// A chunk was written: since it was asked for, so many microseconds have passed. While chains of processors
    /// work side by side, that is how long the writer waited for it and wrote it.
    Chunk {
        /// Microseconds.
        us: u64,
    },
    /// Everything so far was made durable, output and store.
    Checkpoint {
        /// How long that took, in microseconds.
        us: u64,
        /// The items since the last checkpoint. Items that were written and given up are in no checkpoint.
        counts: Counts,
    },
    /// What the step has used since it was asked last.
    Used(ResourceUsage),
}

/// An observer that does nothing.
#[derive(Debug, Clone, Copy)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn observe(&self, _: Observation) {}
}
