//! Who may do what to an execution, decided from the little that is stored of it.
//!
//! Functions from values to values: every store asks here, inside its transaction, so that all
//! stores answer alike.

use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::Failure;
use stepbox_batch::name::JobExecutionId;
use stepbox_batch::queue::{Fate, backoff_ms};
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
}

impl Standing {
    /// Whether a worker may take its lease.
    pub(crate) fn claim(&self, now: Timestamp) -> Result<()> {
        match self.status {
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
            _ if !self.stoppable => self.refuse("its job is not stoppable"),
            Starting | Paused if !self.is_held(now) => Ok(StopRequest::StoppedAtOnce),
            _ => Ok(StopRequest::Requested),
        }
    }

    /// Whether a person may give it up.
    pub(crate) fn abandon(&self, now: Timestamp) -> Result<()> {
        match self.status {
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

    /// A lease is over at the very millisecond it ends.
    fn is_held(&self, now: Timestamp) -> bool {
        self.lease_expires_at.is_some_and(|end| end > now)
    }

    fn refuse<T>(&self, reason: &'static str) -> Result<T> {
        Err(RepositoryError::WrongStatus { id: self.id, status: self.status, reason })
    }
}

/// What the loss of a worker means for the execution that it held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Loss {
    /// How many workers were lost over it, with this one; 1 if nobody counts.
    pub losses: u32,
    pub fate: Fate,
}

impl Loss {
    /// Decides from how many were lost before and how many may be in all, none if it is in no queue.
    pub(crate) fn new(losses: Option<(u32, u32)>, is_stopping: bool, now: Timestamp) -> Self {
        let Some((before, max)) = losses else { return Self { losses: 1, fate: Fate::Failed } };
        let losses = before.saturating_add(1);
        let fate = match () {
            () if is_stopping => Fate::Stopped,
            () if losses >= max => Fate::Failed,
            () => Fate::Requeued(now.plus_ms(backoff_ms(losses))),
        };
        Self { losses, fate }
    }

    /// From when on its entry waits again.
    pub(crate) fn available_at(&self, now: Timestamp) -> Timestamp {
        match self.fate {
            Fate::Requeued(at) => at,
            Fate::Stopped | Fate::Failed => now,
        }
    }
}

/// An execution whose worker let its lease run out, as it is stored.
#[derive(Debug)]
pub(crate) struct Lost {
    pub tenant: String,
    pub id: i64,
    pub worker: String,
    pub heartbeat_at: i64,
    pub lease_expires_at: i64,
    pub is_stopping: bool,
    /// How many workers were lost before, and how many may be in all; none if it was not in the queue.
    pub losses: Option<(i64, i64)>,
}

impl Lost {
    pub(crate) fn losses(&self, row: &Row) -> Result<Option<(u32, u32)>> {
        let Some((before, max)) = self.losses else { return Ok(None) };
        Ok(Some((row.count("losses", before)?, row.count("attempts_max", max)?)))
    }

    /// How it ends; none if it waits again.
    pub(crate) fn ending(&self, id: JobExecutionId, loss: &Loss, now: Timestamp) -> Option<Ending> {
        let worker = &self.worker;
        match loss.fate {
            Fate::Requeued(_) => None,
            Fate::Stopped => {
                let exit_status = ExitStatus::new(ExitStatus::STOPPED)
                    .with_description(format!("worker `{worker}` was lost while it was to stop"));
                Some(Ending { status: Stopped, exit_status, failure: None, now })
            }
            Fate::Failed => {
                let (heartbeat_at, ended_at) =
                    (Timestamp(self.heartbeat_at), Timestamp(self.lease_expires_at));
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
            "was lost: its last heartbeat was at {}, its lease ran out at {}{others}",
            readable(heartbeat_at),
            readable(lease_expires_at)
        ),
        help: format!(
            "see why the worker ended (killed, out of memory, power loss), then `stepbox executions restart {id}`"
        ),
    }
}

fn readable(moment: Timestamp) -> String {
    match jiff::Timestamp::from_millisecond(moment.0) {
        Ok(moment) => moment.to_string(),
        Err(_) => format!("{} ms", moment.0), // outside of years -9999 to 9999
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
        let now = Timestamp(10);
        let standing = Standing { id: JobExecutionId(1), status, stoppable: true, lease_expires_at };
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
        assert_eq!(
            failure.to_string(),
            "worker `w-1`: was lost: its last heartbeat was at 1970-01-01T00:00:00Z, \
             its lease ran out at 1970-01-01T00:00:30Z"
        );
    }

    #[test]
    fn a_loss_is_made_good_until_it_has_cost_too_many_workers() {
        let now = Timestamp(10);
        let fate = |losses, is_stopping| Loss::new(losses, is_stopping, now).fate;
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
        let failure = worker_lost(JobExecutionId(7), "w-1", 5, Timestamp(0), Timestamp(30_000));
        assert_eq!(failure.code, "attempts-exhausted");
        assert!(failure.message.ends_with("; 5 workers were lost over this execution, and no more may be"));
    }
}
