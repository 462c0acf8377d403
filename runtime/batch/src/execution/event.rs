//! What happens to executions, as one stream that any process can read.
//!
//! A store writes an event in the transaction of the change, so an event exists if, and only if, the change exists.
//! The store numbers the events. A reader that asks for the events after the last number it has seen misses no
//! event, however many processes write: see [`Outbox`](crate::ports::Outbox).
//!
//! A checkpoint is not an event: a row for each checkpoint would double what a store writes. A reader that shows
//! progress asks [`Outbox::checkpointed`](crate::ports::Outbox::checkpointed), which reads the steps as they are
//! stored.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::status::BatchStatus;
use super::step_execution::{Counts, Tracking};
use crate::clock::Timestamp;
use crate::name::{InstanceCode, JobExecutionId, StepName, TenantId};

/// For how long events are kept, in milliseconds: a week.
pub const EVENTS_KEPT_MS: u64 = 7 * 24 * 3600 * 1000;
/// How many events are kept at most, the newest ones.
pub const EVENTS_KEPT_MAX: u64 = 1_000_000;
/// How many events a page has at most.
pub const EVENTS_PAGE_MAX: u32 = 10_000;

/// The place of an event in the stream, from 1.
///
/// Later events have larger numbers; some numbers are never given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventNumber(pub u64);

impl EventNumber {
    /// Before all events.
    pub const BEGINNING: Self = Self(0);
}

impl fmt::Display for EventNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Something that happened to an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutionEvent {
    /// Its place in the stream.
    pub number: EventNumber,
    /// The tenant of the execution.
    pub tenant: TenantId,
    /// Which execution.
    pub id: JobExecutionId,
    /// The instance that it runs.
    pub instance: InstanceCode,
    /// The execution that it is a part of; `None` for most.
    pub part_of: Option<JobExecutionId>,
    /// When it happened, by the clock of the process that wrote it.
    pub at: Timestamp,
    /// What happened.
    pub happened: Happened,
}

/// What can happen to an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happened {
    /// It was accepted.
    Submitted {
        /// The execution that it continues.
        restart_of: Option<JobExecutionId>,
    },
    /// A worker has begun it, or continues it after it was PAUSED.
    Started,
    /// One of its steps has ended.
    StepEnded {
        /// The step's place in the job, from 0.
        position: u32,
        /// The step.
        step: StepName,
        /// How it ended.
        status: BatchStatus,
    },
    /// It is paused at a checkpoint until a worker continues it.
    Paused,
    /// Its worker was lost, and it waits for another one.
    Rescued,
    /// It could be neither run nor rescued, and is set aside until the store is repaired.
    SetAside,
    /// It has ended, or was abandoned after its end.
    Ended {
        /// How it ended.
        status: BatchStatus,
        /// The code of its exit status.
        exit_code: String,
    },
}

impl Happened {
    /// Which kind of event it is.
    pub fn kind(&self) -> EventKind {
        match self {
            Self::Submitted { .. } => EventKind::Submitted,
            Self::Started => EventKind::Started,
            Self::StepEnded { .. } => EventKind::StepEnded,
            Self::Paused => EventKind::Paused,
            Self::Rescued => EventKind::Rescued,
            Self::SetAside => EventKind::SetAside,
            Self::Ended { .. } => EventKind::Ended,
        }
    }
}

/// The kinds of events.
///
/// The numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    /// See [`Happened::Submitted`].
    Submitted = 1,
    /// See [`Happened::Started`].
    Started = 2,
    /// See [`Happened::StepEnded`].
    StepEnded = 3,
    /// See [`Happened::Paused`].
    Paused = 4,
    /// See [`Happened::Rescued`].
    Rescued = 5,
    /// See [`Happened::SetAside`].
    SetAside = 6,
    /// See [`Happened::Ended`].
    Ended = 7,
}

impl EventKind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::Submitted,
        Self::Started,
        Self::StepEnded,
        Self::Paused,
        Self::Rescued,
        Self::SetAside,
        Self::Ended,
    ];

    /// The kind of event that a worker's save with this status makes, if the execution had another status before.
    pub fn of_status(status: BatchStatus) -> Option<Self> {
        match status {
            BatchStatus::Started => Some(Self::Started),
            BatchStatus::Paused => Some(Self::Paused),
            ended if ended.has_ended() => Some(Self::Ended),
            _ => None,
        }
    }

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Submitted => "submitted",
            Self::Started => "started",
            Self::StepEnded => "step-ended",
            Self::Paused => "paused",
            Self::Rescued => "rescued",
            Self::SetAside => "set-aside",
            Self::Ended => "ended",
        }
    }

    /// The stored number.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The kind of a stored number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How much of its work a running step had done at its last save.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpointed {
    /// The tenant of the execution.
    pub tenant: TenantId,
    /// Which execution.
    pub id: JobExecutionId,
    /// The step's place in the job, from 0.
    pub position: u32,
    /// The step.
    pub step: StepName,
    /// The items at its last checkpoint.
    pub counts: Counts,
    /// How many items are processed, and of how many.
    pub tracking: Tracking,
    /// When its row was last written.
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_stored_numbers() {
        for (index, kind) in EventKind::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(kind.number()), index + 1);
            assert_eq!(EventKind::from_number(kind.number()), Some(kind));
        }
        assert_eq!(EventKind::from_number(0), None);
    }

    #[test]
    fn a_save_is_an_event_where_others_see_a_change() {
        let kinds: Vec<_> = BatchStatus::ALL
            .into_iter()
            .map(|status| {
                format!("{status}: {}", EventKind::of_status(status).map_or("-", EventKind::as_str))
            })
            .collect();
        let expected = [
            "COMPLETED: ended",
            "STARTING: -",
            "STARTED: started",
            "STOPPING: -",
            "STOPPED: ended",
            "FAILED: ended",
            "ABANDONED: ended",
            "UNKNOWN: ended",
            "PAUSING: -",
            "PAUSED: paused",
        ];
        assert_eq!(kinds, expected);
    }
}
