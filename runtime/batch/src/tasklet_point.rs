//! The point from which a tasklet continues: its counts when it last kept a value.
//!
//! A tasklet has no items, so the runtime cannot see which of its work is complete. A tasklet keeps its position in
//! the execution context, and begins there when it runs again. So its counts up to that moment are kept, and later
//! work is counted again. A tasklet that keeps nothing begins from the start, and so do its counts.

use serde::{Deserialize, Serialize};

use crate::execution::{Checkpoint, Summary, Tracking};

/// The counts of a tasklet at a moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskletPoint {
    /// Its progress.
    pub tracking: Tracking,
    /// Its summary.
    pub summary: Summary,
    /// How many warnings it had recorded.
    pub warning_count: u64,
}

impl TaskletPoint {
    /// The stored form. It uses the reader's state, because a tasklet has no reader.
    pub(crate) fn to_checkpoint(&self) -> Checkpoint {
        // Serializing fails only for keys that are not text, and all keys are text.
        let reader = serde_json::to_vec(self).unwrap_or_default();
        Checkpoint { reader, ..Checkpoint::default() }
    }

    /// The point in a stored checkpoint; `None` if there is none, or if it cannot be read.
    ///
    /// Then the tasklet counts from zero.
    pub fn of_checkpoint(checkpoint: Option<&Checkpoint>) -> Option<Self> {
        serde_json::from_slice(&checkpoint?.reader).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::execution::SummaryValue;

    #[test]
    fn is_read_as_it_was_stored() {
        let summary = [("done".to_owned(), SummaryValue::Count(u64::MAX))].into();
        let tracking = Tracking { processed: 7, total: None, is_estimate: false };
        let point = TaskletPoint { tracking, summary, warning_count: 1001 };
        assert_eq!(TaskletPoint::of_checkpoint(Some(&point.to_checkpoint())), Some(point));
        assert_eq!(TaskletPoint::of_checkpoint(None), None);
        assert_eq!(TaskletPoint::of_checkpoint(Some(&Checkpoint::default())), None);
    }
}
