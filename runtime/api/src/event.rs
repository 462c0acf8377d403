//! Events of executions, as a stream sends them.

use serde::{Deserialize, Serialize};
use stepbox_batch::execution::event::{Checkpointed, ExecutionEvent, Happened};

use crate::status::Status;
use crate::step_execution::{Counts, Tracking};

/// Something that happened to an execution.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its place in the stream.
    pub number: u64,
    /// What happened: `submitted`, `started`, `step-ended`, `paused`, `rescued`, `set-aside` or `ended`.
    pub kind: String,
    /// The number of the execution.
    pub execution: u64,
    /// The code of the instance that it runs.
    pub instance: String,
    /// The execution that it is a part of; `null` for most.
    pub part_of: Option<u64>,
    /// When it happened.
    pub at: String,
    /// The step that has ended; `null` if the event is about none.
    pub step: Option<String>,
    /// How the step or the execution has ended; `null` if nothing has.
    pub status: Option<Status>,
    /// The code of the exit status of an execution that has ended.
    pub exit_code: Option<String>,
    /// The execution that a new one continues.
    pub restart_of: Option<u64>,
}

impl Event {
    /// Built from an event.
    pub fn of(event: &ExecutionEvent) -> Self {
        let ExecutionEvent { number, id, instance, part_of, at, happened, .. } = event;
        let bare = Self {
            number: number.0,
            kind: happened.kind().as_str().to_owned(),
            execution: id.0,
            instance: instance.to_string(),
            part_of: part_of.map(|id| id.0),
            at: at.to_string(),
            step: None,
            status: None,
            exit_code: None,
            restart_of: None,
        };
        match happened {
            Happened::Submitted { restart_of } => Self { restart_of: restart_of.map(|id| id.0), ..bare },
            Happened::StepEnded { step, status, .. } => {
                Self { step: Some(step.to_string()), status: Some((*status).into()), ..bare }
            }
            Happened::Ended { status, exit_code } => {
                Self { status: Some((*status).into()), exit_code: Some(exit_code.clone()), ..bare }
            }
            Happened::Started | Happened::Paused | Happened::Rescued | Happened::SetAside => bare,
        }
    }
}

/// How much of its work a running step had done at its last save.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The number of the execution.
    pub execution: u64,
    /// The step's place in the job, from 0.
    pub position: u32,
    /// The name of the step.
    pub step: String,
    /// The items at its last checkpoint.
    pub counts: Counts,
    /// How many items are processed, and of how many.
    pub tracking: Tracking,
    /// When it was saved.
    pub at: String,
}

impl Progress {
    /// Built from a saved step.
    pub fn of(step: &Checkpointed) -> Self {
        let stepbox_batch::execution::Counts { read, written, filtered, skipped } = step.counts;
        let stepbox_batch::execution::Tracking { processed, total, is_estimate } = step.tracking;
        Self {
            execution: step.id.0,
            position: step.position,
            step: step.step.to_string(),
            counts: Counts { read, written, filtered, skipped },
            tracking: Tracking { processed, total, is_estimate },
            at: step.at.to_string(),
        }
    }
}

/// Events between two numbers do not exist any more. Look at the executions themselves.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The last event that was sent.
    pub after: u64,
    /// The number from which events exist again.
    pub next: u64,
}

#[cfg(test)]
mod tests {
    use stepbox_batch::clock::Timestamp;
    use stepbox_batch::execution;
    use stepbox_batch::execution::event::EventNumber;
    use stepbox_batch::execution::status::BatchStatus;
    use stepbox_batch::name::{InstanceCode, JobExecutionId, StepName, TenantId};

    use super::*;
    use crate::testing::survives;

    #[test]
    fn events_survive_a_wire() {
        let event = |happened| ExecutionEvent {
            number: EventNumber(7),
            tenant: TenantId::default(),
            id: JobExecutionId(118),
            instance: InstanceCode::new("a").unwrap(),
            part_of: None,
            at: Timestamp(1_700_000_000_000),
            happened,
        };
        let ended = Happened::Ended { status: BatchStatus::Failed, exit_code: "FAILED".to_owned() };
        let shown = survives(&Event::of(&event(ended)));
        assert_eq!((&shown["kind"], &shown["status"]), (&"ended".into(), &"FAILED".into()));
        let restarted = Happened::Submitted { restart_of: Some(JobExecutionId(117)) };
        assert_eq!(survives(&Event::of(&event(restarted)))["restart_of"], 117);
        survives(&Gap { after: 3, next: 9 });
        let step = Checkpointed {
            tenant: TenantId::default(),
            id: JobExecutionId(118),
            position: 0,
            step: StepName::new("export").unwrap(),
            counts: execution::Counts { read: 3, written: 2, filtered: 1, skipped: 0 },
            tracking: execution::Tracking { processed: 3, total: Some(9), is_estimate: true },
            at: Timestamp(1_700_000_000_000),
        };
        assert_eq!(survives(&Progress::of(&step))["tracking"]["total"], 9);
    }
}
