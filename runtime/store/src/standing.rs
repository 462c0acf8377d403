//! Who may do what to an execution, decided from the little that is stored of it.
//!
//! Functions from values to values: every store asks here, inside its transaction, so that all
//! stores answer alike.

use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::Failure;
use stepbox_batch::job::{Always, Job};
use stepbox_batch::name::JobExecutionId;
use stepbox_batch::queue::{Fate, Rescued, backoff_ms};
use stepbox_batch::remedy::Remedy;
use stepbox_batch::repository::{RepositoryError, Result, StopRequest};
use stepbox_batch::status::BatchStatus::{self, *};
use stepbox_batch::status::ExitStatus;

use crate::record::{Row, execution};
use crate::save::Ending;

/// How an execution stands, as far as that decides anything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    pub id: JobExecutionId,
    pub status: BatchStatus,
    /// Whether its job may be stopped by a request.
    pub stoppable: bool,
    /// None while nobody holds its lease.
    pub lease_expires_at: Option<Timestamp>,
    /// Whether it could be neither run nor rescued. Nobody holds it then.
    pub is_set_aside: bool,
}

impl Standing {
    /// Whether a worker may take its lease.
    pub(crate) fn claim(&self, now: Timestamp) -> Result<()> {
        match self.status {
            status if self.is_set_aside && !status.has_ended() => self.refuse("it is set aside"),
            Starting | Paused if self.is_held(now) => self.refuse("another worker has claimed it"),
            Starting | Paused => Ok(()),
            Started | Stopping | Pausing => self.refuse("a worker has begun it"),
            Completed | Stopped | Failed | Abandoned | Unknown => self.refuse("it has ended"),
        }
    }

    /// What a stop request does to it.
    pub(crate) fn stop(&self, now: Timestamp) -> Result<StopRequest> {
        match self.status {
            status if status.has_ended() => self.refuse("it has ended"),
            _ if self.is_set_aside => Ok(StopRequest::StoppedAtOnce),
            _ if !self.stoppable => self.refuse("its job is not stoppable"),
            Starting | Paused if !self.is_held(now) => Ok(StopRequest::StoppedAtOnce),
            _ => Ok(StopRequest::Requested),
        }
    }

    /// Whether a person may give it up.
    pub(crate) fn abandon(&self, now: Timestamp) -> Result<()> {
        match self.status {
            status if self.is_set_aside && !status.has_ended() => Ok(()),
            Starting | Paused if self.is_held(now) => self.refuse("a worker has claimed it; stop it first"),
            status if status.may_become(Abandoned) => Ok(()),
            Abandoned => self.refuse("it is given up already"),
            Completed => self.refuse("there is nothing to give up"),
            _ => self.refuse("a worker is on it; stop it first"),
        }
    }

    /// Whether another execution may go on from it.
    pub(crate) fn restart(&self) -> Result<()> {
        match self.status {
            Stopped | Failed => Ok(()),
            _ => self.refuse("only a STOPPED or FAILED one can be restarted"),
        }
    }

    /// Whether its worker may save this status.
    pub(crate) fn become_status(&self, next: BatchStatus) -> Result<()> {
        if next == self.status || self.status.may_become(next) {
            return Ok(());
        }
        self.refuse(match next {
            Completed => "it cannot become COMPLETED",
            Starting => "it cannot become STARTING",
            Started => "it cannot become STARTED",
            Stopping => "it cannot become STOPPING",
            Stopped => "it cannot become STOPPED",
            Failed => "it cannot become FAILED",
            Abandoned => "it cannot become ABANDONED",
            Unknown => "it cannot become UNKNOWN",
            Pausing => "it cannot become PAUSING",
            Paused => "it cannot become PAUSED",
        })
    }

    fn is_held(&self, now: Timestamp) -> bool {
        is_held(self.lease_expires_at, now)
    }

    fn refuse<T>(&self, reason: &'static str) -> Result<T> {
        Err(RepositoryError::WrongStatus { id: self.id, status: self.status, reason })
    }
}

/// A lease is over at the very millisecond it ends.
fn is_held(lease_expires_at: Option<Timestamp>, now: Timestamp) -> bool {
    lease_expires_at.is_some_and(|end| end > now)
}

/// The rule for a whole and its parts: a part whose whole has ended ends with it; a part whose whole goes on is
/// judged by its own losses.
///
/// Whoever ends a whole asks here about each part that has not ended, and whoever rescues a part asks here, too. So
/// the two agree in whatever order they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PartOfEnded {
    /// Nobody holds it: it is STOPPED at once.
    Ends,
    /// Its worker is asked to stop. If that worker is dead, whoever rescues the part finds it free.
    IsAsked,
}

impl PartOfEnded {
    pub(crate) fn new(lease_expires_at: Option<Timestamp>, now: Timestamp) -> Self {
        if is_held(lease_expires_at, now) { Self::IsAsked } else { Self::Ends }
    }

    /// How it ends.
    pub(crate) fn ending(now: Timestamp) -> Ending {
        let exit_status = ExitStatus::new(ExitStatus::STOPPED)
            .with_description("the execution that it is a part of has ended");
        Ending { status: Stopped, exit_status, failure: None, now }
    }
}

/// What the loss of a worker means for the execution that it held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Loss {
    /// How many workers were lost over it, with this one; 1 if nobody counts.
    pub losses: u32,
    pub fate: Fate,
    /// Whether one more worker may run the steps that run whatever happened, before it ends.
    pub allows_last_words: bool,
}

impl Loss {
    /// Decides from how many were lost before and how many may be in all, none if it is in no queue. A part of an
    /// execution that has ended ends with it.
    pub(crate) fn new(
        losses: Option<(u32, u32)>,
        is_stopping: bool,
        is_left_behind: bool,
        now: Timestamp,
    ) -> Self {
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
        // One that was lost over its last words ends without them.
        Self { losses, fate, allows_last_words: losses <= max }
    }

    /// From when on its entry waits again.
    pub(crate) fn available_at(&self, now: Timestamp) -> Timestamp {
        match self.fate {
            Fate::Requeued(at) => at,
            Fate::Stopped | Fate::Failed | Fate::SetAside => now,
        }
    }
}

/// Whether a job has a step that runs whatever happened, and has not begun yet. `begun` are the positions of those that
/// have.
pub(crate) fn has_last_words(job: &Job, begun: &[u32]) -> bool {
    (0..).zip(&job.steps).any(|(position, step)| step.flow.always != Always::No && !begun.contains(&position))
}

/// What was done is told even if the store failed before all of it was: whoever looks next finds the rest.
pub(crate) fn rescued(answers: Vec<Result<Option<Rescued>>>) -> Result<Vec<Rescued>> {
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
pub(crate) struct Lost {
    pub id: i64,
    pub status: i64,
    pub worker: String,
    pub heartbeat_at: i64,
    /// None while nobody holds its lease.
    pub lease_expires_at: Option<i64>,
    pub is_stopping: bool,
    /// Whether it is a part of an execution that has ended or is gone.
    pub is_left_behind: bool,
    /// How many workers were lost before, and how many may be in all; none if it was not in the queue.
    pub losses: Option<(i64, i64)>,
}

/// What has to be done about an execution that may be lost.
#[derive(Debug)]
pub(crate) enum Rescue {
    /// Nothing: somebody else saw to it, or its worker lives.
    Nothing,
    /// Its whole has ended, and its worker has to be told.
    AskToStop,
    /// Its whole has ended, and nobody holds it.
    EndWithWhole(Ending),
    /// Its worker was lost, and it waits again.
    Rest(Loss),
    /// Its worker was lost, and it ends.
    End(Loss, Ending),
}

impl Lost {
    /// Decides by what is stored of it now, whatever it looked like when it was listed.
    pub(crate) fn rescue(&self, now: Timestamp) -> Result<(JobExecutionId, Rescue)> {
        let row = Row(format!("execution {}", self.id));
        let id = row.id("id", self.id)?;
        row.status(self.status)?;
        let lease = self.lease_expires_at.map(Timestamp);
        let part = self.is_left_behind.then(|| PartOfEnded::new(lease, now));
        let rescue = match (lease, part) {
            (_, Some(PartOfEnded::IsAsked)) if !self.is_stopping => Rescue::AskToStop,
            (Some(end), _) if end > now => Rescue::Nothing,
            (None, Some(PartOfEnded::Ends)) => Rescue::EndWithWhole(PartOfEnded::ending(now)),
            (None, _) => Rescue::Nothing,
            (Some(_), _) => self.judge(&row, id, now)?,
        };
        Ok((id, rescue))
    }

    fn judge(&self, row: &Row, id: JobExecutionId, now: Timestamp) -> Result<Rescue> {
        let loss = match self.losses {
            Some((before, max)) => Some((row.count("losses", before)?, row.count("attempts_max", max)?)),
            None => None,
        };
        let loss = Loss::new(loss, self.is_stopping, self.is_left_behind, now);
        Ok(match self.ending(id, &loss, now) {
            Some(ending) => Rescue::End(loss, ending),
            None => Rescue::Rest(loss),
        })
    }

    /// How it ends; none if it waits again.
    fn ending(&self, id: JobExecutionId, loss: &Loss, now: Timestamp) -> Option<Ending> {
        let worker = &self.worker;
        match loss.fate {
            Fate::Requeued(_) | Fate::SetAside => None,
            Fate::Stopped if self.is_left_behind => Some(PartOfEnded::ending(now)),
            Fate::Stopped => {
                let exit_status = ExitStatus::new(ExitStatus::STOPPED)
                    .with_description(format!("worker `{worker}` was lost while it was to stop"));
                Some(Ending { status: Stopped, exit_status, failure: None, now })
            }
            Fate::Failed => {
                let ended_at = self.lease_expires_at.map_or(now, Timestamp);
                let heartbeat_at = Timestamp(self.heartbeat_at);
                let failure = worker_lost(id, worker, loss.losses, heartbeat_at, ended_at);
                let exit_status = ExitStatus::new(ExitStatus::FAILED).with_description(failure.to_string());
                Some(Ending { status: Failed, exit_status, failure: Some(execution::failure(&failure)), now })
            }
        }
    }
}

/// The code of an execution whose worker was lost.
const LOST_CODE: &str = "worker-lost";
/// The code of an execution that has cost too many workers.
const EXHAUSTED_CODE: &str = "attempts-exhausted";

/// What is stored of an execution that ended with its worker.
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

    /// One line per status: what becomes of claim, stop and abandon with a lease that is free (or
    /// has run out) and with one that is held.
    #[test]
    fn answers_for_each_status() {
        let rows = [
            (Starting, "claim=ok stop=at-once abandon=ok", "claim=no stop=requested abandon=no"),
            (Started, "claim=no stop=requested abandon=no", "claim=no stop=requested abandon=no"),
            (Stopping, "claim=no stop=requested abandon=no", "claim=no stop=requested abandon=no"),
            (Pausing, "claim=no stop=requested abandon=no", "claim=no stop=requested abandon=no"),
            (Paused, "claim=ok stop=at-once abandon=ok", "claim=no stop=requested abandon=no"),
            (Stopped, "claim=no stop=no abandon=ok", "claim=no stop=no abandon=ok"),
            (Failed, "claim=no stop=no abandon=ok", "claim=no stop=no abandon=ok"),
            (Unknown, "claim=no stop=no abandon=ok", "claim=no stop=no abandon=ok"),
            (Completed, "claim=no stop=no abandon=no", "claim=no stop=no abandon=no"),
            (Abandoned, "claim=no stop=no abandon=no", "claim=no stop=no abandon=no"),
        ];
        for (status, free, held) in rows {
            assert_eq!(answers(status, None), free, "{status}, never claimed");
            assert_eq!(answers(status, Some(Timestamp(10))), free, "{status}, lease over");
            assert_eq!(answers(status, Some(Timestamp(11))), held, "{status}, held");
        }
    }

    fn answers(status: BatchStatus, lease_expires_at: Option<Timestamp>) -> String {
        let standing = Standing {
            id: JobExecutionId(1),
            status,
            stoppable: true,
            lease_expires_at,
            is_set_aside: false,
        };
        told_of(standing)
    }

    /// One that is set aside is nobody's: it is no worker's to begin, and a person may end it in any status.
    #[test]
    fn what_is_set_aside_is_only_ended() {
        for status in [Starting, Started, Stopping, Pausing, Paused] {
            let standing = Standing {
                id: JobExecutionId(1),
                status,
                stoppable: false,
                lease_expires_at: None,
                is_set_aside: true,
            };
            assert_eq!(told_of(standing), "claim=no stop=at-once abandon=ok", "{status}");
        }
    }

    fn told_of(standing: Standing) -> String {
        let now = Timestamp(10);
        let claim = standing.claim(now).map_or("no", |()| "ok");
        let stop = match standing.stop(now) {
            Ok(StopRequest::StoppedAtOnce) => "at-once",
            Ok(StopRequest::Requested) => "requested",
            Err(_) => "no",
        };
        let abandon = standing.abandon(now).map_or("no", |()| "ok");
        format!("claim={claim} stop={stop} abandon={abandon}")
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

    /// A row: whether the whole has ended, whether the part was asked to stop, and what becomes of it with no lease, a
    /// lease that has run out, and one that is held.
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
                    id: 7,
                    status: Started.number().into(),
                    worker: "w-1".to_owned(),
                    heartbeat_at: 0,
                    lease_expires_at,
                    is_stopping,
                    is_left_behind,
                    losses: Some((0, 5)),
                };
                match lost.rescue(now).unwrap().1 {
                    Rescue::Nothing => "nothing",
                    Rescue::AskToStop => "is asked",
                    Rescue::EndWithWhole(_) => "ends with the whole",
                    Rescue::Rest(_) => "waits",
                    Rescue::End(_, ending) if ending.status == Stopped => "ends",
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
