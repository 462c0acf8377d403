//! Rows of the queue.

use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::queue::{QueueDepth, QueueEntry};

use super::Row;
use super::columns::Columns;

/// The columns that [`entry`] reads.
pub(crate) const ENTRY_COLUMNS: &str = "state, priority, available_at, losses, attempts_max";

/// An execution's place in the queue.
pub(crate) fn entry<C: Columns>(id: i64, row: &C) -> Result<QueueEntry, C::Error> {
    let name = Row(format!("queue entry {id}"));
    Ok(QueueEntry {
        state: name.queue_state(row.number("state")?)?,
        priority: name.count("priority", row.number("priority")?)?,
        available_at: Timestamp(row.number("available_at")?),
        losses: name.count("losses", row.number("losses")?)?,
        attempts_max: name.count("attempts_max", row.number("attempts_max")?)?,
    })
}

/// How many entries are in the queue: `tenant`, `state`, `count` and `oldest`.
pub(crate) fn depth<C: Columns>(row: &C) -> Result<QueueDepth, C::Error> {
    let tenant = row.text("tenant")?;
    let name = Row(format!("the queue of `{tenant}`"));
    Ok(QueueDepth {
        state: name.queue_state(row.number("state")?)?,
        count: name.count("count", row.number("count")?)?,
        oldest: Timestamp(row.number("oldest")?),
        tenant: name.name("tenant", tenant)?,
    })
}
