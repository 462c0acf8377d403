//! The values that the watchdog needs of an execution that may be lost: columns of its row, of its place in the
//! queue and of its whole.

use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::rescue::Lost;
use stepbox_batch::ports::Result;

use super::Row;
use super::columns::Columns;

/// See [`Lost`].
#[derive(Debug)]
pub(crate) struct LostRecord {
    pub id: i64,
    pub status: i64,
    pub worker: String,
    pub heartbeat_at: i64,
    pub lease_expires_at: Option<i64>,
    pub is_stopping: bool,
    pub is_left_behind: bool,
    pub losses: Option<(i64, i64)>,
}

impl LostRecord {
    pub(crate) fn read<C: Columns>(id: i64, row: &C) -> std::result::Result<Self, C::Error> {
        Ok(Self {
            id,
            status: row.number("status")?,
            worker: row.text("worker")?,
            heartbeat_at: row.number("heartbeat_at")?,
            lease_expires_at: row.maybe_number("lease_expires_at")?,
            is_stopping: row.flag("is_stopping")?,
            is_left_behind: row.flag("is_left_behind")?,
            losses: row.maybe_number("losses")?.zip(row.maybe_number("attempts_max")?),
        })
    }

    pub(crate) fn into_lost(self) -> Result<Lost> {
        let row = Row(format!("execution {}", self.id));
        let id = row.id("id", self.id)?;
        row.status(self.status)?;
        let losses = |(before, max)| Ok((row.count("losses", before)?, row.count("attempts_max", max)?));
        Ok(Lost {
            id,
            worker: self.worker,
            heartbeat_at: Timestamp(self.heartbeat_at),
            lease_expires_at: self.lease_expires_at.map(Timestamp),
            is_stopping: self.is_stopping,
            is_left_behind: self.is_left_behind,
            losses: self.losses.map(losses).transpose(),
        })
    }
}
