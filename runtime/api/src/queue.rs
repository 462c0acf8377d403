//! The queue.

use serde::{Deserialize, Serialize};
use stepbox_batch::execution::queue;

/// The result of a request to publish.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// The execution: the new one, or the equal one that existed.
    pub id: u64,
    /// Whether that execution was in the queue, or running, before.
    pub was_there: bool,
    /// Whether the same request was answered before, under the same key. Absent if it was not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_replayed: bool,
}

impl Published {
    /// Built from the answer of the queue.
    pub fn of(published: queue::Published) -> Self {
        Self {
            id: published.id().0,
            was_there: matches!(published, queue::Published::ThereAlready(_)),
            is_replayed: matches!(published, queue::Published::Replayed(_)),
        }
    }
}

/// The place of an execution in the queue.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueEntry {
    /// Its present state.
    pub state: QueueState,
    /// Its priority. Entries of a higher priority come first.
    pub priority: i16,
    /// The moment from which a worker may take it.
    pub available_at: String,
    /// How many workers were lost while they ran it.
    pub losses: u32,
    /// How many workers it may lose.
    pub attempts_max: u32,
}

impl QueueEntry {
    /// Built from an entry of the queue.
    pub fn of(entry: &queue::QueueEntry) -> Self {
        let queue::QueueEntry { state, priority, available_at, losses, attempts_max } = *entry;
        let (state, available_at) = (state.into(), available_at.to_string());
        Self { state, priority, available_at, losses, attempts_max }
    }
}

/// The state of an entry of the queue.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueueState {
    /// The next free worker may take it.
    Waiting,
    /// Its time has not come.
    Delayed,
    /// A worker has it.
    Claimed,
    /// It is PAUSED by a request, until it is resumed.
    Paused,
}

impl From<queue::QueueState> for QueueState {
    fn from(state: queue::QueueState) -> Self {
        match state {
            queue::QueueState::Waiting => Self::Waiting,
            queue::QueueState::Delayed => Self::Delayed,
            queue::QueueState::Claimed => Self::Claimed,
            queue::QueueState::Paused => Self::Paused,
        }
    }
}

#[cfg(test)]
mod tests {
    use stepbox_batch::name::JobExecutionId;

    use super::*;
    use crate::testing::{queue_entry, survives};

    #[test]
    fn the_queue_survives_a_wire() {
        let there = queue::Published::ThereAlready(JobExecutionId(7));
        assert_eq!(survives(&Published::of(there))["was_there"], true);
        survives(&QueueEntry::of(&queue_entry()));
        for state in queue::QueueState::ALL {
            assert_eq!(survives(&QueueState::from(state)), state.as_str());
        }
    }
}
