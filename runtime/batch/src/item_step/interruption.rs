//! Why items were not committed: a stop request, or a failure with the known facts about its items.

use std::ops::Range;

use crate::element::TIME_LIMIT_CODE;
use crate::error::StepError;
use crate::ports::error::RepositoryError;

/// Why a chunk was not committed.
#[derive(Debug)]
pub(super) enum Interruption {
    /// A stop request ended a call of an element, or the run has left the elements behind.
    Stopped {
        /// What the step was doing.
        phase: Phase,
    },
    /// An element, the store or the accounting failed.
    Failed(ChunkFailure),
}

/// A failure, and the items that it is about.
#[derive(Debug)]
pub(super) struct ChunkFailure {
    pub(super) error: StepError,
    /// `None` if the failure is not about particular items.
    pub(super) items: Option<Range<u64>>,
    pub(super) phase: Phase,
    /// Whether the elements worked, but one of the items that they set aside may not be skipped.
    pub(super) is_refusal: bool,
}

/// What a step was doing when it was interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The reader was at work. A failure of the reader names no item.
    Reading,
    /// A processor was at work.
    Processing,
    /// The writer may have taken a part of the chunk.
    Writing,
    /// The step was between two chunks, or before or after all of them.
    BetweenChunks,
}

impl Interruption {
    /// A failure, because one of these items was set aside and may not be skipped.
    pub(super) fn refusal(error: StepError, items: Range<u64>) -> Self {
        let (items, phase) = (Some(items), Phase::BetweenChunks);
        Self::Failed(ChunkFailure { error, items, phase, is_refusal: true })
    }

    /// The same interruption, with what the step was doing.
    pub(super) fn during(mut self, now: Phase) -> Self {
        match &mut self {
            Self::Stopped { phase } | Self::Failed(ChunkFailure { phase, .. }) => *phase = now,
        }
        self
    }

    /// The same interruption, with the items that a failure is about.
    pub(super) fn about(mut self, range: Range<u64>) -> Self {
        if let Self::Failed(ChunkFailure { items, .. }) = &mut self {
            *items = Some(range);
        }
        self
    }

    /// Whether the writer may hold a part of a chunk.
    pub(super) fn is_while_writing(&self) -> bool {
        match self {
            Self::Stopped { phase } | Self::Failed(ChunkFailure { phase, .. }) => *phase == Phase::Writing,
        }
    }
}

impl From<StepError> for Interruption {
    fn from(error: StepError) -> Self {
        Self::Failed(ChunkFailure { error, items: None, phase: Phase::BetweenChunks, is_refusal: false })
    }
}

impl From<RepositoryError> for Interruption {
    fn from(error: RepositoryError) -> Self {
        Self::from(StepError::from(error))
    }
}

impl ChunkFailure {
    /// How many items a call had that exceeded its time limit; `None` if it had one item. A call with fewer items
    /// may end in time.
    pub(super) fn items_out_of_time(&self) -> Option<u64> {
        let items = self.items.as_ref().map(|items| items.end - items.start).filter(|&items| items > 1);
        items.filter(|_| self.error.is_retryable().is_some() && self.error.code() == TIME_LIMIT_CODE)
    }
}
