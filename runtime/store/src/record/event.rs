//! A row of `execution_events`, with columns of its execution and its step; and the progress of a running step.

use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::Counts;
use stepbox_batch::execution::event::{Checkpointed, EventKind, EventNumber, ExecutionEvent, Happened};
use stepbox_batch::execution::status::BatchStatus;
use stepbox_batch::name::JobExecutionId;
use stepbox_batch::ports::Result;

use super::columns::Columns;
use super::step::TrackingRecord;
use super::{Row, stored_id};

/// An event that is about to be written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewEvent {
    pub execution_id: i64,
    pub at: i64,
    pub kind: i64,
    pub status: Option<i64>,
    pub position: Option<i64>,
}

impl NewEvent {
    /// An event of the execution as a whole.
    pub(crate) fn of(id: JobExecutionId, kind: EventKind, at: Timestamp) -> Self {
        Self {
            execution_id: stored_id(id),
            at: at.0,
            kind: kind.number().into(),
            status: None,
            position: None,
        }
    }

    /// The event of a change to this status; `None` if others see no change.
    pub(crate) fn of_status(execution_id: i64, status: BatchStatus, at: i64) -> Option<Self> {
        let kind = EventKind::of_status(status)?;
        let status = status.has_ended().then(|| status.number().into());
        Some(Self { execution_id, at, kind: kind.number().into(), status, position: None })
    }

    /// A step has ended.
    pub(crate) fn step_ended(execution_id: i64, position: i64, status: i64, at: i64) -> Self {
        let kind = EventKind::StepEnded.number().into();
        Self { execution_id, at, kind, status: Some(status), position: Some(position) }
    }
}

/// The columns of [`EventRecord`]: `v` is the event, `e` the execution, `s` the step.
pub(crate) const COLUMNS: &str = "v.number, v.tenant, v.execution_id, v.at, v.kind, v.status, v.position,
    e.instance, e.partition_of, e.restart_of, e.exit_code, s.name AS step";

/// An event that is read.
#[derive(Debug)]
pub(crate) struct EventRecord {
    pub number: i64,
    tenant: String,
    execution_id: i64,
    at: i64,
    kind: i64,
    status: Option<i64>,
    position: Option<i64>,
    instance: String,
    part_of: Option<i64>,
    restart_of: Option<i64>,
    exit_code: String,
    step: Option<String>,
}

impl EventRecord {
    pub(crate) fn read<C: Columns>(row: &C) -> std::result::Result<Self, C::Error> {
        Ok(Self {
            number: row.number("number")?,
            tenant: row.text("tenant")?,
            execution_id: row.number("execution_id")?,
            at: row.number("at")?,
            kind: row.number("kind")?,
            status: row.maybe_number("status")?,
            position: row.maybe_number("position")?,
            instance: row.text("instance")?,
            part_of: row.maybe_number("partition_of")?,
            restart_of: row.maybe_number("restart_of")?,
            exit_code: row.text("exit_code")?,
            step: row.maybe_text("step")?,
        })
    }

    pub(crate) fn into_event(self) -> Result<ExecutionEvent> {
        let row = Row(format!("event {}", self.number));
        let missing = |column| row.corrupt(column, "it is missing");
        let kind = u8::try_from(self.kind).ok().and_then(EventKind::from_number);
        let kind = kind.ok_or_else(|| row.corrupt("kind", format!("there is no kind {}", self.kind)))?;
        let happened = match kind {
            EventKind::Submitted => Happened::Submitted {
                restart_of: self.restart_of.map(|id| row.id("restart_of", id)).transpose()?,
            },
            EventKind::Started => Happened::Started,
            EventKind::StepEnded => Happened::StepEnded {
                position: row.count("position", self.position.ok_or_else(|| missing("position"))?)?,
                step: row.name("step", self.step.ok_or_else(|| missing("step"))?)?,
                status: row.status(self.status.ok_or_else(|| missing("status"))?)?,
            },
            EventKind::Paused => Happened::Paused,
            EventKind::Rescued => Happened::Rescued,
            EventKind::SetAside => Happened::SetAside,
            EventKind::Ended => Happened::Ended {
                status: row.status(self.status.ok_or_else(|| missing("status"))?)?,
                exit_code: self.exit_code,
            },
        };
        Ok(ExecutionEvent {
            number: EventNumber(row.count("number", self.number)?),
            tenant: row.name("tenant", self.tenant)?,
            id: row.id("execution_id", self.execution_id)?,
            instance: row.name("instance", self.instance)?,
            part_of: self.part_of.map(|id| row.id("partition_of", id)).transpose()?,
            at: Timestamp(self.at),
            happened,
        })
    }
}

/// The columns of [`CheckpointedRecord`] in `step_executions`, which is called `s`.
pub(crate) const CHECKPOINTED: &str = "s.tenant, s.execution_id, s.position, s.name, s.read_count, s.written_count,
    s.filtered_count, s.skipped_count, s.tracking_processed, s.tracking_total, s.tracking_is_estimate, s.updated_at";

/// The progress of a running step.
#[derive(Debug)]
pub(crate) struct CheckpointedRecord {
    tenant: String,
    execution_id: i64,
    position: i64,
    name: String,
    counts: [i64; 4],
    tracking: TrackingRecord,
    updated_at: i64,
}

impl CheckpointedRecord {
    pub(crate) fn read<C: Columns>(row: &C) -> std::result::Result<Self, C::Error> {
        Ok(Self {
            tenant: row.text("tenant")?,
            execution_id: row.number("execution_id")?,
            position: row.number("position")?,
            name: row.text("name")?,
            counts: [
                row.number("read_count")?,
                row.number("written_count")?,
                row.number("filtered_count")?,
                row.number("skipped_count")?,
            ],
            tracking: TrackingRecord::read(row)?,
            updated_at: row.number("updated_at")?,
        })
    }

    pub(crate) fn into_checkpointed(self) -> Result<Checkpointed> {
        let row = Row(format!("step {} of execution {}", self.position, self.execution_id));
        let [read, written, filtered, skipped] = self.counts;
        Ok(Checkpointed {
            tenant: row.name("tenant", self.tenant)?,
            id: row.id("execution_id", self.execution_id)?,
            position: row.count("position", self.position)?,
            step: row.name("name", self.name)?,
            counts: Counts {
                read: row.count("read_count", read)?,
                written: row.count("written_count", written)?,
                filtered: row.count("filtered_count", filtered)?,
                skipped: row.count("skipped_count", skipped)?,
            },
            tracking: self.tracking.into_tracking(&row)?,
            at: Timestamp(self.updated_at),
        })
    }
}
