//! What happens to an execution after the loss of its worker.
//!
//! Functions from values to values: every store calls them inside its transaction, so all stores decide alike.

use super::ending::Ending;
use super::failure::Failure;
use super::part::PartOfEnded;
use super::status::{BatchStatus, ExitStatus};
use crate::clock::Timestamp;
use crate::job::{Always, Job};
use crate::name::{JobExecutionId, TenantId};
use crate::ports::error::Result;
use crate::remedy::Remedy;

/// The longest wait after a loss, in milliseconds.
const BACKOFF_MS_MAX: u64 = 300_000;

/// An execution whose worker was lost, and what happens to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rescued {
    /// The tenant that it belongs to.
    pub tenant: TenantId,
    /// The id of the execution.
    pub id: JobExecutionId,
    /// What happens to it.
    pub fate: Fate,
    /// Why it was set aside; `None` for any other fate.
    pub reason: Option<String>,
}

/// What happens to an execution after the loss of its worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It continues from its last checkpoint, not before that moment.
    Requeued(Timestamp),
    /// A stop was requested before the loss, and it is STOPPED.
    Stopped,
    /// It was in no queue, or has lost too many workers: it is FAILED, with the reason.
    Failed,
    /// It could not be rescued, and is set aside until the store is repaired.
    SetAside,
}

/// Which lost executions are rescued, by the names of the workers that held them last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// All executions.
    All,
    /// All executions, except those of these workers, which are known to be alive.
    AllBut(Vec<String>),
    /// Only executions of these workers, which are known to be dead.
    Only(Vec<String>),
}

impl Whose {
    /// Whether the executions of a worker are rescued.
    pub fn takes(&self, worker: &str) -> bool {
        let is_in = |workers: &[String]| workers.iter().any(|known| known == worker);
        match self {
            Self::All => true,
            Self::AllBut(living) => !is_in(living),
            Self::Only(dead) => is_in(dead),
        }
    }
}

/// How long an entry waits after its worker was lost for the `losses`th time, in milliseconds: 0, then 2 s, 4 s and
/// so on, at most 5 minutes.
pub fn backoff_ms(losses: u32) -> u64 {
    match losses {
        0 | 1 => 0,
        _ => (1000_u64 << (losses - 1).min(20)).min(BACKOFF_MS_MAX),
    }
}

/// What the loss of a worker means for the execution that it held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// How many workers were lost over the execution, with this one; 1 if the store does not count them.
    pub losses: u32,
    /// What happens to the execution.
    pub fate: Fate,
    /// Whether one more worker may run the steps with `always` before the execution ends.
    pub allows_last_words: bool,
}

impl Loss {
    /// Decides by how many workers were lost before and how many may be lost in all; `losses` is `None` for an
    /// execution that is in no queue.
    ///
    /// A part of an execution that has ended ends with that execution.
    pub fn new(losses: Option<(u32, u32)>, is_stopping: bool, is_left_behind: bool, now: Timestamp) -> Self {
        if is_left_behind {
            return Self {
                losses: losses.map_or(1, |(before, _)| before.saturating_add(1)),
                fate: Fate::Stopped,
                allows_last_words: false,
            };
        }
        let Some((before, max)) = losses else {
            return Self { losses: 1, fate: Fate::Failed, allows_last_words: false };
        };
        let losses = before.saturating_add(1);
        let fate = match () {
            () if is_stopping => Fate::Stopped,
            () if losses >= max => Fate::Failed,
            () => Fate::Requeued(now.plus_ms(backoff_ms(losses))),
        };
        // An execution whose worker was lost in these last steps ends without them.
        Self { losses, fate, allows_last_words: losses <= max }
    }

    /// From when on the execution's entry waits again.
    pub fn available_at(&self, now: Timestamp) -> Timestamp {
        match self.fate {
            Fate::Requeued(at) => at,
            Fate::Stopped | Fate::Failed | Fate::SetAside => now,
        }
    }
}

/// Whether a job has a step that always runs and has not begun yet.
///
/// `begun` are the positions of the steps that have begun.
pub fn has_last_words(job: &Job, begun: &[u32]) -> bool {
    (0..).zip(&job.steps).any(|(position, step)| step.flow.always != Always::No && !begun.contains(&position))
}

/// The outcome of a pass of the watchdog.
///
/// If the store failed for some executions, those that were rescued are returned all the same; the next pass finds
/// the others.
pub fn rescued(answers: Vec<Result<Option<Rescued>>>) -> Result<Vec<Rescued>> {
    let (mut rescued, mut failed) = (Vec::new(), None);
    for answer in answers {
        match answer {
            Ok(found) => rescued.extend(found),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    match failed {
        Some(error) if rescued.is_empty() => Err(error),
        _ => Ok(rescued),
    }
}

/// An execution that has not ended and may be lost, as it is stored.
#[derive(Debug)]
pub struct Lost {
    /// Which execution.
    pub id: JobExecutionId,
    /// The worker that held it last.
    pub worker: String,
    /// The last heartbeat of that worker.
    pub heartbeat_at: Timestamp,
    /// When its lease ends; `None` while no worker holds a lease.
    pub lease_expires_at: Option<Timestamp>,
    /// Whether its worker was asked to stop.
    pub is_stopping: bool,
    /// Whether it is a part of an execution that has ended or was deleted.
    pub is_left_behind: bool,
    /// How many workers were lost before, and how many may be lost in all; `None` for an execution that is in no
    /// queue.
    ///
    /// If the numbers cannot be read, this is an error. The error matters only if the loss of a worker has to be
    /// judged.
    pub losses: Result<Option<(u32, u32)>>,
}

/// What a store must do about an execution that may be lost.
#[derive(Debug, Clone, PartialEq)]
pub enum Rescue {
    /// Nothing: another process rescued it, or its worker is alive.
    Nothing,
    /// Its whole has ended: its worker must get a stop request.
    AskToStop,
    /// Its whole has ended, and no worker holds it.
    EndWithWhole(Ending),
    /// Its worker was lost, and it waits again.
    Rest(Loss),
    /// Its worker was lost, and it ends.
    End(Loss, Ending),
}

impl Lost {
    /// Decides by the state of the execution at this moment, not by its state when it was listed.
    pub fn rescue(self, now: Timestamp) -> Result<Rescue> {
        let part = self.is_left_behind.then(|| PartOfEnded::new(self.lease_expires_at, now));
        Ok(match (self.lease_expires_at, part) {
            (_, Some(PartOfEnded::IsAsked)) if !self.is_stopping => Rescue::AskToStop,
            (Some(end), _) if end > now => Rescue::Nothing,
            (None, Some(PartOfEnded::Ends)) => Rescue::EndWithWhole(PartOfEnded::ending(now)),
            (None, _) => Rescue::Nothing,
            (Some(end), _) => self.judge(end, now)?,
        })
    }

    fn judge(self, lease_ended_at: Timestamp, now: Timestamp) -> Result<Rescue> {
        let Self { id, worker, heartbeat_at, is_stopping, is_left_behind, losses, .. } = self;
        let loss = Loss::new(losses?, is_stopping, is_left_behind, now);
        let ending = match loss.fate {
            Fate::Requeued(_) | Fate::SetAside => return Ok(Rescue::Rest(loss)),
            Fate::Stopped if is_left_behind => PartOfEnded::ending(now),
            Fate::Stopped => {
                let exit_status = ExitStatus::new(ExitStatus::STOPPED)
                    .with_description(format!("worker `{worker}` was lost while it was to stop"));
                Ending { status: BatchStatus::Stopped, exit_status, failure: None, now }
            }
            Fate::Failed => {
                let failure = worker_lost(id, &worker, loss.losses, heartbeat_at, lease_ended_at);
                let exit_status = ExitStatus::new(ExitStatus::FAILED).with_description(failure.to_string());
                Ending { status: BatchStatus::Failed, exit_status, failure: Some(failure), now }
            }
        };
        Ok(Rescue::End(loss, ending))
    }
}

/// The code of an execution whose worker was lost.
const LOST_CODE: &str = "worker-lost";
/// The code of an execution that has lost too many workers.
const EXHAUSTED_CODE: &str = "attempts-exhausted";

/// The failure of an execution that ended with its worker.
fn worker_lost(
    id: JobExecutionId,
    worker: &str,
    losses: u32,
    heartbeat_at: Timestamp,
    lease_expires_at: Timestamp,
) -> Failure {
    let others = match losses {
        0 | 1 => String::new(),
        _ => format!("; {losses} workers were lost over this execution, and no more may be"),
    };
    Failure {
        code: if losses > 1 { EXHAUSTED_CODE } else { LOST_CODE }.to_owned(),
        culprit: format!("worker `{worker}`"),
        place: String::new(),
        message: format!(
            "was lost: its last heartbeat was at {heartbeat_at}, its lease ran out at {lease_expires_at}{others}"
        ),
        help: "see why the worker ended (killed, out of memory, power loss), then restart the execution"
            .to_owned(),
        remedies: vec![Remedy::RestartExecution { execution: id }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_after_a_loss_doubles_up_to_five_minutes() {
        let waits = [0, 1, 2, 3, 4, 9, 10, 64, u32::MAX].map(backoff_ms);
        assert_eq!(waits, [0, 0, 2000, 4000, 8000, 256_000, 300_000, 300_000, 300_000]);
    }

    #[test]
    fn says_when_a_worker_was_last_heard_of() {
        let failure = worker_lost(JobExecutionId(7), "w-1", 1, Timestamp(0), Timestamp(30_000));
        assert_eq!(failure.remedies, [Remedy::RestartExecution { execution: JobExecutionId(7) }]);
        assert_eq!(
            failure.to_string(),
            "worker `w-1`: was lost: its last heartbeat was at 1970-01-01T00:00:00.000Z, \
             its lease ran out at 1970-01-01T00:00:30.000Z"
        );
    }

    /// A row: whether the whole has ended, whether the part was asked to stop, and what happens to the part without
    /// a lease, with an expired lease, and with a lease that is held.
    #[test]
    fn a_part_ends_with_its_whole_and_is_judged_by_its_own_losses_otherwise() {
        let now = Timestamp(10);
        let rows = [
            (false, false, ["nothing", "waits", "nothing"]),
            (false, true, ["nothing", "ends", "nothing"]),
            (true, false, ["ends with the whole", "ends", "is asked"]),
            (true, true, ["ends with the whole", "ends", "nothing"]),
        ];
        for (is_left_behind, is_stopping, expected) in rows {
            let found = [None, Some(10), Some(11)].map(|lease_expires_at| {
                let lost = Lost {
                    id: JobExecutionId(7),
                    worker: "w-1".to_owned(),
                    heartbeat_at: Timestamp(0),
                    lease_expires_at: lease_expires_at.map(Timestamp),
                    is_stopping,
                    is_left_behind,
                    losses: Ok(Some((0, 5))),
                };
                match lost.rescue(now).unwrap() {
                    Rescue::Nothing => "nothing",
                    Rescue::AskToStop => "is asked",
                    Rescue::EndWithWhole(_) => "ends with the whole",
                    Rescue::Rest(_) => "waits",
                    Rescue::End(_, ending) if ending.status == BatchStatus::Stopped => "ends",
                    Rescue::End(..) => "fails",
                }
            });
            assert_eq!(found, expected, "whole has ended: {is_left_behind}, asked: {is_stopping}");
        }
    }

    #[test]
    fn a_loss_is_made_good_until_it_has_cost_too_many_workers() {
        let now = Timestamp(10);
        let fate = |losses, is_stopping| Loss::new(losses, is_stopping, false, now).fate;
        let rows = [
            (fate(None, false), Fate::Failed),
            (fate(None, true), Fate::Failed),
            (fate(Some((0, 5)), false), Fate::Requeued(now)),
            (fate(Some((1, 5)), false), Fate::Requeued(Timestamp(2010))),
            (fate(Some((3, 5)), false), Fate::Requeued(Timestamp(8010))),
            (fate(Some((4, 5)), false), Fate::Failed),
            (fate(Some((0, 1)), false), Fate::Failed),
            (fate(Some((0, 1)), true), Fate::Stopped),
        ];
        for (found, expected) in rows {
            assert_eq!(found, expected);
        }
        let last_words = |losses| Loss::new(losses, false, false, now).allows_last_words;
        assert_eq!([None, Some((4, 5)), Some((5, 5))].map(last_words), [false, true, false]);
        let failure = worker_lost(JobExecutionId(7), "w-1", 5, Timestamp(0), Timestamp(30_000));
        assert_eq!(failure.code, "attempts-exhausted");
        assert!(failure.message.ends_with("; 5 workers were lost over this execution, and no more may be"));
    }
}
