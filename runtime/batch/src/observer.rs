//! The port for measuring runs: an observer is told what was done and how long it took, and changes nothing.
//!
//! An observer gets chunks and checkpoints, never single items, so that it does not slow the steps down.

use crate::execution::Counts;
use crate::metering::ResourceUsage;

/// Receives what running steps have done.
///
/// It must not wait.
pub trait Observer: Send + Sync + 'static {
    /// Receives one observation.
    fn observe(&self, observation: Observation);
}

/// Something that a running step has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observation {
    /// A chunk was written.
    ///
    /// `us` is the time since it was asked for. If chains of processors work side by side, this is how long the
    /// writer waited for the chunk and wrote it.
    Chunk {
        /// Microseconds.
        us: u64,
    },
    /// Output and store were made durable up to here.
    Checkpoint {
        /// How long that took, in microseconds.
        us: u64,
        /// The items since the last checkpoint.
        ///
        /// Items that were written and dropped again are in no checkpoint.
        counts: Counts,
    },
    /// What the step has used since the last such observation.
    Used(ResourceUsage),
}

/// An observer that does nothing.
#[derive(Debug, Clone, Copy)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn observe(&self, _: Observation) {}
}
